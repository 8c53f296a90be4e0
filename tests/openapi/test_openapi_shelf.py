"""A document is built once for all who may do the same, and what is kept has a limit."""

import asyncio
import threading
import time
from itertools import pairwise

import pytest

from rocket_kernel.actor import OPEN_HOUSE
from rocket_kernel.openapi.document import Described, build_document
from rocket_kernel.openapi.refusals import error_codes
from rocket_kernel.openapi.rights import rights_of
from rocket_kernel.openapi.shelf import Shelf
from rocket_kernel.testing import entity, one_to_many

FIELDS = {
    "a": "string!", "b": "text", "c": "int", "d": "bigint", "e": "float", "f": "decimal:2", "g": "boolean",
    "h": "timestamp", "i": "date", "j": "json", "parent_id": "uuid",
}  # fmt: skip


async def test_those_who_ask_at_once_wait_for_one_building():
    built, gate = [], threading.Event()

    def build():
        gate.wait(5)
        built.append(1)
        return b"{}"

    shelf = Shelf()
    asking = [asyncio.create_task(shelf.get("key", build)) for _ in range(20)]
    await asyncio.sleep(0.01)
    asking[0].cancel()
    gate.set()
    documents = await asyncio.gather(*asking[1:])
    assert len(built) == 1
    assert all(document is documents[0] for document in documents)
    assert await shelf.get("key", build) is documents[0]
    assert len(built) == 1


async def test_what_was_not_asked_for_longest_goes_first():
    built = []

    def build(name):
        built.append(name)
        return name.encode() * 40

    shelf = Shelf(most_bytes=100)
    for name in "abacab":
        await shelf.get(name, lambda name=name: build(name))
    assert built == ["a", "b", "c", "b"]


async def test_a_building_that_fails_fails_for_those_who_wait_and_is_tried_again():
    shelf = Shelf()

    def fail():
        raise ValueError("no")

    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            await shelf.get("key", fail)
    assert (await shelf.get("key", lambda: b"{}")).body == b"{}"


async def test_two_hundred_entities_do_not_stop_the_process(client):
    names = [f"thing_{number}" for number in range(200)]
    relations = [one_to_many(f"of_{one}", one, other, "parent_id") for one, other in pairwise(names)]
    body = {"entities": [entity(name, **FIELDS) for name in names], "relations": relations}
    (await client.post("_admin/import", body)).require(200)
    registry = (await client.kernel.apps.app("shop")).registry
    rights = rights_of(registry, OPEN_HOUSE)
    routes = [entry for entry in client.kernel.router.routes if entry[1].segments[:2] == ("api", ":app")]
    described = Described(tuple(routes), error_codes(()), "0", has_tokens=False)
    began = time.process_time()
    document = build_document("shop", registry, rights, described)
    building = time.process_time() - began
    began = time.process_time()
    again = rights_of(registry, OPEN_HOUSE)
    asking = time.process_time() - began
    assert again == rights
    assert len(document) > 2_000_000
    # On an idle machine 0.08 s and 1 ms; the first is spent on a thread, the second in each request.
    assert building < 2
    assert asking < building / 5
    assert len((await client.get("_openapi.json")).require(200).json["paths"]) > 400
