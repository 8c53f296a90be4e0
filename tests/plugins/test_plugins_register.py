"""What plugins register beside metadata kinds: tables, routes and types of fields."""

import re

from rocket_kernel import (
    AccessClass,
    Actor,
    BodyMode,
    Column,
    ColumnType,
    FieldType,
    Plugin,
    Response,
    Route,
    Storage,
    Table,
    TableRows,
    data,
    hookimpl,
)
from rocket_kernel.testing import Actors, assert_error, entity, one_to_many

TEXT = ColumnType(Storage.TEXT)
USER = Actor(id=None, email=None, roles=frozenset({"staff"}))

NOTES = Table(
    "_notes", (Column("name", TEXT, nullable=False), Column("hits", ColumnType(Storage.INTEGER), default=0)), ("name",)
)


class Notes(Plugin):
    name = "notes"

    @hookimpl
    def register_tables(self):
        return [NOTES]

    @hookimpl
    def register_routes(self):
        return [
            Route(method="POST", path="/api/:app/_notes/:name", access=AccessClass.AUTHENTICATED, handler=self.hit),
            Route(method="GET", path="/api/:app/_Notes", access=AccessClass.ADMIN, handler=self.list),
            Route(method="GET", path="/public/:word", access=AccessClass.PUBLIC, handler=self.echo),
            Route(
                method="PUT", path="/public/:word", access=AccessClass.PUBLIC, handler=self.length, body=BodyMode.STREAM
            ),
        ]

    async def hit(self, request):
        async with request.app.writing() as (tx, _registry):
            await TableRows(NOTES).try_insert(tx, {"name": request.params["name"], "hits": request.body.get("hits", 1)})
        return data({"by": sorted(request.actor.roles)}, 201)

    async def list(self, request):
        async with request.app.reading() as (session, _registry):
            return data(await TableRows(NOTES).select(session, order_by=("name",)))

    async def echo(self, request):
        return data(
            {"word": request.params["word"], "query": dict(request.parameters), "roles": sorted(request.actor.roles)}
        )

    async def length(self, request):
        chunks = [chunk async for chunk in request.stream]
        return Response(200, str(sum(map(len, chunks))).encode(), {"Content-Type": "text/plain"})


async def test_tables_and_routes_of_a_plugin(start_kernel):
    # The app was made without the plugin, whose table is made when the app is opened.
    first = await start_kernel()
    await first.client.app("shop")
    client = (await start_kernel([Notes, Actors])).client.in_app("shop")
    made = await client.as_actor(USER).post("_notes/a%2Fb", {"hits": 3})
    assert (made.status, made.data) == (201, {"by": ["staff"]})
    (await client.post("_NOTES/c")).require(201)
    assert (await client.get("_notes")).data == [{"name": "a/b", "hits": 3}, {"name": "c", "hits": 1}]
    assert_error(await client.as_actor(USER).get("_notes"), 403, "FORBIDDEN", "Admin access required", [])
    assert (await client.get("_notes/x")).status == 405
    assert (await client.post("_notes/x", content=b"{")).status == 400
    shown = (await client.get("/public/Word?a=1&a=2")).data
    assert shown == {"word": "Word", "query": {"a": "2"}, "roles": []}
    assert (await client.request("HEAD", "/public/Word")).body == b""
    assert (await client.put("/public/x", content=b"{no json")).text == "8"
    # System tables are out of the record endpoints' reach.
    assert (await client.get("_notes/x/y")).status == 404
    assert_error(await first.client.in_app("shop").get("_notes"), 404, "UNKNOWN_ENTITY", "Unknown entity: _notes", [])


def read_color(value, _precision=None):
    if not (isinstance(value, str) and re.fullmatch("#[0-9a-fA-F]{6}", value)):
        raise ValueError("a color")
    return value.lower()


def read_minutes(value, _precision=None):
    hours, _, minutes = str(value).partition(":")
    return int(hours) * 60 + int(minutes or 0)


COLOR = FieldType(
    name="color", storage=Storage.TEXT, read=read_color, read_filter=read_color, operators=frozenset({"eq", "in"})
)
MINUTES = FieldType(
    name="minutes", storage=Storage.INTEGER, read=read_minutes, read_filter=read_minutes,
    operators=frozenset({"eq", "gt", "between"}),
)  # fmt: skip


class Types(Plugin):
    name = "types"

    @hookimpl
    def register_field_types(self):
        return [COLOR, MINUTES]


async def test_a_type_of_field_from_end_to_end(start_kernel):
    client = await (await start_kernel([Types])).client.app("shop")
    paint = entity(
        "paint",
        tone={"type": "color", "required": True, "unique": True},
        second={"type": "color", "default": "#FFFFFF", "enum": ["#FFFFFF", "#000000"]},
        drying="minutes",
        shelf_id="uuid",
    )
    await client.define(paint, entity("shelf", name="string"))
    await client.relate(one_to_many("paints", "shelf", "paint"))
    made = await client.create("paint", {"tone": "#ABCDEF", "drying": "1:30"})
    assert made == {"id": made["id"], "tone": "#abcdef", "second": "#ffffff", "drying": 90, "shelf_id": None}
    await client.create("shelf", {"paints": [{"tone": "#000000", "drying": 10}, {"tone": "#00ff00", "second": ""}]})
    for query, found in (
        ("filter[tone]=%23ABCDEF", 1),
        ("filter[tone.in]=%23ABCDEF,%2300FF00", 2),
        ("filter[drying.gt]=1:29", 2),
        ("filter[drying.between]=1:00,1:30", 1),
        ("filter[shelf.paints.tone]=%2300ff00", 2),
    ):
        assert (await client.get(f"paint?{query}")).require(200).meta["total"] == found, query
    listed = (await client.get("paint?sort=-drying")).data
    assert [row["drying"] for row in listed] == [None, 600, 90]
    wrong = [
        {"field": "tone", "rule": "type", "message": "tone must be a valid color"},
        {"field": "second", "rule": "enum", "message": "second must be one of: #ffffff, #000000"},
        {"field": "drying", "rule": "type", "message": "drying must be a valid minutes"},
    ]
    body = {"tone": "red", "second": "#123456", "drying": "soon"}
    assert_error(await client.post("paint", body), 422, "VALIDATION_FAILED", "Validation failed", wrong)
    taken = {"field": "tone", "rule": "unique", "message": "tone already exists"}
    assert_error(await client.post("paint", {"tone": "#abcdeF"}), 409, "CONFLICT", None, [taken])
    for query, message in (
        ("tone=red", "Invalid filter value for tone: red"),
        ("tone.gt=%23abcdef", "Unknown filter operator: gt"),
    ):
        name, _, value = query.partition("=")
        assert_error(await client.get(f"paint?filter[{name}]={value}"), 400, "INVALID_PAYLOAD", message)
    bad = {
        **paint,
        "name": "bad",
        "table": "bad",
        "fields": [{**field, "default": "red"} for field in paint["fields"][1:2]],
    }
    bad["fields"].append(paint["fields"][0])
    assert_error(await client.post("_admin/entities", bad), 422, "VALIDATION_FAILED", "invalid default for field tone")
    document = (await client.get("_admin/export")).data
    other = await client.app("other")
    sample = {"sample_data": {"paint": [{"tone": "#FF0000", "drying": "0:10"}, {"tone": "red"}]}}
    answer = (await other.post("_admin/import", {**document, **sample})).data
    assert answer["errors"] == ["record paint: tone must be a valid color"]
    assert [(row["tone"], row["drying"]) for row in (await other.get("paint")).data] == [("#ff0000", 10)]
    # Without the plugin the app cannot be read, and nothing is guessed.
    bare = (await start_kernel()).client.in_app("other")
    assert_error(await bare.get("paint"), 404, "APP_NOT_FOUND", "App not found: other", [])
    third = await bare.app("third")
    refused = await third.post("_admin/entities", paint)
    assert_error(refused, 422, "VALIDATION_FAILED", "invalid field type: color for field tone")
