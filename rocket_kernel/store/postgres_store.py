"""One PostgreSQL database: a pool, and the transactions that run on its connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Hashable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeVar

from rocket_kernel.errors import InternalError, RocketError
from rocket_kernel.store.close_once import CloseOnce
from rocket_kernel.store.dialects.base import Dialect
from rocket_kernel.store.failures import translated
from rocket_kernel.store.noted import noted
from rocket_kernel.store.protocol import Check, PoolUse, Row, Session, Stale, Transaction

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

    Pool = asyncpg.Pool[asyncpg.Record]
    Connection = asyncpg.Connection[asyncpg.Record]
    Pooled = PoolConnectionProxy[asyncpg.Record]

T = TypeVar("T")

_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_READ_ONE = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY"
# A request that waits longer for another one's rows holds a connection that others wait for in turn.
_WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '10s'"
_SCHEMA_KEY = int.from_bytes(sha256(b"rocket schema change").digest()[:8], signed=True)
_SCHEMA_CHANGE = (
    f"BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '30s'; SELECT pg_advisory_xact_lock({_SCHEMA_KEY})"
)
_ROLLBACK_LIMIT_S = 5.0
_CLOSE_LIMIT_S = 10.0


class PostgresSession:
    __slots__ = ("_check_first", "_connection", "_ended", "_savepoints", "dialect")

    def __init__(self, connection: Pooled, dialect: Dialect, check: Check | None = None) -> None:
        self.dialect = dialect
        self._check_first = check
        self._connection = connection
        self._ended = False
        self._savepoints = 0

    async def fetch(self, sql: str, params: Sequence[object] = ()) -> list[Row]:
        self._check()
        if self._check_first is not None:
            return await self._fetch_checked(self._check_first, sql, params)
        with translated():
            rows: list[Any] = await self._connection.fetch(sql, *params)
            return rows

    async def verify(self) -> None:
        """Raises Stale when the session's check does not hold, unless a statement has shown already that it does."""
        check, self._check_first = self._check_first, None
        if check is not None and [tuple(row) for row in await self.fetch(check.sql)] != [check.expected]:
            raise Stale

    async def _fetch_checked(self, check: Check, sql: str, params: Sequence[object]) -> list[Row]:
        """A statement's rows, and in the same round trip and snapshot the check's row before them."""
        text = f"SELECT c.*, q.* FROM ({check.sql}) c LEFT JOIN (SELECT true, p.* FROM ({sql}) p) q ON true"
        with translated():
            rows: list[Any] = await self._connection.fetch(text, *params)
        width = len(check.expected)
        if not rows or tuple(rows[0][:width]) != check.expected:
            self._check_first = None
            raise Stale
        self._check_first = None
        return [row[width + 1 :] for row in rows] if rows[0][width] else []

    async def execute(self, sql: str, params: Sequence[object] = ()) -> int:
        self._check()
        with translated():
            # `INSERT 0 3`, `UPDATE 3`, `CREATE TABLE`
            count = (await self._connection.execute(sql, *params)).rpartition(" ")[2]
            return int(count) if count.isdigit() else 0

    async def execute_many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        self._check()
        with translated():
            await self._connection.executemany(sql, rows)

    async def version(self) -> Hashable | None:
        return None

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        self._savepoints += 1
        name = f"s{self._savepoints}"
        await self.execute(f"SAVEPOINT {name}")
        try:
            yield
        except BaseException:
            # While this runs the session counts as ended: should it be cut off, nothing may be committed.
            self._ended = True
            with suppress(RocketError), translated():
                await self._connection.execute(f"ROLLBACK TO {name}; RELEASE {name}")
                self._ended = False
            raise
        await self.execute(f"RELEASE {name}")

    def end(self) -> bool:
        """No statement runs any more; whether what ran is whole and may be committed."""
        whole = not self._ended
        self._ended = True
        return whole

    def _check(self) -> None:
        if self._ended:
            raise InternalError("the session was used after its block")


class PostgresStore:
    def __init__(
        self,
        pool: Pool,
        dialect: Dialect,
        *,
        pooled: bool,
        acquire_timeout_s: float,
        on_closed: Callable[[PostgresStore], object],
    ) -> None:
        self.dialect = dialect
        self._on_closed = on_closed
        self._close_once = CloseOnce(self._close)
        self._pool = pool
        self._pooled = pooled
        self._acquire_timeout_s = acquire_timeout_s
        self._endings: set[asyncio.Task[None]] = set()
        self._waiting = 0

    def read(self, *, snapshot: bool = True) -> AbstractAsyncContextManager[Session]:
        begin = _READ if snapshot else _READ_ONE if self._pooled else None
        return self._transaction(begin, commit=False)

    async def run(self, work: Callable[[Session], Coroutine[Any, Any, T]], check: Check | None = None) -> T:
        """Without a transaction, where no pooler forces one: BEGIN and COMMIT would cost more than most reads."""
        begin = _READ_ONE if self._pooled else None
        async with self._transaction(begin, commit=False, check=check) as session:
            try:
                return await work(noted(session))
            except RocketError:
                # A wrong idea of the metadata may have caused the error before any statement told of it.
                await session.verify()
                raise

    def write(self) -> AbstractAsyncContextManager[Transaction]:
        return self._transaction(_WRITE, commit=True)

    def aside(self) -> AbstractAsyncContextManager[Transaction]:
        return self._transaction(_WRITE, commit=True)

    def schema_change(self) -> AbstractAsyncContextManager[Transaction]:
        return self._transaction(_SCHEMA_CHANGE, commit=True)

    async def ping(self) -> None:
        async with self.read(snapshot=False) as session:
            await session.fetch("SELECT 1")

    def pool_use(self) -> PoolUse:
        idle = self._pool.get_idle_size()
        used = self._pool.get_size() - idle
        return PoolUse(self._pool.get_max_size(), used, idle, self._waiting)

    async def close(self) -> None:
        """Sessions still running after a while end with ConnectionLost."""
        await self._close_once()

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(_CLOSE_LIMIT_S):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()
        finally:
            self._on_closed(self)

    @asynccontextmanager
    async def _transaction(
        self, begin: str | None, *, commit: bool, check: Check | None = None
    ) -> AsyncIterator[PostgresSession]:
        connection = await self._acquire()
        session = PostgresSession(connection, self.dialect, check)
        try:
            if begin is not None:
                with translated():
                    await connection.execute(begin)
            yield session
            if not session.end() and commit:
                raise InternalError("a savepoint was left half undone")
        except BaseException:
            session.end()
            await self._detached(self._abandon(connection))
            raise
        if begin is None:
            await self._pool.release(connection)
        elif commit:
            await self._detached(self._finish(connection, commit=True))
        else:
            await self._finish(connection, commit=False)

    async def _acquire(self) -> Pooled:
        self._waiting += 1
        try:
            with translated():
                return await self._pool.acquire(timeout=self._acquire_timeout_s)
        finally:
            self._waiting -= 1

    async def _detached(self, ending: Coroutine[Any, Any, None]) -> None:
        """Wait for an ending that goes on by itself when the waiting request is cancelled."""
        task = asyncio.create_task(ending)
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)
        await asyncio.shield(task)

    async def _finish(self, connection: Pooled, *, commit: bool) -> None:
        try:
            with translated():
                status = await connection.execute("COMMIT")
        except BaseException:
            _terminate(connection)
            raise
        finally:
            await self._pool.release(connection)
        # The server answers COMMIT this way when a statement failed before, outside any savepoint.
        if commit and status == "ROLLBACK":
            raise InternalError("the transaction was lost to an error that was not passed on")

    async def _abandon(self, connection: Pooled) -> None:
        try:
            with translated():
                async with asyncio.timeout(_ROLLBACK_LIMIT_S):
                    await connection.execute("ROLLBACK")
        except RocketError:
            _terminate(connection)
        finally:
            with suppress(RocketError), translated():
                await self._pool.release(connection)


def _terminate(connection: Pooled) -> None:
    # A connection that the server closed is out of the pool already, and then the driver refuses to be asked.
    with suppress(RocketError), translated():
        connection.terminate()
