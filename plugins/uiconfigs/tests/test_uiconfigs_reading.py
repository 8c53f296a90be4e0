"""`_ui/configs` and `_ui/config/:entity`: what every signed-in caller reads."""

import pytest

from rocket_kernel import Actor
from rocket_kernel.testing import Actors, assert_error, entity
from rocket_uiconfigs import UiConfigsPlugin

STAFF = Actor(id="7", email=None, roles=frozenset({"staff"}))
NOBODY = {"actors": {"default": None}}


@pytest.fixture
async def client(start_kernel):
    running = await start_kernel([UiConfigsPlugin, Actors])
    client = await running.client.app("shop")
    await client.define(entity("book"), entity("author"))
    return client


async def test_every_caller_reads_the_default_scope(client):
    rows = {
        (name, scope): await client.create("_admin/ui-configs", {"entity": name, "scope": scope, "config": {"n": name}})
        for name, scope in (("book", "default"), ("author", "default"), ("_app", "default"), ("book", "mobile"))
    }
    for caller in (client, client.as_actor(STAFF)):
        wanted = [rows["_app", "default"], rows["author", "default"], rows["book", "default"]]
        assert (await caller.get("_ui/configs")).data == wanted
        assert (await caller.get("_ui/config/book")).data == rows["book", "default"]
        assert (await caller.get("_ui/config/_app")).data == rows["_app", "default"]


@pytest.mark.parametrize("name", ["book", "nothing", "Book", "%00", "__proto__", "..", "a%2Fb"])
async def test_without_a_config_there_is_null(client, name):
    await client.create("_admin/ui-configs", {"entity": "book", "scope": "mobile"})
    answer = await client.get(f"_ui/config/{name}")
    assert (answer.status, answer.json) == (200, {"data": None})


async def test_there_is_nothing_before_anything_is_stored(client):
    assert (await client.get("_ui/configs")).json == {"data": []}


async def test_a_change_is_seen_at_once(client):
    made = await client.create("_admin/ui-configs", {"entity": "book", "config": {"a": 1}})
    await client.put(f"_admin/ui-configs/{made['id']}", {"config": {"a": 2}})
    assert (await client.get("_ui/config/book")).data["config"] == {"a": 2}
    await client.delete(f"_admin/ui-configs/{made['id']}")
    assert (await client.get("_ui/config/book")).data is None


async def test_without_token_nothing_is_shown(start_kernel):
    running = await start_kernel([UiConfigsPlugin, Actors])
    await running.client.app("shop")
    await running.stop()
    closed = (await start_kernel([UiConfigsPlugin, Actors], settings=NOBODY)).client.in_app("shop")
    for path in ("_ui/configs", "_ui/config/book", "_admin/ui-configs"):
        assert_error(await closed.get(path), 401, "UNAUTHORIZED", "Missing auth token")


async def test_without_the_plugin_the_routes_are_not_there(start_kernel):
    client = await (await start_kernel([])).client.app("shop")
    assert_error(await client.get("_ui/configs"), 404, "UNKNOWN_ENTITY", "Unknown entity: _ui")
    assert_error(await client.get("_admin/ui-configs"), 404, "UNKNOWN_ENTITY", "Unknown entity: _admin")
