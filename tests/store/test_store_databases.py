"""Databases and the locks over them, run over both."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
import textwrap
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from rocket_kernel.errors import Conflict, ConnectionLost, Unavailable, ValidationFailed
from rocket_kernel.store.columns import Column, ColumnType, Storage, Table
from rocket_kernel.store.migrate import apply_table
from rocket_kernel.store.protocol import Server, Session, Store
from rocket_kernel.store.sqlite import SqliteServer
from rocket_kernel.testing.postgres import postgres_address

BIGINT = ColumnType(Storage.BIGINT)
PARENTS = Table("parents", (Column("id", ColumnType(Storage.INTEGER), nullable=False),), ("id",))


async def test_databases_come_and_go(server: Server, database: str) -> None:
    assert await server.database_exists(database)
    with pytest.raises(Conflict):
        await server.create_database(database)
    store = await server.open(database, pool_size=1)
    async with store.write() as tx:
        await apply_table(tx, PARENTS)
    await server.drop_database(database)
    assert not await server.database_exists(database)
    await server.drop_database(database)
    await server.create_database(database)
    fresh = await server.open(database, pool_size=1)
    async with fresh.write() as tx:
        assert await apply_table(tx, PARENTS)


async def test_a_database_that_is_not_there(server: Server) -> None:
    store = await server.open("test_absent", pool_size=1)
    with pytest.raises(Unavailable):
        await store.ping()
    assert not await server.database_exists("test_absent")


async def test_a_closed_store(server: Server, store: Store) -> None:
    await store.ping()
    await server.close()
    with pytest.raises((Unavailable, ConnectionLost)):
        await store.ping()


# Long enough that whoever does not wait for it comes back before its end.
SLOW = (
    "SELECT count(*) FROM "
    "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500000) SELECT i FROM n) q"
)


async def read_slowly(store: Store) -> asyncio.Task[None]:
    """A read that is running on its connection."""
    began = asyncio.Event()

    async def read() -> None:
        async with store.read() as session:
            began.set()
            await session.fetch(SLOW)

    reading = asyncio.create_task(read())
    await began.wait()
    await asyncio.sleep(0.02)
    assert not reading.done()
    return reading


async def test_whoever_closes_a_store_waits_for_its_end(store: Store) -> None:
    reading = await read_slowly(store)
    gone, first = (asyncio.create_task(store.close()) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()  # the one that began it
    await store.close()
    await asyncio.wait([reading], timeout=0.1)
    assert reading.done()
    await first
    with pytest.raises((Unavailable, ConnectionLost)):
        await store.ping()


async def test_a_database_that_is_being_closed_is_dropped_when_that_is_done(
    server: Server, store: Store, database: str
) -> None:
    reading = await read_slowly(store)
    closing = asyncio.create_task(store.close())
    await asyncio.sleep(0)
    await server.drop_database(database)
    assert closing.done()
    await asyncio.wait([reading], timeout=0.1)
    assert reading.done()
    assert reading.exception() is None or isinstance(reading.exception(), ConnectionLost)


@pytest.mark.parametrize("rounds", [10, pytest.param(300, marks=pytest.mark.torture)])
async def test_a_store_that_closes_among_writers_lets_each_of_them_end(
    server: Server, database: str, rounds: int
) -> None:
    """None hangs, none touches a connection that is being closed, and what was committed is there."""
    committed = 0

    async def write(store: Store) -> None:
        nonlocal committed
        with suppress(Unavailable):
            while True:
                async with store.write() as tx:
                    async with tx.savepoint():
                        await tx.execute('INSERT INTO "parents" DEFAULT VALUES')
                    await asyncio.sleep(0)
                    await tx.fetch("SELECT 1")
                committed += 1

    store = await server.open(database, pool_size=1)
    async with store.schema_change() as tx:
        await apply_table(tx, Table("parents", (Column("id", BIGINT, nullable=False, identity=True),), ("id",)))
    for number in range(rounds):
        writers = [asyncio.create_task(write(store)) for _ in range(8)]
        await asyncio.sleep(0.001 * (number % 10) + 0.005)
        async with asyncio.timeout(10):
            await store.close()
            await asyncio.gather(*writers)
        store = await server.open(database, pool_size=3)
    async with store.read() as session:
        ((stored,),) = await session.fetch('SELECT count(*) FROM "parents"')
    # A commit whose session was lost may have been done all the same.
    assert 0 < committed <= stored


async def test_a_server_keeps_no_store_that_was_closed(server: Server, database: str) -> None:
    kept = server._stores  # type: ignore[attr-defined]  # of both kinds
    for _ in range(3):
        store = await server.open(database, pool_size=1)
        await store.ping()
        assert len(kept) == 1
        await store.close()
    assert not kept


async def test_a_server_makes_its_own_management_database() -> None:
    name = f"test_{secrets.token_hex(6)}"
    server = postgres_address().server(management=name)
    assert not await server.database_exists(name)
    await server.create_database(name)
    async with server.exclusive("jobs") as had:
        assert had
    await (await server.open(name, pool_size=1)).ping()
    await server.drop_database(name)
    assert not await server.database_exists(name)
    await server.close()


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".", "a.b", "ä"])
async def test_a_database_name_is_no_path(tmp_path: Path, name: str) -> None:
    server = SqliteServer(tmp_path / "data")
    with pytest.raises(ValidationFailed):
        await server.create_database(name)
    assert not (tmp_path / "x.db").exists()


async def test_what_is_set_on_a_file(tmp_path: Path) -> None:
    server = SqliteServer(tmp_path / "deep" / "data", synchronous="extra")
    await server.create_database("d")
    store = await server.open("d", pool_size=1)

    async def settings(session: Session) -> list[object]:
        wanted = ("journal_mode", "synchronous", "foreign_keys", "query_only")
        return [(await session.fetch(f"PRAGMA {name}"))[0][0] for name in wanted]

    async with store.write() as tx, store.read() as session:
        assert await settings(tx) == ["wal", 3, 1, 0]
        assert await settings(session) == ["wal", 3, 1, 1]
    await server.close()
    assert sorted(path.name for path in (tmp_path / "deep" / "data").iterdir()) == ["d.db"]


# Locks


async def test_a_lock_has_one_holder(server: Server, make_server: Callable[[], Server]) -> None:
    other = make_server()
    async with server.exclusive("jobs") as first, other.exclusive("jobs") as second, other.exclusive("else") as third:
        assert (first, second, third) == (True, False, True)
    async with other.exclusive("jobs") as again:
        assert again
    await other.close()


async def test_a_lock_is_free_when_whoever_waited_for_it_went_away(server: Server) -> None:
    usual = time.perf_counter()
    async with server.exclusive("jobs"):
        usual = time.perf_counter() - usual

    async def take() -> None:
        async with server.exclusive("jobs"):
            await asyncio.Event().wait()

    for step in range(20):
        taking = asyncio.create_task(take())
        await asyncio.sleep(usual * step / 20)
        taking.cancel()
        await asyncio.wait([taking])
        await _free_at_last(server)


async def _free_at_last(server: Server) -> None:
    for _ in range(50):
        async with server.exclusive("jobs") as had:
            if had:
                return
        await asyncio.sleep(0.05)
    raise AssertionError("the lock is held by nobody")


HOLDER = """
    import asyncio, sys
    from pathlib import Path
    from rocket_kernel.store.postgres import PostgresServer
    from rocket_kernel.store.sqlite import SqliteServer

    async def hold() -> None:
        async with {server}.exclusive("jobs") as had:
            print(had, flush=True)
            await asyncio.sleep(60)

    asyncio.run(hold())
"""


async def test_a_lock_is_freed_when_its_holder_is_killed(server: Server) -> None:
    if isinstance(server, SqliteServer):
        made = f"SqliteServer(Path({str(server._data_dir)!r}))"
    else:
        fields = ("host", "port", "user", "password", "management")
        made = f"PostgresServer({', '.join(f'{name}={getattr(server, name)!r}' for name in fields)})"
    holder = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        textwrap.dedent(HOLDER).format(server=made),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"True\n"
    async with server.exclusive("jobs") as had:
        assert not had
    holder.send_signal(signal.SIGKILL)
    await holder.wait()
    await _free_at_last(server)
