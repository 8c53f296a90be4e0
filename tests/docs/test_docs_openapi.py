"""docs/openapi.md: its example runs, its names are those of the document, its table that of the class."""

from __future__ import annotations

import dataclasses
import json

from rocket_kernel import Actor, Operation
from rocket_kernel.openapi.shelf import MOST_BYTES
from rocket_kernel.testing import Actors, entity

PAGE = "docs/openapi.md"


def example(page):
    (block,) = page(PAGE).blocks("python")
    names = {}
    exec(compile(block.text, PAGE, "exec"), names)
    return names["Counts"]


async def test_openapi_example_is_served_and_described(page, start_kernel):
    running = await start_kernel([example(page), Actors])
    client = await running.client.app("shop")
    await client.define(entity("book", title="string!"), entity("secret", code="string"))
    document = (await client.get("_openapi.json")).require(200).json
    counting = document["paths"]["/_count"]["get"]
    assert (counting["operationId"], counting["tags"], counting["summary"]) == (
        "get._count",
        ["counts"],
        "Count what this app has",
    )
    assert {"200", "400", "401", "404", "503"} == set(counting["responses"])
    assert document["paths"]["/book/{id}/_summary"]["get"]["summary"] == "Get a book in a few words"
    assert "/secret/{id}/_summary" not in document["paths"]
    assert (await client.get("_count")).data == {"entities": 2}
    assert (await client.get("book/7/_summary")).data == "book 7"
    clerk = client.as_actor(Actor(id="7", email=None, roles=frozenset({"clerk"})))
    assert "/_admin/export" not in (await clerk.get("_openapi.json")).json["paths"]


async def test_openapi_page_names_what_is_in_a_document(page, client):
    (block,) = page(PAGE).blocks("json")
    definition = json.loads(block.text)
    definition["fields"].append({"name": "price", "type": "decimal"})
    definition |= {"primary_key": {"field": "id", "type": "uuid", "generated": True}}
    definition["fields"].append({"name": "id", "type": "uuid"})
    await client.define(definition)
    document = (await client.get("_openapi.json")).require(200).json
    schemas = document["components"]["schemas"]
    assert {"book", "book.selected", "book.new", "book.change", "book.item", "Filter.decimal", "Explanation"} <= set(
        schemas
    )
    assert "Error400" in document["components"]["responses"]
    assert schemas["book"]["description"] == "What we sell."
    assert schemas["book.selected"]["properties"]["title"]["description"] == "As on the cover."
    assert {"name": "book", "description": "What we sell."} in document["tags"]


def test_openapi_table_of_an_operation_is_that_of_the_class(page):
    shown = [cells[0].strip("`") for cells in page(PAGE).table("## Describing a route")]
    assert set(shown) == {field.name for field in dataclasses.fields(Operation)}


def test_openapi_limit_is_the_one_in_force(page):
    assert f"{MOST_BYTES // 2**20} MiB" in page(PAGE).section("## What it costs")
