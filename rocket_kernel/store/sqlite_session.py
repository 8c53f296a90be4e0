"""What one request does on a SQLite connection."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Literal, TypeVar

from rocket_kernel.errors import InternalError, Unavailable
from rocket_kernel.store.dialects.base import Dialect
from rocket_kernel.store.protocol import Row
from rocket_kernel.store.sqlite_connection import SqliteConnection

T = TypeVar("T")
Begin = Literal["BEGIN", "BEGIN IMMEDIATE"]


class TransactionEnded(Unavailable):
    """SQLite rolled the transaction back by itself (disk full, interrupted); nothing more may run in it."""


class SqliteSession:
    """Begins in the same hop as its first statement, so a request with one statement hops once."""

    __slots__ = ("_begin", "_connection", "_ended", "_savepoints", "_started", "dialect")

    def __init__(self, connection: SqliteConnection, dialect: Dialect, *, begin: Begin | None) -> None:
        self.dialect = dialect
        self._connection = connection
        self._begin = begin
        self._started = False
        self._ended = False
        self._savepoints = 0

    async def fetch(self, sql: str, params: Sequence[object] = ()) -> list[Row]:
        return await self._run(partial(fetch_now, sql, params))

    async def execute(self, sql: str, params: Sequence[object] = ()) -> int:
        return await self._run(partial(execute_now, sql, params))

    async def execute_many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        await self._run(partial(execute_many_now, sql, rows))

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        self._savepoints += 1
        name = f"s{self._savepoints}"
        await self.execute(f"SAVEPOINT {name}")
        try:
            yield
        except BaseException:
            # Posted, not awaited: it runs before anything that comes later, even when this task is cancelled again.
            self._connection.post(partial(_undo, name))
            raise
        await self.execute(f"RELEASE {name}")

    async def version(self) -> Hashable | None:
        return None

    async def others_commits(self) -> int:
        """A number that changes when another connection has committed."""
        ((number,),) = await self.fetch("PRAGMA data_version")
        return int(number)

    async def commit(self) -> None:
        self._ended = True
        if self._started:
            await self._connection.run(commit_now, interruptible=False)

    def rollback(self) -> None:
        """Hands the rollback over and returns; nothing can use the connection before it has run."""
        self._ended = True
        if self._started and self._begin is not None:
            self._connection.post(roll_back_now)

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._ended:
            raise InternalError("the session was used after its block")
        self._started, first = True, not self._started
        return await self._connection.run(partial(self._inside, work, first))

    def _inside(self, work: Callable[[sqlite3.Connection], T], first: bool, connection: sqlite3.Connection) -> T:
        if self._begin is not None:
            if first:
                roll_back_now(connection)
                connection.execute(self._begin)
            elif not connection.in_transaction:
                raise TransactionEnded
        return work(connection)


def fetch_now(sql: str, params: Sequence[object], connection: sqlite3.Connection) -> list[Row]:
    return connection.execute(sql, params).fetchall()


def execute_now(sql: str, params: Sequence[object], connection: sqlite3.Connection) -> int:
    cursor = connection.execute(sql, params)
    try:
        return max(cursor.rowcount, 0)
    finally:
        # A statement that returns rows stays active, and holds its snapshot, until it is read or closed.
        cursor.close()


def execute_many_now(sql: str, rows: Sequence[Sequence[object]], connection: sqlite3.Connection) -> None:
    connection.executemany(sql, rows)


def _undo(name: str, connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute(f"ROLLBACK TO {name}")
        connection.execute(f"RELEASE {name}")


def commit_now(connection: sqlite3.Connection) -> None:
    if not connection.in_transaction:
        raise TransactionEnded
    try:
        connection.execute("COMMIT")
    except BaseException:
        roll_back_now(connection)
        raise


def roll_back_now(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")
