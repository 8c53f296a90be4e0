"""What the kernel asks of a database, and all it knows of one.

Everything one request does runs on one Session. A Session belongs to one task at a time.
Every method raises the store errors of `rocket_kernel.errors` and never a driver's exception.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from rocket_kernel.store.dialects.base import Dialect

T = TypeVar("T")

Row = Sequence[Any]
"""One row by position, in driver values; decode with the dialect."""


@dataclass(frozen=True, slots=True)
class Check:
    """What must hold for a read to count: `sql`, without parameters, gives exactly the row `expected`."""

    sql: str
    expected: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class PoolUse:
    """Connections of one process to one database."""

    limit: int
    used: int
    idle: int
    waiting: int
    """How many wait for one."""


class Stale(Exception):
    """What the caller knew of the database no longer holds."""


class Session(Protocol):
    """One connection, held for the length of one request or job."""

    @property
    def dialect(self) -> Dialect: ...

    async def fetch(self, sql: str, params: Sequence[object] = ()) -> list[Row]:
        """All rows of a statement, in the statement's order. `params` are driver values."""
        ...

    async def execute(self, sql: str, params: Sequence[object] = ()) -> int:
        """Run a statement; the number of rows it inserted, changed or deleted."""
        ...

    async def execute_many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """Run one statement once for each row."""
        ...

    async def version(self) -> Hashable | None:
        """A value that stays the same for as long as nothing at all was committed; None where that is not known."""
        ...


class Transaction(Session, Protocol):
    """A Session inside BEGIN … COMMIT that may write."""

    def savepoint(self) -> AbstractAsyncContextManager[None]:
        """Undo everything done inside the block when it raises; the transaction itself goes on."""
        ...


class Store(Protocol):
    """One database with its pool of connections."""

    @property
    def dialect(self) -> Dialect: ...

    def read(self, *, snapshot: bool = True) -> AbstractAsyncContextManager[Session]:
        """A Session whose statements all see one consistent snapshot. Writing through it is an error.

        Without `snapshot` each statement sees what is committed when it starts; that saves a transaction, and is
        for requests that run one statement. Raises Unavailable when no connection comes free within the time limit.
        """
        ...

    async def run(self, work: Callable[[Session], Coroutine[Any, Any, T]], check: Check | None = None) -> T:
        """The result of a read that awaits nothing but its session. What it runs shows in the open trace, if there is one.

        `work` may be run again from the start, and on another thread, so it must change nothing outside itself.
        Each of its statements sees one snapshot; that all see the same one is not promised. Raises Stale when `check`
        does not hold, whatever `work` did, and Unavailable like `read`.
        """
        ...

    def write(self) -> AbstractAsyncContextManager[Transaction]:
        """A Transaction: commits when the block ends, rolls back when it raises (cancellation included)."""
        ...

    def aside(self) -> AbstractAsyncContextManager[Transaction]:
        """A write() for what nobody waits for: rows of a log, which no read of records depends on.

        Where there is one writer, it holds the others up as little as it can, and what reads remember of the state of
        the database counts on: use it for tables of which nobody remembers anything by `Session.version`.
        """
        ...

    def schema_change(self) -> AbstractAsyncContextManager[Transaction]:
        """A write() in which no other process is inside a schema_change() of the same database."""
        ...

    async def ping(self) -> None:
        """Raises Unavailable when the database does not answer."""
        ...

    def pool_use(self) -> PoolUse:
        """How it stands at this moment."""
        ...

    async def close(self) -> None: ...


class Server(Protocol):
    """Where databases live: creates, drops and opens them. One per driver that is configured."""

    async def create_database(self, name: str) -> None:
        """Make an empty database. Raises Conflict when it exists."""
        ...

    async def drop_database(self, name: str) -> None:
        """Remove a database and every connection to it. Does nothing when it is absent."""
        ...

    async def database_exists(self, name: str) -> bool: ...

    async def open(self, name: str, *, pool_size: int) -> Store:
        """A database that does not exist shows as Unavailable when it is used."""
        ...

    def exclusive(self, name: str) -> AbstractAsyncContextManager[bool]:
        """Try to be the only holder of a named lock over all processes; yields whether it was had.

        The lock is gone when its holder's process dies, however it dies. A server's lock is also gone when the
        connection to that server breaks, so what it guards must stand being done twice now and then.
        """
        ...

    async def close(self) -> None: ...
