"""A kind that keeps other rows in step with its items, and counts their versions."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from rocket_kernel import (
    Change,
    Column,
    ColumnType,
    Conflict,
    MetadataKind,
    Plugin,
    Stage,
    Step,
    Storage,
    Table,
    TableRows,
    hookimpl,
)
from rocket_kernel.testing import assert_error, entity

_TEXT = ColumnType(Storage.TEXT)
LABELS = Table(
    name="_labels",
    columns=(
        Column("id", ColumnType(Storage.UUID), nullable=False),
        Column("entity", _TEXT, nullable=False),
        Column("text", _TEXT),
        Column("edition", ColumnType(Storage.INTEGER), nullable=False, default=1),
        Column("created_at", ColumnType(Storage.TIMESTAMP), nullable=False),
        Column("updated_at", ColumnType(Storage.TIMESTAMP), nullable=False),
    ),
    primary_key=("id",),
)
DIARY = Table(
    name="_label_diary",
    columns=(Column("line", _TEXT, nullable=False),),
    primary_key=("line",),
)
PATH = "_admin/labels"


async def told(change: Change[Any]) -> None:
    former, stored = change.former and change.former.item["text"], change.stored and change.stored.item["text"]
    if stored == "refused":
        raise Conflict("not this one")
    await TableRows(DIARY).insert(change.tx, {"line": f"{former} -> {stored}"})


class Labels(Plugin):
    name = "labels"
    version = "1"
    orphaned: ClassVar[Any] = None

    @hookimpl
    def register_metadata_kinds(self) -> list[MetadataKind[Any]]:
        return [
            MetadataKind(
                name="labels",
                singular="label",
                path="labels",
                noun="Label",
                table=LABELS,
                rank=200,
                parse=lambda body, _model: {"entity": body["entity"], "text": body.get("text")},
                body=lambda row: {"entity": row["entity"], "text": row["text"]},
                row=lambda item: item,
                revise=lambda item, former: {"edition": former.row["edition"] + (item["text"] != former.item["text"])},
                changed=told,
                identity=lambda item: (item["entity"], item["text"]),
                value=lambda item: item["text"],
                export=lambda item: item,
                label=lambda body: str(body.get("text")),
                entities=lambda item: (item["entity"],),
                orphaned=self.orphaned,
            )
        ]

    @hookimpl
    def register_tables(self) -> list[Table]:
        return [DIARY]


class Keeping(Labels):
    orphaned = staticmethod(lambda _item: {"text": "orphan"})


async def diary(running: Any) -> list[str]:
    app = await running.kernel.apps.app("shop")
    async with app.reading() as (session, _):
        return [row["line"] for row in await TableRows(DIARY).select(session, order_by=("line",))]


async def test_every_change_is_told_in_its_transaction(start_kernel: Any) -> None:
    running = await start_kernel([Labels])
    client = await running.client.app("shop")
    await client.define(entity("book"))
    label = await client.create(PATH, {"entity": "book", "text": "a"})
    same = (await client.put(f"{PATH}/{label['id']}", {})).require(200).data
    changed = (await client.put(f"{PATH}/{label['id']}", {"text": "b"})).require(200).data
    assert [row["edition"] for row in (label, same, changed)] == [1, 1, 2]
    assert_error(await client.put(f"{PATH}/{label['id']}", {"text": "refused"}), 409, "CONFLICT", "not this one")
    assert_error(await client.post(PATH, {"entity": "book", "text": "refused"}), 409, "CONFLICT", "not this one")
    assert (await client.get(PATH)).data == [changed]
    (await client.delete(f"{PATH}/{label['id']}")).require(200)
    assert await diary(running) == ["None -> a", "a -> a", "a -> b", "b -> None"]


@pytest.mark.parametrize(("plugin", "line"), [(Labels, "a -> None"), (Keeping, "a -> orphan")])
async def test_what_becomes_of_an_item_without_its_entity_is_told(start_kernel: Any, plugin: Any, line: str) -> None:
    running = await start_kernel([plugin])
    client = await running.client.app("shop")
    await client.define(entity("book"))
    await client.create(PATH, {"entity": "book", "text": "a"})
    (await client.delete("_admin/entities/book")).require(200)
    assert await diary(running) == ["None -> a", line]


async def test_an_import_tells_what_it_creates(start_kernel: Any) -> None:
    running = await start_kernel([Labels])
    client = await running.client.app("shop")
    document = {"entities": [entity("book")], "labels": [{"entity": "book", "text": text} for text in ("a", "refused")]}
    answer = (await client.post("_admin/import", document)).require(200).data
    assert answer["errors"] == ["label refused: not this one"]
    assert await diary(running) == ["None -> a"]


class Noting(Plugin):
    """Has something to do after each write of an entity, which may or may not concern records."""

    name = "noting"
    version = "1"

    @hookimpl
    def compile_write_steps(self, entity: Any, model: Any) -> list[Step]:
        async def note(write: Any) -> None:
            write.run.outbox.append({"entity": write.entity.name})

        return [Step(Stage.OUTBOX, "noting:note", note, keeps_records=entity.name == "kept")]


async def test_a_step_that_keeps_records_spares_a_look_at_them(start_kernel: Any) -> None:
    running = await start_kernel([Noting])
    client = await running.client.app("shop")
    await client.define(entity("kept", name="string"), entity("touched", name="string"))
    statements = {
        name: len((await client.post(f"{name}?explain=true", {"name": "x"})).require(200).data["statements"])
        for name in ("kept", "touched")
    }
    assert statements["touched"] == statements["kept"] + 1
