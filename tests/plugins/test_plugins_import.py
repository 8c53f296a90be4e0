"""Imports that plugins judge: an item that is refused is skipped and reported, the rest goes on (contract §14.2)."""

import pytest

from rocket_kernel import (
    Column,
    ColumnType,
    MetadataKind,
    Plugin,
    Storage,
    Table,
    TableRows,
    ValidationFailed,
    hookimpl,
)
from rocket_kernel.errors import StorageFull, StoreBusy
from rocket_kernel.store.introspect import names_taken
from rocket_kernel.testing import assert_error, entity, one_to_many

TEXT = ColumnType(Storage.TEXT)
NOTES = Table(
    name="_notes",
    columns=(
        Column("name", TEXT, nullable=False),
        Column("text", TEXT, nullable=False),
        Column("created_at", ColumnType(Storage.TIMESTAMP), nullable=False),
        Column("updated_at", ColumnType(Storage.TIMESTAMP), nullable=False),
    ),
    primary_key=("name",),
)


class Moody(Plugin):
    """Refuses what is evil when it compiles, and breaks on what is odd."""

    name = "moody"

    @hookimpl
    def register_metadata_kinds(self):
        return [
            MetadataKind(
                name="notes",
                singular="note",
                path="notes",
                noun="Note",
                table=NOTES,
                rank=100,
                key="name",
                order_by=("name",),
                parse=lambda body, model: dict(body),
                body=lambda row: {"name": row["name"], "text": row["text"]},
                row=lambda note: {"name": note["name"], "text": note["text"]},
                identity=lambda note: note["name"],
                value=lambda note: note["text"],
                export=lambda note: note,
                label=lambda body: str(body["name"]),
                on_difference="overwrite",
            )
        ]

    @hookimpl
    def compile_write_steps(self, entity, model):
        if entity.name.startswith("odd"):
            raise ZeroDivisionError
        if entity.name.startswith("evil"):
            raise ValidationFailed(f"{entity.name} is not welcome")
        for stored in model.of("notes").values():
            if stored.item["text"] == "evil":
                raise ValidationFailed("such notes are not welcome")
        return []

    @hookimpl
    def compile_read_policy(self, entity, model):
        if "secret" in entity.fields:
            raise ValidationFailed("no secrets")


@pytest.fixture
async def client(start_kernel):
    return await (await start_kernel([Moody])).client.app("shop")


async def everything(client):
    names = ("entities", "relations", "notes")
    return {name: (await client.get(f"_admin/{name}")).require(200).data for name in names}


DOCUMENT = {
    "version": 1,
    "entities": [
        entity("good", title="string"),
        entity("evil", title="string"),
        entity("hidden", secret="string"),
        entity("line", good_id="uuid", n="int"),
        {"name": "Ill named"},
    ],
    "relations": [one_to_many("lines", "good", "line"), one_to_many("evils", "good", "evil", "title")],
    "notes": [{"name": "one", "text": "kind"}, {"name": "two", "text": "evil"}, {"name": "three", "text": "kind"}],
    "sample_data": {"good": [{"title": "a"}], "evil": [{"title": "a"}], "line": [{"n": 1}, {"n": 2}]},
}
ERRORS = [
    "entity evil: evil is not welcome",
    "entity hidden: no secrets",
    "entity Ill named: invalid entity name: Ill named",
    "relation evils: target entity not found: evil",
    "note two: such notes are not welcome",
]


async def test_an_item_that_a_plugin_refuses_is_skipped_and_the_rest_goes_on(client):
    done = (await client.post("_admin/import", DOCUMENT)).require(200).data
    assert done["errors"] == ERRORS
    counts = {name: number for name, number in done["summary"].items() if number}
    assert counts == {"entities": 2, "relations": 1, "notes": 2, "records": 3}
    stored = await everything(client)
    assert [row["name"] for row in stored["entities"]] == ["good", "line"]
    assert [row["name"] for row in stored["notes"]] == ["one", "three"]
    assert (await client.get("good?include=lines")).data[0]["lines"] == []
    assert_error(await client.get("evil"), 404, "UNKNOWN_ENTITY")
    # Nothing of what was refused is left in the database either.
    app = await client.kernel.apps.app("shop")
    async with app.store.read() as session:
        assert await names_taken(session, ["good", "evil", "hidden"]) == {"good"}
    # The same document again: what was refused is refused, what is there stays.
    again = (await client.post("_admin/import", DOCUMENT)).require(200).data
    assert (again["errors"], set(again["summary"].values())) == (ERRORS, {0})


async def test_a_plan_knows_of_refusals(client):
    plan = (await client.post("_admin/import?mode=plan", DOCUMENT)).require(200).data
    assert plan["errors"] == ERRORS
    changes = [(change["kind"], change["key"]) for change in plan["changes"]]
    assert changes == [
        ("entity", "good"),
        ("entity", "line"),
        ("relation", "lines"),
        ("note", "one"),
        ("note", "three"),
    ]
    assert plan["records"] == {"good": 1, "line": 2}
    assert await everything(client) == {"entities": [], "relations": [], "notes": []}


async def test_an_item_that_would_be_overwritten_with_what_is_refused_stays(client):
    await client.define(entity("good", title="string"))
    for name in ("one", "two"):
        (await client.post("_admin/notes", {"name": name, "text": "kind"})).require(201)
    notes = [{"name": "one", "text": "evil"}, {"name": "two", "text": "better"}]
    done = (await client.post("_admin/import", {"notes": notes})).require(200).data
    assert (done["errors"], done["summary"]["notes"]) == (["note one: such notes are not welcome"], 1)
    stored = {row["name"]: row["text"] for row in (await client.get("_admin/notes")).data}
    assert stored == {"one": "kind", "two": "better"}


async def test_a_plugin_that_breaks_is_no_fault_of_an_item(client):
    before = await everything(client)
    answer = await client.post("_admin/import", {"entities": [entity("good"), entity("odd")]})
    assert_error(answer, 500, "INTERNAL_ERROR", "Internal server error")
    assert await everything(client) == before


@pytest.mark.parametrize("trouble", [StorageFull, StoreBusy])
@pytest.mark.parametrize("method", ["insert", "insert_many"])
async def test_a_database_in_trouble_is_no_fault_of_an_item(client, monkeypatch, trouble, method):
    """Half a document must not be stored as if the other half were wrong."""
    real = getattr(TableRows, method)

    async def fail(rows, tx, given):
        if rows.table.name in ("_relations", "line"):
            raise trouble
        return await real(rows, tx, given)

    monkeypatch.setattr(TableRows, method, fail)
    answer = await client.post(
        "_admin/import", {**DOCUMENT, "entities": [entity("good"), entity("line", good_id="uuid")]}
    )
    assert_error(answer, trouble.status, "UNAVAILABLE")
    monkeypatch.undo()
    assert await everything(client) == {"entities": [], "relations": [], "notes": []}
