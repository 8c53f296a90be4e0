"""Metadata kinds of plugins: from one declaration come table, admin routes, export, import and plan."""

import pytest

from rocket_kernel import (
    Actor,
    Column,
    ColumnType,
    Conflict,
    Index,
    MetadataKind,
    Plugin,
    Storage,
    Table,
    TableRows,
    ValidationFailed,
    hookimpl,
)
from rocket_kernel.testing import Actors, assert_error, entity

NOW, LATER = "2026-01-02T03:04:05.678Z", "2026-01-02T04:04:05.678Z"
SOME_ID = "12345678-90ab-4cde-8f01-234567890abc"
TEXT, TIME = ColumnType(Storage.TEXT), ColumnType(Storage.TIMESTAMP)
TIMES = (Column("created_at", TIME, nullable=False), Column("updated_at", TIME, nullable=False))
USER = Actor(id=None, email=None, roles=frozenset({"staff"}))

LABELS = Table(
    "_labels",
    (
        Column("id", ColumnType(Storage.UUID), nullable=False),
        *(Column(name, TEXT) for name in ("entity", "field", "text", "color", "secret")),
        *TIMES,
    ),
    ("id",),
    (Index("idx__labels_entity", ("entity",)),),
)
THEMES = Table(
    "_themes", (Column("name", TEXT, nullable=False), Column("config", ColumnType(Storage.JSON)), *TIMES), ("name",)
)


def parse_label(body, model):
    if body.get("entity") not in model.entities:
        raise ValidationFailed(f"entity not found: {body.get('entity')}")
    if not body.get("text"):
        raise ValidationFailed("text is required")
    return {name: body.get(name) for name in ("entity", "field", "text", "secret")} | {
        "color": body.get("color", "red")
    }


def check_label(label, former, model):
    others = [stored.item for stored in model.of("labels").values()]
    if any((other["entity"], other["text"]) == (label["entity"], label["text"]) for other in others):
        raise Conflict(f"Label already exists: {label['text']}")


LABEL_KIND = MetadataKind(
    name="labels",
    singular="label",
    path="field-labels",
    noun="Label",
    table=LABELS,
    rank=120,
    order_by=("entity", "text"),
    parse=parse_label,
    body=lambda row: {name: row[name] for name in ("entity", "field", "text", "color", "secret")},
    row=dict,
    identity=lambda label: (label["entity"], label["text"]),
    value=lambda label: label["color"],
    export=lambda label: {name: label[name] for name in ("entity", "text", "color")},
    label=lambda body: f"{body.get('entity')}/{body.get('text')}",
    check=check_label,
    uses_field=lambda label, entity, field: (
        f"label {label['text']}" if (label["entity"], label["field"]) == (entity, field) else None
    ),
    entities=lambda label: (label["entity"],),
    hidden=("secret",),
)
THEME_KIND = MetadataKind(
    name="themes",
    singular="theme",
    path="themes",
    noun="Theme",
    table=THEMES,
    rank=110,
    key="name",
    order_by=("name",),
    parse=lambda body, model: {"name": body.get("name"), "config": body.get("config", {})},
    body=lambda row: {"name": row["name"], "config": row["config"]},
    row=dict,
    identity=lambda theme: theme["name"],
    value=lambda theme: theme["config"],
    export=lambda theme: theme,
    label=lambda body: str(body.get("name")),
    entities=lambda theme: (theme["config"].get("entity"),),
    orphaned=lambda theme: {"config": {"orphan": True}},
    on_difference="overwrite",
    readers="authenticated",
    partial_update=False,
)


class Labels(Plugin):
    name = "labels"

    @hookimpl
    def register_metadata_kinds(self):
        return [LABEL_KIND, THEME_KIND]


@pytest.fixture
async def client(start_kernel):
    client = await (await start_kernel([Labels, Actors])).client.app("shop")
    await client.define(entity("post", title="string", note="string"), entity("tag", name="string"))
    return client


async def texts(client):
    return [row["text"] for row in (await client.get("_admin/field-labels")).data]


async def test_five_routes(client, clock):
    given = {"entity": "post", "text": "Title", "secret": "s", "unknown": 1}
    made = (await client.post("_admin/field-labels", given)).require(201).data
    row = {"id": made["id"], "entity": "post", "field": None, "text": "Title", "color": "red"}
    assert made == {**row, "created_at": NOW, "updated_at": NOW}
    assert len(made["id"]) == 36
    await client.create("_admin/field-labels", {"entity": "post", "text": "Body"})
    assert await texts(client) == ["Body", "Title"]
    for id in (made["id"], made["id"].upper()):
        assert (await client.get(f"_admin/FIELD-labels/{id}")).require(200).data == made
    clock.advance(hours=1)
    # What is not sent is kept, hidden columns too.
    changed = (await client.put(f"_admin/field-labels/{made['id']}", {"color": "blue"})).require(200).data
    assert changed == {**made, "color": "blue", "updated_at": LATER}
    async with (await client.kernel.apps.app("shop")).reading() as (session, _registry):
        row = await TableRows(LABELS).first(session, {"id": made["id"]})
    assert (row["secret"], row["text"], row["color"]) == ("s", "Title", "blue")
    gone = (await client.delete(f"_admin/field-labels/{made['id']}")).require(200)
    assert gone.json == {"data": {"id": made["id"], "deleted": True}}
    for id in (made["id"], SOME_ID, "x"):
        for method in ("GET", "PUT", "DELETE"):
            answer = await client.request(method, f"_admin/field-labels/{id}")
            assert_error(answer, 404, "NOT_FOUND", f"Label not found: {id}", [])
    assert await texts(client) == ["Body"]
    assert (await client.patch("_admin/field-labels/x")).status == 405
    for method, path in (("GET", "field-labels"), ("POST", "field-labels"), ("DELETE", "themes/x"), ("POST", "themes")):
        refused = await client.as_actor(USER).request(method, f"_admin/{path}")
        assert_error(refused, 403, "FORBIDDEN", "Admin access required", [])
    assert (await client.as_actor(USER).get("_admin/themes")).data == []


async def test_definitions_are_checked(client):
    for body, message in (({}, "entity not found: None"), ({"entity": "post"}, "text is required")):
        assert_error(await client.post("_admin/field-labels", body), 422, "VALIDATION_FAILED", message, [])
    made = await client.create("_admin/field-labels", {"entity": "post", "text": "a"})
    await client.create("_admin/field-labels", {"entity": "post", "text": "b"})
    taken = (409, "CONFLICT", "Label already exists: b")
    assert_error(await client.post("_admin/field-labels", {"entity": "post", "text": "b"}), *taken)
    assert_error(await client.put(f"_admin/field-labels/{made['id']}", {"text": "b"}), *taken)
    (await client.put(f"_admin/field-labels/{made['id']}", {"text": "a"})).require(200)
    assert await texts(client) == ["a", "b"]


async def test_a_kind_whose_key_is_a_name(client):
    made = (await client.post("_admin/themes", {"name": "Dark", "config": {"b": 1, "a": 2}})).require(201).data
    assert made == {"name": "Dark", "config": {"a": 2, "b": 1}, "created_at": NOW, "updated_at": NOW}
    replaced = (await client.put("_admin/themes/Dark", {"name": "other"})).require(200).data
    assert replaced == {**made, "config": {}}
    assert_error(await client.get("_admin/themes/dark"), 404, "NOT_FOUND", "Theme not found: dark")
    assert (await client.post("_admin/themes", {"name": "Dark"})).status == 409
    assert (await client.delete("_admin/themes/Dark")).data == {"name": "Dark", "deleted": True}


async def test_items_go_with_their_entity_unless_they_are_kept(client):
    for name in ("post", "tag"):
        await client.create("_admin/field-labels", {"entity": name, "text": name})
        await client.create("_admin/themes", {"name": name, "config": {"entity": name}})
    (await client.delete("_admin/entities/post")).require(200)
    assert await texts(client) == ["tag"]
    themes = (await client.get("_admin/themes")).data
    assert {row["name"]: row["config"] for row in themes} == {"post": {"orphan": True}, "tag": {"entity": "tag"}}


async def test_a_field_in_use_stays(client):
    made = await client.create("_admin/field-labels", {"entity": "post", "text": "T", "field": "title"})
    without = entity("post", note="string")
    refused = await client.put("_admin/entities/post", without)
    assert_error(refused, 422, "VALIDATION_FAILED", "field title is used by label T", [])
    (await client.put("_admin/entities/post", entity("post", title="string"))).require(200)
    (await client.delete(f"_admin/field-labels/{made['id']}")).require(200)
    (await client.put("_admin/entities/post", without)).require(200)


DOCUMENT = {
    "entities": [entity("extra", name="string")],
    "labels": [
        {"entity": "post", "text": "z"},
        {"entity": "extra", "text": "a", "color": "blue"},
        {"entity": "nowhere", "text": "x"},
        5,
        {"entity": "post"},
        {"entity": "post", "text": "y"},
    ],
    "themes": [{"name": "dark", "config": {"a": 1}}],
}
ERRORS = ["label nowhere/x: entity not found: nowhere", "label: object expected", "label post/None: text is required"]


async def test_export_and_import(client):
    plan = (await client.post("_admin/import?mode=plan", DOCUMENT)).require(200).data
    assert [(change["action"], change["kind"], change["key"]) for change in plan["changes"]] == [
        ("create", "entity", "extra"),
        ("create", "theme", "dark"),
        ("create", "label", "post/z"),
        ("create", "label", "extra/a"),
        ("create", "label", "post/y"),
    ]
    assert plan["errors"] == ERRORS
    assert await texts(client) == []
    answer = (await client.post("_admin/import", DOCUMENT)).require(200).data
    counts = answer["summary"]
    assert list(counts)[-3:] == ["themes", "labels", "records"]
    assert (counts["entities"], counts["themes"], counts["labels"]) == (1, 1, 3)
    assert answer["errors"] == ERRORS
    exported = (await client.get("_admin/export")).data
    assert list(exported)[-3:] == ["ui_configs", "themes", "labels"]
    assert exported["themes"] == DOCUMENT["themes"]
    assert exported["labels"] == [
        {"entity": "extra", "text": "a", "color": "blue"},
        {"entity": "post", "text": "y", "color": "red"},
        {"entity": "post", "text": "z", "color": "red"},
    ]
    again = (await client.post("_admin/import", {"data": exported})).require(200).data
    assert set(again["summary"].values()) == {0}
    other = await client.app("other")
    await other.post("_admin/import", exported)
    assert (await other.get("_admin/export")).data == exported


async def test_items_that_differ_stay_or_are_overwritten(client):
    await client.post("_admin/import", DOCUMENT)
    differing = {
        "labels": [{"entity": "post", "text": "y", "color": "green"}, {"entity": "post", "text": "z"}],
        "themes": [{"name": "dark", "config": {"a": 2}}],
    }
    expected = [("update", "theme", "dark"), ("skip", "label", "post/y")]
    plan = (await client.post("_admin/import?mode=plan", differing)).data["changes"]
    assert [(change["action"], change["kind"], change["key"]) for change in plan] == expected
    counts = (await client.post("_admin/import", differing)).data["summary"]
    assert (counts["labels"], counts["themes"]) == (0, 1)
    assert (await client.get("_admin/themes/dark")).data["config"] == {"a": 2}
    colors = {row["text"]: row["color"] for row in (await client.get("_admin/field-labels")).data}
    assert colors == {"a": "blue", "y": "red", "z": "red"}


async def test_one_stored_row_answers_for_one_item(client):
    twice = {"labels": [{"entity": "post", "text": "same"}] * 2}
    first = (await client.post("_admin/import", twice)).data
    assert (first["summary"]["labels"], first["errors"]) == (1, ["label post/same: Label already exists: same"])
    second = (await client.post("_admin/import", twice)).data
    assert (second["summary"]["labels"], second["errors"]) == (0, first["errors"])


async def test_without_the_plugin_its_routes_do_not_exist(start_kernel, client):
    await client.create("_admin/field-labels", {"entity": "post", "text": "kept"})
    bare = (await start_kernel()).client.in_app("shop")
    assert_error(await bare.get("_admin/field-labels"), 404, "UNKNOWN_ENTITY", "Unknown entity: _admin", [])
    assert "labels" not in (await bare.get("_admin/export")).data
    await bare.create("post", {"title": "x"})
    assert await texts(client) == ["kept"]
