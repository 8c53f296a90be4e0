"""Shapes of statements that plugins need for their system tables: claims, heads, windows, values of the row itself."""

# ruff: noqa: PT012 - what raises is a transaction, which is a block

from __future__ import annotations

import asyncio

import msgspec
import pytest

from rocket_kernel.store.columns import Column, ColumnType, Index, Storage, Table
from rocket_kernel.store.migrate import apply_table
from rocket_kernel.store.protocol import Store
from rocket_kernel.store.table_rows import Comparison, Increment, Of, TableRows, Within

TEXT = ColumnType(Storage.TEXT)
INTEGER = ColumnType(Storage.INTEGER)
TASKS = Table(
    "_tasks",
    (
        Column("id", INTEGER, nullable=False),
        Column("queue", TEXT),
        Column("due", ColumnType(Storage.TIMESTAMP)),
        Column("owner", TEXT),
        Column("tries", INTEGER, nullable=False, default=0),
        Column("most", INTEGER, nullable=False, default=3),
        Column("note", ColumnType(Storage.DOCUMENT)),
    ),
    ("id",),
    (Index("idx__tasks_due", ("queue", "due"), present_only=True),),
)
ROWS = TableRows(TASKS)


def at(second: int) -> str:
    return f"2026-01-02T03:04:{second:02}.000Z"


@pytest.fixture
async def tasks(store: Store) -> Store:
    async with store.schema_change() as tx:
        await apply_table(tx, TASKS)
        # A second time changes nothing: the index that covers some rows only is known again.
        assert await apply_table(tx, TASKS) == []
    return store


async def put(store: Store, *rows: tuple[int, str | None, int | None]) -> None:
    async with store.write() as tx:
        listed = [{"id": id, "queue": queue, "due": None if due is None else at(due)} for id, queue, due in rows]
        await ROWS.insert_many(tx, listed)


async def test_a_claim_takes_the_first_rows_in_order(tasks: Store) -> None:
    await put(tasks, (1, "a", 9), (2, "a", 3), (3, "b", 1), (4, "a", 5), (5, None, 1))
    due = {"queue": "a", "due": Comparison("<=", at(9))}
    async with tasks.write() as tx:
        taken = await ROWS.claim(tx, due, {"owner": "me", "due": at(30)}, order_by=("due",), limit=2)
        assert [(row["id"], row["owner"], row["due"]) for row in taken] == [(2, "me", at(30)), (4, "me", at(30))]
        assert [row["id"] for row in await ROWS.claim(tx, due, {"owner": "me"}, order_by=("due",), limit=2)] == [1]
        assert await ROWS.claim(tx, {"queue": "z"}, {"owner": "me"}, order_by=("due",), limit=2) == []
    async with tasks.read() as session:
        assert {row["id"]: row["owner"] for row in await ROWS.select(session)} == {
            1: "me",
            2: "me",
            3: None,
            4: "me",
            5: None,
        }


async def test_claims_at_the_same_time_get_different_rows(tasks: Store) -> None:
    await put(tasks, *((number, "a", 1) for number in range(30)))
    ready = asyncio.Barrier(3)

    async def take(owner: str) -> list[int]:
        await ready.wait()
        async with tasks.write() as tx:
            free = {"queue": "a", "owner": None}
            rows = await ROWS.claim(tx, free, {"owner": owner}, order_by=("id",), limit=10)
            await asyncio.sleep(0.05)
            return [row["id"] for row in rows]

    taken = [id for ids in await asyncio.gather(*map(take, "xyz")) for id in ids]
    assert sorted(taken) == list(range(30))


async def test_a_claim_that_is_undone_frees_its_rows(tasks: Store) -> None:
    await put(tasks, (1, "a", 1))
    with pytest.raises(ZeroDivisionError):
        async with tasks.write() as tx:
            await ROWS.claim(tx, {"owner": None}, {"owner": "me"}, order_by=("id",), limit=1)
            raise ZeroDivisionError
    async with tasks.write() as tx:
        assert len(await ROWS.claim(tx, {"owner": None}, {"owner": "you"}, order_by=("id",), limit=1)) == 1


async def test_heads(tasks: Store) -> None:
    async with tasks.read() as session:
        assert await ROWS.heads(session, "queue", "due") == []
    await put(tasks, (1, "b", 9), (2, "a", 3), (3, "b", 1), (4, "ä", 5), (5, None, 1), (6, "c", None), (7, "a", None))
    async with tasks.read() as session:
        assert await ROWS.heads(session, "queue", "due") == [("a", at(3)), ("b", at(1)), ("c", None), ("ä", at(5))]
    # The fast way for reads runs it too.
    assert len(await tasks.run(lambda session: ROWS.heads(session, "queue", "due"))) == 4


async def test_counts_by_a_column(tasks: Store) -> None:
    async with tasks.read() as session:
        assert await ROWS.count_by(session, "queue") == {}
    await put(tasks, (1, "b", 9), (2, "a", 3), (3, "b", 1), (4, None, 5))
    async with tasks.read() as session:
        assert await ROWS.count_by(session, "queue") == {"a": 1, "b": 2, None: 1}
        assert await ROWS.count_by(session, "queue", {"due": Comparison(">", at(3))}) == {"b": 1, None: 1}
        assert await ROWS.count_by(session, "due", {"queue": "a"}) == {at(3): 1}


async def test_windows(tasks: Store) -> None:
    await put(tasks, (1, "a", 1), (2, "a", 5), (3, "a", 9), (4, "a", None))

    async def found(start: int | None, end: int | None) -> list[int]:
        window = Within(None if start is None else at(start), None if end is None else at(end))
        async with tasks.read() as session:
            return [row["id"] for row in await ROWS.select(session, {"due": window, "queue": "a"}, order_by=("id",))]

    assert await found(1, 9) == [1, 2]
    assert await found(5, None) == [2, 3]
    assert await found(None, 5) == [1]
    assert await found(None, None) == [1, 2, 3]
    assert await found(9, 1) == []


async def test_values_that_rows_have(tasks: Store) -> None:
    await put(tasks, (1, "a", 1), (2, "b", 1), (3, "a", 2), (4, None, 3))
    async with tasks.read() as session:
        assert sorted(await ROWS.distinct(session, "due", {"queue": ["a", "b"]})) == [at(1), at(2)]
        assert set(await ROWS.distinct(session, "queue", {})) == {"a", "b", None}
        assert await ROWS.distinct(session, "queue", {"id": 9}) == []


async def test_a_document_can_be_given_as_its_text(tasks: Store) -> None:
    async with tasks.write() as tx:
        await ROWS.insert_many(tx, [{"id": 1, "note": msgspec.Raw(b'{"b":[1,"\xc3\xa4"],"a":null}')}])
        await ROWS.insert_many(tx, [{"id": 2, "note": None}, {"id": 3, "note": {"a": 1}}])
    async with tasks.read() as session:
        notes = [row["note"] for row in await ROWS.select(session, order_by=("id",))]
    assert notes == [{"b": [1, "ä"], "a": None}, None, {"a": 1}]
    assert list(notes[0]) == ["b", "a"]


async def test_values_of_the_row_itself(tasks: Store) -> None:
    await put(tasks, (1, "a", 1), (2, "b", 2))
    async with tasks.write() as tx:
        await ROWS.update(tx, {"id": 2}, {"tries": Increment(4)})
        assert await ROWS.update(tx, {}, {"most": Of("tries", plus=3), "owner": Of("queue"), "note": {"a": 1}}) == 2
    async with tasks.read() as session:
        rows = await ROWS.select(session, order_by=("id",))
    assert [(row["tries"], row["most"], row["owner"], row["note"]) for row in rows] == [
        (0, 3, "a", {"a": 1}),
        (4, 7, "b", {"a": 1}),
    ]


async def test_rows_that_bring_the_same_columns_are_stored_at_once(tasks: Store) -> None:
    async with tasks.write() as tx:
        await ROWS.insert_many(tx, [])
        await ROWS.insert_many(tx, ({"id": id, "note": {"b": id, "a": None}} for id in range(3)))
    async with tasks.read() as session:
        rows = await ROWS.select(session, order_by=("id",))
    assert [(row["id"], row["note"], row["most"]) for row in rows] == [(id, {"b": id, "a": None}, 3) for id in range(3)]


def test_a_table_knows_its_columns_by_name() -> None:
    assert TASKS.column("due") is TASKS.columns[2]
    with pytest.raises(KeyError):
        TASKS.column("gone")
