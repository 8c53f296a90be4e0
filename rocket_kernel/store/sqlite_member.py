"""What a request does in the transaction it shares with others."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic
from typing import TypeVar

from rocket_kernel.errors import ConnectionLost, InternalError, RocketError
from rocket_kernel.store.dialects.base import Dialect
from rocket_kernel.store.protocol import Row
from rocket_kernel.store.sqlite_connection import SqliteConnection
from rocket_kernel.store.sqlite_inline import InlineSession
from rocket_kernel.store.sqlite_pace import BUDGET_S, Pace
from rocket_kernel.store.sqlite_session import TransactionEnded, execute_many_now, execute_now, fetch_now

T = TypeVar("T")

# Storing a row takes about 10 microseconds.
_MOST_ROWS = 100


class MemberSession(InlineSession):
    """Statements run on the event loop's thread as long as they are short, else on the connection's.

    A SELECT that takes too long is cut off and starts again on the other thread. SQLite would undo the whole
    transaction, and with it the work of others, if it did that to a statement that writes: such a statement keeps the
    event loop once, and from then on runs on the other thread.
    """

    __slots__ = ("_ended", "_owner", "_pace")

    def __init__(self, owner: SqliteConnection, dialect: Dialect, pace: Pace, *, serial: int) -> None:
        super().__init__(owner.inline, dialect, serial=serial)
        self._owner = owner
        self._pace = pace
        self._ended = False

    async def version(self) -> None:
        """Unknown: what this connection writes itself does not show in SQLite's number."""

    async def fetch(self, sql: str, params: Sequence[object] = ()) -> list[Row]:
        self._check()
        reads = sql.startswith("SELECT")
        if self._goes_elsewhere(sql):
            return await self._elsewhere(partial(fetch_now, sql, params), interruptible=reads)
        if not reads:
            with _Timed(self._pace, sql):
                return await super().fetch(sql, params)
        self._pace.start()
        try:
            return await super().fetch(sql, params)
        except RocketError as error:
            if getattr(error.__cause__, "sqlite_errorname", "") != "SQLITE_INTERRUPT":
                raise
        finally:
            self._pace.stop()
        self._pace.remember(sql)
        return await self._elsewhere(partial(fetch_now, sql, params), interruptible=True)

    async def execute(self, sql: str, params: Sequence[object] = ()) -> int:
        self._check()
        if self._goes_elsewhere(sql):
            return await self._elsewhere(partial(execute_now, sql, params), interruptible=False)
        with _Timed(self._pace, sql):
            return await super().execute(sql, params)

    async def execute_many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        self._check()
        if len(rows) > _MOST_ROWS:
            await self._elsewhere(partial(execute_many_now, sql, rows), interruptible=False)
        else:
            await super().execute_many(sql, rows)

    def end(self) -> None:
        """No statement runs any more: the transaction goes on, but not for this request."""
        self._ended = True

    def _check(self) -> None:
        if self._ended:
            raise InternalError("the session was used after its block")
        if self._owner.closing:
            raise ConnectionLost
        if not self._connection.in_transaction:
            raise TransactionEnded

    def _in_transaction(self) -> bool:
        return not self._owner.closing and self._connection.in_transaction

    def _goes_elsewhere(self, sql: str) -> bool:
        return self._pace.is_slow(sql) or not sql.startswith(_KNOWN)

    async def _elsewhere(self, work: Callable[[sqlite3.Connection], T], *, interruptible: bool) -> T:
        """Cancelled, it still ends before the caller goes on: then nothing runs while the savepoint is undone."""
        task = asyncio.ensure_future(self._owner.run(work, interruptible=False))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            while not task.done():
                if interruptible and not self._owner.closing:
                    self._connection.interrupt()
                try:
                    await asyncio.wait([task], timeout=0.05)
                except asyncio.CancelledError:
                    continue
            raise


_KNOWN = ("SELECT", "INSERT", "UPDATE", "DELETE", "SAVEPOINT", "ROLLBACK TO", "RELEASE")


class _Timed:
    __slots__ = ("_pace", "_sql", "_started")

    def __init__(self, pace: Pace, sql: str) -> None:
        self._pace = pace
        self._sql = sql
        self._started = 0.0

    def __enter__(self) -> None:
        self._started = monotonic()

    def __exit__(self, *_: object) -> None:
        if monotonic() - self._started > BUDGET_S:
            self._pace.remember(self._sql)
