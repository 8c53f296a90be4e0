"""The one writer of a SQLite database. Transactions that wait for it together share one commit.

A commit costs a sync of the disk, which many can share: each request's statements run inside a savepoint of one
transaction, and every request waits until that transaction is on disk before it answers. So a commit is as durable as
it would be alone. Short statements run on the event loop's thread; taking the lock and committing, which wait for
other processes and for the disk, run on the connection's own thread, and so do long statements.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

from rocket_kernel.errors import StoreBusy
from rocket_kernel.store.dialects.base import Dialect
from rocket_kernel.store.failures import translated
from rocket_kernel.store.protocol import Transaction
from rocket_kernel.store.sqlite_connection import SqliteConnection
from rocket_kernel.store.sqlite_inline import InlineReader, next_serial
from rocket_kernel.store.sqlite_member import MemberSession
from rocket_kernel.store.sqlite_pace import Pace
from rocket_kernel.store.sqlite_session import SqliteSession, TransactionEnded, commit_now, roll_back_now
from rocket_kernel.time_limit import TimeLimit

_MOST_MEMBERS = 64
_LONGEST_S = 0.02
"""A group is closed after this time, so that writers of other processes get their turn."""


class _Group:
    """Requests whose work is done in the open transaction and that wait for its commit."""

    __slots__ = ("committed", "members", "opened_at")

    def __init__(self) -> None:
        self.committed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Members may have gone away; a failed commit must not be reported as an exception nobody saw.
        self.committed.add_done_callback(lambda done: done.cancelled() or done.exception())
        self.members = 0
        self.opened_at = monotonic()

    @property
    def full(self) -> bool:
        return self.members >= _MOST_MEMBERS or monotonic() - self.opened_at > _LONGEST_S

    def fail(self, error: BaseException) -> None:
        if not self.committed.done():
            self.committed.set_exception(error)


class GroupWriter:
    def __init__(
        self,
        connect: Callable[[], Awaitable[SqliteConnection]],
        dialect: Dialect,
        *,
        timeout_s: float,
        on_committed: Callable[[], None],
    ) -> None:
        self._on_committed = on_committed
        self._connect = connect
        self._dialect = dialect
        self._waiting_time = TimeLimit(timeout_s)
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._group: _Group | None = None
        self._connection: SqliteConnection | None = None
        self._serial = next_serial()
        self._pace = Pace()
        self._tasks: set[asyncio.Task[None]] = set()
        self._unnoticed: asyncio.Future[None] | None = None

    @asynccontextmanager
    async def member(self) -> AsyncIterator[Transaction]:
        """A transaction that shares its commit. It has been committed when the block has ended without raising."""
        await self._take_turn()
        group: _Group | None = None
        try:
            group, connection = await self._joined()
            async with self._savepoint(connection, group) as session:
                yield session
        finally:
            self._pass_on(group)
        await asyncio.shield(group.committed)

    @asynccontextmanager
    async def alone(self, unnoticed_by: InlineReader | None = None) -> AsyncIterator[Transaction]:
        """A transaction of its own whose statements all run on the connection's thread: for long work.

        What `unnoticed_by` remembers of the database counts on after the commit, unless somebody else has committed too.
        """
        await self._take_turn()
        try:
            if self._group is not None:
                await asyncio.shield(self._spawn(self._commit(self._group)))
            session = SqliteSession(await self._opened(), self._dialect, begin="BEGIN IMMEDIATE")
            try:
                yield session
            except BaseException:
                session.rollback()
                raise
            if unnoticed_by is None:
                await session.commit()
                self._on_committed()
            else:
                await self._commit_unnoticed(session, unnoticed_by)
        finally:
            self._turn.release()

    async def _commit_unnoticed(self, session: SqliteSession, reader: InlineReader) -> None:
        """Until the commit nobody else can write. A connection's own commits do not show in its number of commits, so
        when that is the same afterwards, what the reader has met is this commit and no other."""
        before, others = reader.state(), await session.others_commits()
        reader.await_commit(before)
        self._unnoticed = asyncio.get_running_loop().create_future()
        try:
            await session.commit()
            after = reader.state()
            if before is not None and after is not None and others == self._others_commits():
                reader.take_as_equal(after, before)
            else:
                self._on_committed()
        finally:
            reader.await_commit(None)
            self._unnoticed.set_result(None)

    async def told(self) -> None:
        """Until it is known what the last commit that was to go unnoticed has come to."""
        if self._unnoticed is not None:
            await asyncio.shield(self._unnoticed)

    def _others_commits(self) -> int | None:
        connection = self._connection
        if connection is None or connection.closing:
            return None
        with translated():
            number: int = connection.inline.execute("PRAGMA data_version").fetchone()[0]
        return number

    @property
    def busy(self) -> bool:
        return self._turn.locked()

    @property
    def waiting(self) -> int:
        return self._waiting

    @property
    def connected(self) -> bool:
        return self._connection is not None

    async def close(self) -> None:
        """Members that wait for a commit end with an error; what was committed stays."""
        for task in list(self._tasks):
            await asyncio.wait([task])
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def _take_turn(self) -> None:
        self._waiting += 1
        try:
            if self._turn.locked() or self._waiting > 1:
                with self._waiting_time():
                    await self._turn.acquire()
            else:
                await self._turn.acquire()
        except BaseException as error:
            self._waiting -= 1
            if self._group is not None and self._waiting == 0:
                # The group was left open for this one, who is not coming any more.
                _ = self._spawn(self._settle())
            if isinstance(error, TimeoutError):
                raise StoreBusy from error
            raise
        self._waiting -= 1

    async def _joined(self) -> tuple[_Group, SqliteConnection]:
        """The open transaction, begun if there is none. The caller has the turn."""
        connection = await self._opened()
        if self._group is None:
            try:
                await connection.run(_begin)
            except BaseException:
                connection.post(roll_back_now)
                raise
            self._group = _Group()
        return self._group, connection

    @asynccontextmanager
    async def _savepoint(self, owner: SqliteConnection, group: _Group) -> AsyncIterator[MemberSession]:
        with translated():
            owner.inline.execute("SAVEPOINT member")
        session = MemberSession(owner, self._dialect, self._pace, serial=self._serial)
        try:
            yield session
            session.end()
        except BaseException:
            session.end()
            if self._in_transaction:
                with translated():
                    owner.inline.execute("ROLLBACK TO member")
                    owner.inline.execute("RELEASE member")
            raise
        if not self._in_transaction:
            raise TransactionEnded
        with translated():
            owner.inline.execute("RELEASE member")
        group.members += 1

    def _pass_on(self, group: _Group | None) -> None:
        """Hand the turn to the next who waits, or commit when nobody does or the group is full."""
        if group is None:
            self._turn.release()
        elif not self._in_transaction:
            self._group = None
            group.fail(TransactionEnded())
            self._turn.release()
        elif self._waiting and not group.full:
            self._turn.release()
        else:
            _ = self._spawn(self._commit_and_release(group))

    @property
    def _in_transaction(self) -> bool:
        connection = self._connection
        return connection is not None and not connection.closing and connection.inline.in_transaction

    async def _settle(self) -> None:
        async with self._turn:
            if self._group is not None and self._waiting == 0:
                await self._commit(self._group)

    async def _commit_and_release(self, group: _Group) -> None:
        try:
            await self._commit(group)
        finally:
            self._turn.release()

    async def _commit(self, group: _Group) -> None:
        """End the open transaction; its members learn how it went. The caller has the turn."""
        self._group = None
        connection = self._connection
        try:
            if connection is None:
                raise TransactionEnded
            await connection.run(commit_now if group.members else roll_back_now, interruptible=False)
        except BaseException as error:
            group.fail(error)
            if not isinstance(error, Exception):
                raise
        else:
            self._on_committed()
            group.committed.set_result(None)

    async def _opened(self) -> SqliteConnection:
        if self._connection is None:
            self._connection = await self._connect()
            self._pace.guard(self._connection.inline)
        return self._connection

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _begin(connection: sqlite3.Connection) -> None:
    roll_back_now(connection)
    connection.execute("BEGIN IMMEDIATE")
