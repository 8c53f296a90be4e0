"""SQLite databases: one file each, one writer and several readers, in write-ahead-log mode."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from contextvars import copy_context
from functools import partial
from io import FileIO
from pathlib import Path
from typing import TypeVar

from rocket_kernel.errors import (
    ConfigError,
    Conflict,
    ConnectionLost,
    RocketError,
    StartupError,
    Unavailable,
    ValidationFailed,
)
from rocket_kernel.store.close_once import CloseOnce
from rocket_kernel.store.dialects.sqlite import SqliteDialect
from rocket_kernel.store.failures import translated
from rocket_kernel.store.file_lock import hold_file_lock
from rocket_kernel.store.noted import noted
from rocket_kernel.store.protocol import Check, PoolUse, Session, Store, Transaction
from rocket_kernel.store.sqlite_connection import SqliteConnection, connect
from rocket_kernel.store.sqlite_inline import InlineReader, InlineSession, TooSlow, Work, drive, next_serial, require
from rocket_kernel.store.sqlite_session import SqliteSession, roll_back_now
from rocket_kernel.store.sqlite_writer import GroupWriter

T = TypeVar("T")

# json_each and RETURNING are part of every build from here on.
_OLDEST = (3, 38)
_SYNCHRONOUS = ("off", "normal", "full", "extra")
_SIDE_FILES = ("-wal", "-shm", "-journal")


class SqliteServer:
    """A directory with a file for each database. Other processes may use the same directory."""

    def __init__(
        self,
        data_dir: Path,
        *,
        synchronous: str = "full",
        acquire_timeout_s: float = 10.0,
        write_timeout_s: float = 30.0,
    ) -> None:
        """`write_timeout_s`: how long a writer waits for the writers before it, here and in other processes."""
        if sqlite3.sqlite_version_info < _OLDEST:
            raise StartupError(f"SQLite {'.'.join(map(str, _OLDEST))} or later is needed, not {sqlite3.sqlite_version}")
        if synchronous not in _SYNCHRONOUS:
            raise ConfigError(f"database.synchronous must be one of {', '.join(_SYNCHRONOUS)}, not {synchronous!r}")
        self._data_dir = data_dir
        self._synchronous = synchronous
        self._acquire_timeout_s = acquire_timeout_s
        self._write_timeout_s = write_timeout_s
        self._stores: set[SqliteStore] = set()

    async def create_database(self, name: str) -> None:
        with translated():
            await asyncio.to_thread(_create, self._path(name))

    async def drop_database(self, name: str) -> None:
        path = self._path(name)
        for store in [store for store in self._stores if store.path == path]:
            await store.close()
        with translated():
            await asyncio.to_thread(_remove, path)

    async def database_exists(self, name: str) -> bool:
        return await asyncio.to_thread(self._path(name).is_file)

    async def open(self, name: str, *, pool_size: int) -> Store:
        store = SqliteStore(
            self._path(name),
            readers=pool_size,
            synchronous=self._synchronous,
            acquire_timeout_s=self._acquire_timeout_s,
            write_timeout_s=self._write_timeout_s,
            on_closed=self._stores.discard,
        )
        self._stores.add(store)
        return store

    @asynccontextmanager
    async def exclusive(self, name: str) -> AsyncIterator[bool]:
        taking = asyncio.create_task(asyncio.to_thread(hold_file_lock, self._path(name).with_suffix(".lock")))
        try:
            with translated():
                lock = await asyncio.shield(taking)
            yield lock is not None
        finally:
            if taking.done():
                _let_go(taking)
            else:  # the caller went away, and the thread may still get the lock
                taking.add_done_callback(_let_go)

    async def close(self) -> None:
        for store in list(self._stores):
            await store.close()

    def _path(self, name: str) -> Path:
        if not name.replace("-", "_").isidentifier() or not name.isascii():
            raise ValidationFailed(f"invalid database name: {name}")
        return self._data_dir / f"{name}.db"


class SqliteStore:
    dialect = SqliteDialect()

    def __init__(
        self,
        path: Path,
        *,
        readers: int,
        synchronous: str,
        acquire_timeout_s: float,
        write_timeout_s: float,
        on_closed: Callable[[SqliteStore], None],
    ) -> None:
        self.path = path
        self._on_closed = on_closed
        self._connect = partial(SqliteConnection.open, path, synchronous=synchronous, busy_timeout_s=write_timeout_s)
        self._acquire_timeout_s = acquire_timeout_s
        self._free_readers = asyncio.Semaphore(readers)
        self._most_readers = readers
        self._reading = 0
        self._waiting = 0
        self._idle_readers: list[SqliteConnection] = []
        self._readers: set[SqliteConnection] = set()
        self._inline = InlineReader(
            partial(connect, path, read_only=True, synchronous=synchronous, busy_timeout_s=write_timeout_s),
            self.dialect,
        )
        self._writer = GroupWriter(
            partial(self._opened, read_only=False),
            self.dialect,
            timeout_s=write_timeout_s,
            on_committed=self._inline.expect_change,
        )
        self._close_once = CloseOnce(self._close)

    @asynccontextmanager
    async def read(self, *, snapshot: bool = True) -> AsyncIterator[Session]:
        await self._begin_reading()
        try:
            connection = self._idle_readers.pop() if self._idle_readers else await self._open_reader()
            session = SqliteSession(connection, self.dialect, begin="BEGIN" if snapshot else None)
            try:
                yield session
            finally:
                session.rollback()
                if not self._closed:
                    self._idle_readers.append(connection)
        finally:
            self._end_reading()

    async def run(self, work: Work[T], check: Check | None = None) -> T:
        """On the event loop's thread when the work is short, else in one go on a connection's thread."""
        if self._closed:
            raise ConnectionLost
        if self._inline.in_doubt:
            await self._writer.told()
        try:
            return self._inline.run(work, check)
        except TooSlow:
            return await self._run_in_thread(work, check)

    def write(self) -> AbstractAsyncContextManager[Transaction]:
        return self._writer.member()

    def aside(self) -> AbstractAsyncContextManager[Transaction]:
        return self._writer.alone(self._inline)

    def schema_change(self) -> AbstractAsyncContextManager[Transaction]:
        # A writer is alone over all processes anyway.
        return self._writer.alone()

    async def ping(self) -> None:
        async with self.read(snapshot=False) as session:
            await session.fetch("SELECT 1")

    def pool_use(self) -> PoolUse:
        """Reads on the event loop's thread have a connection of their own that nobody waits for; it is not counted."""
        writer = self._writer
        writing = int(writer.busy)
        idle = len(self._idle_readers) + int(writer.connected and not writer.busy)
        return PoolUse(self._most_readers + 1, self._reading + writing, idle, self._waiting + writer.waiting)

    async def close(self) -> None:
        """Sessions still running end with ConnectionLost."""
        await self._close_once()

    @property
    def _closed(self) -> bool:
        return self._close_once.begun

    async def _close(self) -> None:
        try:
            self._inline.close()
            for connection in list(self._readers):
                with suppress(RocketError), translated():
                    await connection.close()
            self._readers.clear()
            self._idle_readers.clear()
            # The last connection to close folds the log into the file, which a reader may not do.
            with suppress(RocketError), translated():
                await self._writer.close()
        finally:
            self._on_closed(self)

    async def _open_reader(self) -> SqliteConnection:
        connection = await self._opened(read_only=True)
        self._readers.add(connection)
        return connection

    async def _run_in_thread(self, work: Work[T], check: Check | None) -> T:
        await self._begin_reading()
        try:
            connection = self._idle_readers.pop() if self._idle_readers else await self._open_reader()
            try:
                context = copy_context()
                return await connection.run(lambda raw: context.run(_read_once, work, check, raw))
            finally:
                connection.post(roll_back_now)
                if not self._closed:
                    self._idle_readers.append(connection)
        finally:
            self._end_reading()

    async def _begin_reading(self) -> None:
        self._waiting += 1
        try:
            await _in_time(self._free_readers, self._acquire_timeout_s, Unavailable)
        finally:
            self._waiting -= 1
        self._reading += 1

    def _end_reading(self) -> None:
        self._reading -= 1
        self._free_readers.release()

    async def _opened(self, *, read_only: bool) -> SqliteConnection:
        self._require_open()
        connection = await self._connect(read_only=read_only)
        try:
            self._require_open()
        except ConnectionLost:  # closed while it was opened
            with suppress(RocketError), translated():
                await connection.close()
            raise
        return connection

    def _require_open(self) -> None:
        if self._closed:
            raise ConnectionLost


async def _in_time(gate: asyncio.Semaphore | asyncio.Lock, limit_s: float, late: type[Unavailable]) -> None:
    if not gate.locked():
        await gate.acquire()
        return
    try:
        async with asyncio.timeout(limit_s):
            await gate.acquire()
    except TimeoutError:
        raise late from None


def _read_once(work: Work[T], check: Check | None, connection: sqlite3.Connection) -> T:
    roll_back_now(connection)
    connection.execute("BEGIN")
    if check is not None:
        require(check, connection)
    return drive(work(noted(_Unversioned(connection, SqliteStore.dialect, serial=next_serial()))))


class _Unversioned(InlineSession):
    """A total it found would replace the one that the inline reader remembers."""

    __slots__ = ()

    async def version(self) -> None:
        return None


def _let_go(taking: asyncio.Task[FileIO | None]) -> None:
    if not taking.cancelled() and taking.exception() is None and (lock := taking.result()) is not None:
        lock.close()


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        raise Conflict(f"Database already exists: {path.stem}") from None
    _remove_side_files(path)
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
    finally:
        connection.close()


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    _remove_side_files(path)


def _remove_side_files(path: Path) -> None:
    for suffix in _SIDE_FILES:
        path.with_name(path.name + suffix).unlink(missing_ok=True)
