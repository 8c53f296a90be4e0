"""Very many rows by few statements, and transactions that nobody waits for."""

from __future__ import annotations

import sqlite3

import pytest

from rocket_kernel.errors import UniqueViolation
from rocket_kernel.store.columns import Column, ColumnType, Index, Storage, Table
from rocket_kernel.store.migrate import apply_tables
from rocket_kernel.store.table_rows import Comparison, TableRows

NOTES = Table(
    name="_notes",
    columns=(
        Column("id", ColumnType(Storage.UUID), nullable=False),
        Column("at", ColumnType(Storage.TIMESTAMP), nullable=False),
        Column("number", ColumnType(Storage.INTEGER)),
        Column("share", ColumnType(Storage.FLOAT)),
        Column("document", ColumnType(Storage.DOCUMENT)),
        Column("text", ColumnType(Storage.TEXT), nullable=False, default="none"),
    ),
    primary_key=("id",),
    indexes=(Index("idx__notes_at", ("at",)),),
)
ROWS = TableRows(NOTES)
COLUMNS = ("id", "at", "number", "share", "document")


def note(number):
    at = f"2026-01-02T03:04:{number % 60:02}.678Z"
    return (f"00000000-0000-4000-8000-{number:012x}", at, number, number / 4, {"n": number} if number % 2 else None)


@pytest.fixture
async def notes(store):
    async with store.schema_change() as tx:
        await apply_tables(tx, (NOTES,))
    return store


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 100, 123, 351])
async def test_inserted_tuples_are_rows(notes, count):
    rows = [note(number) for number in range(count)]
    async with notes.write() as tx:
        await ROWS.insert_tuples(tx, COLUMNS, rows)
    async with notes.read() as session:
        stored = await ROWS.select(session, {}, order_by=("id",))
        values = await ROWS.select_values(session, {}, columns=COLUMNS, order_by=("id",))
    assert stored == [{**dict(zip(COLUMNS, row, strict=True)), "text": "none"} for row in rows]
    assert [tuple(row) for row in values] == rows


async def test_one_wrong_tuple_undoes_its_savepoint_and_nothing_else(notes):
    async with notes.write() as tx:
        await ROWS.insert_tuples(tx, COLUMNS, [note(1)])
        with pytest.raises(UniqueViolation):
            async with tx.savepoint():
                await ROWS.insert_tuples(tx, COLUMNS, [note(number) for number in (2, 3, 1)])
    async with notes.read() as session:
        assert await ROWS.count(session) == 1


async def test_put_tuples_replace_rows_of_their_key(notes):
    async with notes.write() as tx:
        await ROWS.put_tuples(tx, COLUMNS, [note(number) for number in range(5)])
        id, at, *_ = note(3)
        await ROWS.put_tuples(tx, COLUMNS, [(id, at, 33, None, {"new": True}), note(7)])
    async with notes.read() as session:
        stored = {row["number"]: row for row in await ROWS.select(session)}
    assert sorted(stored) == [0, 1, 2, 4, 7, 33]
    assert stored[33]["document"] == {"new": True}


async def test_chosen_values_are_limited_and_ordered(notes):
    async with notes.write() as tx:
        await ROWS.insert_tuples(tx, COLUMNS, [note(number) for number in range(20)])
    async with notes.read() as session:
        where = {"number": Comparison(">=", 5)}
        found = await ROWS.select_values(session, where, columns=("number", "at"), order_by=("-number",), limit=2)
    assert [tuple(row) for row in found] == [(19, note(19)[1]), (18, note(18)[1])]


async def test_a_transaction_aside_commits_and_rolls_back(notes):
    async with notes.aside() as tx:
        await ROWS.insert_tuples(tx, COLUMNS, [note(1)])
    with pytest.raises(ZeroDivisionError):
        await failing_aside(notes)
    async with notes.read() as session:
        assert await ROWS.count(session) == 1


async def failing_aside(store):
    async with store.aside() as tx:
        await ROWS.insert_tuples(tx, COLUMNS, [note(2)])
        raise ZeroDivisionError


async def version_of(store):
    async def look(session):
        return await session.version()

    return await store.run(look)


async def test_versions_stay_the_same_over_what_is_written_aside_and_over_nothing_else(notes, server, database):
    before = await version_of(notes)
    for number in range(3):
        async with notes.aside() as tx:
            await ROWS.insert_tuples(tx, COLUMNS, [note(number)])
        assert await version_of(notes) == before
    if before is None:
        return  # this database does not tell
    async with notes.write() as tx:
        await ROWS.insert_tuples(tx, COLUMNS, [note(10)])
    after = await version_of(notes)
    assert after != before
    async with notes.aside() as tx:
        await ROWS.insert_tuples(tx, COLUMNS, [note(11)])
    assert await version_of(notes) == after
    other = await server.open(database, pool_size=1)
    async with other.write() as tx:
        await ROWS.insert_tuples(tx, COLUMNS, [note(12)])
    assert await version_of(notes) not in (before, after)


async def test_somebody_elses_commit_beside_one_aside_does_not_go_unnoticed(notes, server, database, monkeypatch):
    """It falls between the commit and the look at who has committed."""
    before = await version_of(notes)
    if before is None:
        assert await version_of(notes) is None
        return
    other = await server.open(database, pool_size=1)
    reader = notes._inline
    looks = 0
    state = reader.state

    def slow_state():
        nonlocal looks
        looks += 1
        if looks == 2:
            with sqlite3.connect(notes.path) as connection:
                connection.execute("UPDATE _notes SET text = 'theirs'")
        return state()

    monkeypatch.setattr(reader, "state", slow_state)
    async with notes.aside() as tx:
        await ROWS.insert_tuples(tx, COLUMNS, [note(1)])
    assert await version_of(notes) != before
    await other.close()


async def test_while_a_commit_aside_is_under_way_a_new_state_has_no_version(notes, monkeypatch):
    """Else what reads remember would be given up for a moment, and with it for good."""
    before = await version_of(notes)
    if before is None:
        assert await version_of(notes) is None
        return
    seen = []
    state = notes._inline.state

    def watched_state():
        found = state()
        notes._inline.run(looking, None)
        return found

    async def looking(session):
        seen.append(await session.version())

    monkeypatch.setattr(notes._inline, "state", watched_state)
    async with notes.aside() as tx:
        await ROWS.insert_tuples(tx, COLUMNS, [note(1)])
    assert seen == [before, None]
    assert await version_of(notes) == before
