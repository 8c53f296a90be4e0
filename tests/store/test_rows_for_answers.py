"""Rows of system tables as answers show them, without taking their documents apart."""

from __future__ import annotations

from rocket_kernel import json_text
from rocket_kernel.store.columns import Column, ColumnType, Storage, Table
from rocket_kernel.store.migrate import apply_table
from rocket_kernel.store.protocol import Store
from rocket_kernel.store.table_rows import TableRows

NOTES = Table(
    name="_notes",
    columns=(
        Column("id", ColumnType(Storage.INTEGER), nullable=False),
        Column("at", ColumnType(Storage.TIMESTAMP)),
        Column("body", ColumnType(Storage.DOCUMENT)),
        Column("hidden", ColumnType(Storage.TEXT)),
        Column("done", ColumnType(Storage.BOOLEAN), nullable=False, default=False),
    ),
    primary_key=("id",),
)
COLUMNS = ("body", "id", "at", "done")


async def test_they_encode_to_the_same_text_as_rows_that_were_taken_apart(store: Store) -> None:
    rows = TableRows(NOTES)
    body = {"z": [1, 2.5, "ä\n"], "a": {"deep": None}}
    async with store.write() as tx:
        await apply_table(tx, NOTES)
        for id, document in ((1, body), (2, None), (3, []), (4, "text")):
            await rows.insert(tx, {"id": id, "at": "2026-01-02T03:04:05.678Z", "body": document, "hidden": "x"})
    async with store.read() as session:
        where = {"id": [1, 2, 3]}
        found = await rows.select_for_answer(session, where, columns=COLUMNS, beside="hidden", order_by=("-id",))
        none = await rows.select_for_answer(session, {"id": 9}, columns=COLUMNS, beside="hidden")
        taken_apart = await rows.select(session, {"id": [1, 2, 3]}, order_by=("-id",))
    shown = [row for row, _ in found]
    assert json_text.encode(shown) == json_text.encode([{name: row[name] for name in COLUMNS} for row in taken_apart])
    assert [other for _, other in found] == ["x"] * 3
    assert none == []
