"""One SQLite connection on its own thread."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import aiosqlite

from rocket_kernel.errors import ConnectionLost
from rocket_kernel.store.dialects.sqlite import sql_functions
from rocket_kernel.store.failures import translated

T = TypeVar("T")

# At DEBUG the driver would write down every statement together with its values.
logging.getLogger("aiosqlite").addFilter(lambda record: record.levelno > logging.DEBUG)

# A handful of statements per entity and action; preparing one costs more than keeping it.
_CACHED_STATEMENTS = 512


class SqliteConnection(aiosqlite.Connection):
    """Runs whole functions in the thread, so that a request can do several statements in one hop.

    Functions run one after another in the order they were handed over, whether or not somebody still waits for
    them. That is what makes cancellation safe: a rollback posted after a cancelled statement runs after it, and
    whoever gets the connection next comes after the rollback.
    """

    def __init__(self, path: Path, *, read_only: bool, synchronous: str, busy_timeout_s: float) -> None:
        connector = partial(connect, path, read_only=read_only, synchronous=synchronous, busy_timeout_s=busy_timeout_s)
        super().__init__(connector, iter_chunk_size=64)
        self.closing = False
        """Set before the thread closes it: what runs meanwhile on another thread would meet freed memory."""
        # A process that dies of an error at start must not hang on a connection nobody closed.
        self._thread.daemon = True

    @classmethod
    async def open(cls, path: Path, *, read_only: bool, synchronous: str, busy_timeout_s: float) -> SqliteConnection:
        connection = cls(path, read_only=read_only, synchronous=synchronous, busy_timeout_s=busy_timeout_s)
        with translated():
            _ = await connection
        return connection

    async def close(self) -> None:
        """What has been handed over still runs; from this moment on nothing else does, and nobody has it inline."""
        self.closing = True
        await super().close()

    async def run(self, work: Callable[[sqlite3.Connection], T], *, interruptible: bool = True) -> T:
        """The result of `work`. When the waiting task is cancelled, the statement in progress is interrupted."""
        connection = self.inline
        try:
            with translated():
                result: T = await self._execute(work, connection)  # type: ignore[no-untyped-call]  # the driver has none
                return result
        except asyncio.CancelledError:
            if interruptible and not self.closing:
                connection.interrupt()
            raise

    @property
    def inline(self) -> sqlite3.Connection:
        """For statements on the caller's thread, while nothing is handed over and nobody else has the connection."""
        if self._connection is None or self.closing:
            raise ConnectionLost
        return self._connection

    def post(self, work: Callable[[sqlite3.Connection], object]) -> None:
        """Run `work` after everything handed over before, without waiting for it."""
        connection = self._connection
        if connection is not None:
            self._tx.put_nowait((None, partial(work, connection)))


def connect(path: Path, *, read_only: bool, synchronous: str, busy_timeout_s: float) -> sqlite3.Connection:
    # mode=rw: a database that was dropped must not come back as an empty file.
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=busy_timeout_s,
        isolation_level=None,
        cached_statements=_CACHED_STATEMENTS,
        # Used by one thread at a time: its own, or the event loop's while its own has nothing to do.
        check_same_thread=False,
    )
    try:
        for name, function in sql_functions().items():
            connection.create_function(name, 1, function, deterministic=True)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA cache_size = -32000")
        if read_only:
            connection.execute("PRAGMA query_only = ON")
        else:
            # What a savepoint keeps to undo itself would go to a file from 64 kB on, which a few indexes reach.
            connection.execute("PRAGMA temp_store = MEMORY")
    except BaseException:
        connection.close()
        raise
    return connection
