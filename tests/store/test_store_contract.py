"""What every database has to do, run over both."""

# ruff: noqa: PT012 - what raises is a transaction, which is a block

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from rocket_kernel.errors import (
    ConnectionLost,
    ForeignKeyViolation,
    InternalError,
    NotNullViolation,
    StorageFull,
    StoreBusy,
    Unavailable,
    UniqueViolation,
    ValidationFailed,
)
from rocket_kernel.store.columns import Column, ColumnType, Index, Storage, Table
from rocket_kernel.store.migrate import apply_table
from rocket_kernel.store.protocol import Server, Session, Store
from rocket_kernel.store.sqlite import SqliteServer
from rocket_kernel.store.table_rows import TableRows
from rocket_kernel.testing.postgres import postgres_address

TEXT = ColumnType(Storage.TEXT)
INTEGER = ColumnType(Storage.INTEGER)

PARENTS = Table("parents", (Column("id", INTEGER, nullable=False),), ("id",))
ITEMS = Table(
    "items",
    (
        Column("id", INTEGER, nullable=False),
        Column("name", TEXT, nullable=False),
        Column("code", TEXT),
        Column("fee", ColumnType(Storage.DECIMAL)),
        Column("parent", INTEGER, references="parents.id"),
    ),
    ("id",),
    (Index("idx_items_code", ("code",), unique=True), Index("idx_items_fee", ("fee",), unique=True)),
)
ROWS = TableRows(ITEMS)

# Counts far enough to take minutes unless something stops it.
COUNT = "SELECT (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) SELECT count(*) FROM n)"
FOREVER = COUNT.format(2_000_000_000)


@pytest.fixture
async def items(store: Store) -> Store:
    async with store.schema_change() as tx:
        await apply_table(tx, PARENTS)
        await apply_table(tx, ITEMS)
    return store


async def names(store: Store) -> list[str]:
    async with store.read() as session:
        return [row["name"] for row in await ROWS.select(session, order_by=("id",))]


async def put(store: Store, id: int, name: str | None = "x", **values: object) -> None:
    async with store.write() as tx:
        await ROWS.insert(tx, {"id": id, "name": name, **values})


# Transactions


async def test_a_write_commits_when_its_block_ends(items: Store) -> None:
    await put(items, 1, "a")
    assert await names(items) == ["a"]


async def test_a_write_that_raises_leaves_nothing(items: Store) -> None:
    with pytest.raises(ZeroDivisionError):
        async with items.write() as tx:
            await ROWS.insert(tx, {"id": 1, "name": "a"})
            raise ZeroDivisionError
    assert await names(items) == []


async def test_an_empty_write_is_fine(items: Store) -> None:
    async with items.write():
        pass
    async with items.read():
        pass


async def test_ddl_is_rolled_back_too(store: Store) -> None:
    with pytest.raises(ZeroDivisionError):
        async with store.schema_change() as tx:
            await apply_table(tx, PARENTS)
            raise ZeroDivisionError
    async with store.schema_change() as tx:
        assert await apply_table(tx, PARENTS)


async def test_the_counts_of_execute(items: Store) -> None:
    async with items.write() as tx:
        assert await tx.execute("INSERT INTO items (id, name) VALUES (1, 'a'), (2, 'b')") == 2
        assert await tx.execute("UPDATE items SET name = 'c' WHERE id > 1") == 1
        assert await tx.execute("DELETE FROM items WHERE id > 5") == 0
        assert await tx.execute("CREATE TABLE other (id INTEGER)") == 0


async def test_cancelled_between_statements(items: Store) -> None:
    inserted = asyncio.Event()

    async def request() -> None:
        async with items.write() as tx:
            await ROWS.insert(tx, {"id": 1, "name": "a"})
            inserted.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(request())
    await inserted.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await names(items) == []
    await put(items, 1, "b")
    assert await names(items) == ["b"]


@pytest.mark.parametrize("kind", ["read", "write"])
async def test_cancelled_within_a_statement(items: Store, kind: str) -> None:
    started = time.monotonic()
    for _ in range(5):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1), items.write() if kind == "write" else items.read() as session:
                if kind == "write":
                    await session.execute("INSERT INTO items (id, name) VALUES (1, 'a')")
                await session.fetch(FOREVER)
    assert await names(items) == []
    await put(items, 1, "b")
    assert await names(items) == ["b"]
    assert time.monotonic() - started < 5


async def watched(work: Coroutine[Any, Any, int]) -> tuple[int, float, float]:
    """Its result, how long it took, and the longest time for which it kept everybody else waiting."""
    longest, began = 0.0, time.monotonic()
    last = began
    task = asyncio.create_task(work)
    while not task.done():
        await asyncio.sleep(0.001)
        longest, last = max(longest, time.monotonic() - last), time.monotonic()
    return task.result(), last - began, longest


@pytest.mark.parametrize("kind", ["read", "write", "run"])
async def test_a_long_statement_keeps_nobody_waiting(items: Store, kind: str) -> None:
    async def count(session: Session) -> int:
        rows = await session.fetch(COUNT.format(1_000_000))
        return int(rows[0][0])

    async def request() -> int:
        if kind == "run":
            return await items.run(count)
        async with items.write() if kind == "write" else items.read() as session:
            return await count(session)

    await items.ping()
    result, took, longest = await watched(request())
    assert result == 1_000_000
    assert longest < took / 2


async def test_a_long_write_keeps_others_waiting_only_once(items: Store) -> None:
    update = f"UPDATE items SET name = name WHERE id < ({COUNT.format(1_000_000)})"
    await put(items, 1)

    async def request() -> int:
        async with items.write() as tx:
            return await tx.execute(update)

    for round in range(3):
        result, took, longest = await watched(request())
        assert result == 1
        if round:
            assert longest < took / 2


async def test_cancelled_at_any_moment(items: Store) -> None:
    """Whatever the moment, the row is there whole or not at all, and the connection serves the next request."""
    for attempt in range(60):
        task = asyncio.create_task(put(items, attempt, "x", code=str(attempt)))
        await asyncio.sleep(attempt * 0.0001)
        task.cancel()
        await asyncio.wait([task])
    await put(items, 1000)
    async with items.read() as session:
        found = {row["id"]: row["code"] for row in await ROWS.select(session)}
    assert all(code == str(id) for id, code in found.items() if id != 1000)


async def test_a_session_is_dead_after_its_block(items: Store) -> None:
    async with items.read() as session:
        pass
    async with items.write() as tx:
        pass
    for dead in (session, tx):
        with pytest.raises(InternalError):
            await dead.fetch("SELECT 1")


async def test_an_error_that_is_swallowed_does_not_commit_half(items: Store) -> None:
    async def swallow() -> None:
        async with items.write() as tx:
            await ROWS.insert(tx, {"id": 1, "name": "a"})
            with pytest.raises(UniqueViolation):
                await ROWS.insert(tx, {"id": 1, "name": "b"})

    if items.dialect.capabilities.failed_statement_ends_transaction:
        with pytest.raises(InternalError):
            await swallow()
        assert await names(items) == []
    else:
        await swallow()
        assert await names(items) == ["a"]


# Savepoints


async def test_a_savepoint_undoes_its_own_part(items: Store) -> None:
    async with items.write() as tx:
        await ROWS.insert(tx, {"id": 1, "name": "a"})
        with pytest.raises(UniqueViolation):
            async with tx.savepoint():
                await ROWS.insert(tx, {"id": 2, "name": "b"})
                await ROWS.insert(tx, {"id": 1, "name": "again"})
        async with tx.savepoint():
            await ROWS.insert(tx, {"id": 3, "name": "c"})
            with pytest.raises(ZeroDivisionError):
                async with tx.savepoint():
                    await ROWS.insert(tx, {"id": 4, "name": "d"})
                    raise ZeroDivisionError
    assert await names(items) == ["a", "c"]


async def test_a_savepoint_that_is_timed_out(items: Store) -> None:
    async with items.write() as tx:
        await ROWS.insert(tx, {"id": 1, "name": "a"})
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1), tx.savepoint():
                await ROWS.insert(tx, {"id": 2, "name": "b"})
                await asyncio.sleep(60)
        await ROWS.insert(tx, {"id": 3, "name": "c"})
    assert await names(items) == ["a", "c"]


# Reading


@pytest.mark.parametrize("snapshot", [True, False])
async def test_what_a_reader_sees(items: Store, *, snapshot: bool) -> None:
    await put(items, 1, "a")
    async with items.read(snapshot=snapshot) as session:
        assert await ROWS.count(session) == 1
        await put(items, 2, "b")
        assert await ROWS.count(session) == (1 if snapshot else 2)
    assert await names(items) == ["a", "b"]


async def test_a_reader_does_not_write(items: Store) -> None:
    with pytest.raises(InternalError):
        async with items.read() as session:
            await session.execute("INSERT INTO items (id, name) VALUES (1, 'a')")
    assert await names(items) == []


async def test_ping(store: Store) -> None:
    await store.ping()


# Constraints


async def test_unique_violations_tell_what_was_violated(items: Store) -> None:
    await put(items, 1, code="c", fee="12.5")
    with pytest.raises(UniqueViolation) as primary:
        await put(items, 1)
    assert (primary.value.table, primary.value.columns) == ("items", ("id",))
    with pytest.raises(UniqueViolation) as code:
        await put(items, 2, code="c")
    assert (code.value.table, code.value.columns) == ("items", ("code",))
    with pytest.raises(UniqueViolation) as fee:
        await put(items, 2, fee="12.50")
    assert fee.value.index == "idx_items_fee" or fee.value.columns == ("fee",)


async def test_other_violations(items: Store) -> None:
    with pytest.raises(NotNullViolation) as missing:
        await put(items, 1, None)
    assert (missing.value.table, missing.value.column) == ("items", "name")
    with pytest.raises(ForeignKeyViolation):
        await put(items, 1, parent=7)


async def test_a_referred_row_takes_those_that_refer_to_it_along(items: Store) -> None:
    async with items.write() as tx:
        await tx.execute("INSERT INTO parents (id) VALUES (1)")
        await ROWS.insert(tx, {"id": 1, "name": "a", "parent": 1})
        await tx.execute("DELETE FROM parents")
    assert await names(items) == []


@pytest.mark.parametrize("value", [2**63, 2**100, "\ud800"])
async def test_values_that_no_driver_can_pass_on(items: Store, value: object) -> None:
    with pytest.raises(ValidationFailed):
        if isinstance(value, int):
            await put(items, value)
        else:
            await put(items, 1, str(value))


# Trouble


async def test_a_full_disk_fails_writes_and_goes_by(tmp_path: Path) -> None:
    server = SqliteServer(tmp_path)
    await server.create_database("full")
    store = await server.open("full", pool_size=1)
    async with store.write() as tx:
        await apply_table(tx, PARENTS)
        await apply_table(tx, ITEMS)
        await ROWS.insert(tx, {"id": 1, "name": "a"})
    async with store.write() as tx:
        (pages,) = (await tx.fetch("PRAGMA page_count"))[0]
        await tx.fetch(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StorageFull):
        await put(store, 2, "x" * 100_000)
    assert await names(store) == ["a"]
    async with store.write() as tx:
        await tx.fetch("PRAGMA max_page_count = 100000")
    await put(store, 2, "x" * 100_000)
    await server.close()


async def test_a_transaction_that_the_database_ended_runs_nothing_more(tmp_path: Path) -> None:
    server = SqliteServer(tmp_path)
    await server.create_database("ended")
    store = await server.open("ended", pool_size=1)
    with pytest.raises(Unavailable):
        async with store.write() as tx:
            await tx.execute("CREATE TABLE t (a)")
            await tx.execute("ROLLBACK")
            await tx.execute("CREATE TABLE u (a)")
    async with store.read() as session:
        assert await session.fetch("SELECT name FROM sqlite_schema") == []
    await server.close()


async def test_a_connection_that_breaks_is_replaced() -> None:
    name = f"test_{secrets.token_hex(6)}"
    server = postgres_address().server()
    await server.create_database(name)
    store = await server.open(name, pool_size=2)
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with pytest.raises(ConnectionLost):
        async with store.write() as tx:
            await tx.execute("CREATE TABLE t (a INTEGER)")
            async with store.read() as other:
                await other.fetch(kill)
            await tx.execute("INSERT INTO t VALUES (1)")
    await store.ping()
    async with store.read() as session:
        assert await session.fetch("SELECT to_regclass('t')::text") == [(None,)]
    await server.drop_database(name)
    await server.close()


# Waiting


async def test_fifty_writers_queue(items: Store) -> None:
    await put(items, 1, "0")

    async def increment() -> None:
        async with items.write() as tx:
            row = await ROWS.first(tx, {"id": 1}, lock=True)
            assert row is not None
            await ROWS.update(tx, {"id": 1}, {"name": str(int(row["name"]) + 1)})

    # More than the pool of three holds.
    await asyncio.gather(*(increment() for _ in range(50)))
    assert await names(items) == ["50"]


async def test_two_servers_write_to_one_database(
    items: Store, make_server: Callable[[], Server], database: str
) -> None:
    """As two processes would: they share nothing but the database."""
    other_server = make_server()
    other = await other_server.open(database, pool_size=2)
    await asyncio.gather(*(put(store, base + n) for base, store in ((0, items), (100, other)) for n in range(40)))
    assert len(await names(items)) == len(await names(other)) == 80
    await other_server.close()


@pytest.mark.parametrize("kind", ["read", "write"])
async def test_an_exhausted_pool_is_unavailable_in_time(
    server: Server, database: str, make_server: Callable[..., Server], kind: str
) -> None:
    impatient = make_server(wait_s=0.3)
    items = await impatient.open(database, pool_size=3)
    release = asyncio.Event()

    async def hold() -> None:
        async with items.write() if kind == "write" else items.read() as session:
            await session.fetch("SELECT 1")
            await release.wait()

    holders = [asyncio.create_task(hold()) for _ in range(3 if kind == "read" else 1)]
    await asyncio.sleep(0.1)
    if kind == "write" and items.dialect.capabilities.locks_rows:
        holders += [asyncio.create_task(hold()) for _ in range(2)]
        await asyncio.sleep(0.1)
    started = time.monotonic()
    with pytest.raises(Unavailable) as caught:
        async with items.write() if kind == "write" else items.read() as session:
            await session.fetch("SELECT 1")
    assert time.monotonic() - started < 1
    assert caught.value.headers["Retry-After"]
    release.set()
    await asyncio.gather(*holders)
    await items.ping()
    await impatient.close()


async def test_a_cancelled_wait_takes_no_place(items: Store) -> None:
    async with items.read(), items.read(), items.read():
        waiting = asyncio.create_task(items.ping())
        await asyncio.sleep(0.05)
        waiting.cancel()
        await asyncio.wait([waiting])
    async with items.read() as one, items.read() as two, items.read() as three:
        for session in (one, two, three):
            await session.fetch("SELECT 1")


async def test_one_schema_change_at_a_time(store: Store, make_server: Callable[[], Server], database: str) -> None:
    other_server = make_server()
    other = await other_server.open(database, pool_size=2)
    running = 0

    async def change(where: Store) -> None:
        nonlocal running
        async with where.schema_change() as tx:
            await tx.fetch("SELECT 1")
            running += 1
            assert running == 1
            await asyncio.sleep(0.02)
            running -= 1

    await asyncio.gather(*(change(where) for where in (store, other, store, other)))
    await other_server.close()


async def test_writers_of_another_process_are_not_waited_for_for_ever(tmp_path: Path) -> None:
    servers = [SqliteServer(tmp_path, write_timeout_s=0.3) for _ in range(2)]
    await servers[0].create_database("shared")
    first, second = [await server.open("shared", pool_size=1) for server in servers]
    async with first.write() as tx:
        await tx.execute("CREATE TABLE t (a)")
        with pytest.raises(StoreBusy):
            async with second.write() as other:
                await other.execute("CREATE TABLE u (a)")
    async with second.write() as other:
        await other.execute("CREATE TABLE u (a)")
    for server in servers:
        await server.close()
