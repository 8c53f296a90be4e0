"""PostgreSQL databases: one each, with a pool of connections that opens as it is used.

Poolers in transaction mode (PgBouncer and its kin) are supported without configuration: nothing here relies on the
state of a session, neither SET nor LISTEN nor types looked up by the driver. What such a pooler does break are
prepared statements, so the server is asked once whether one stands between: a pooler answers the start of a
connection with a process number of its own, which is not the one the backend reports. Then statements are not kept,
and even single reads run inside a transaction, so that preparing and running meet the same backend.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import asyncpg

from rocket_kernel.errors import RocketError, StartupError
from rocket_kernel.store.dialects.base import quoted_text
from rocket_kernel.store.dialects.postgres import ICU_CASE, SIMPLE_CASE, PostgresDialect
from rocket_kernel.store.failures import translated
from rocket_kernel.store.postgres_store import PostgresStore
from rocket_kernel.store.protocol import Store

if TYPE_CHECKING:
    from rocket_kernel.store.postgres_store import Connection

_ALWAYS_PRESENT = ("postgres", "template1")
_LOCALE_PROVIDERS_SINCE = (15, 0)


@dataclass(frozen=True, slots=True)
class _Traits:
    dialect: PostgresDialect
    pooled: bool


@dataclass(slots=True, kw_only=True)
class PostgresServer:
    """`host` may be the directory of a unix socket. `management` is the database from which others are made."""

    host: str
    port: int
    user: str | None
    password: str | None = field(repr=False)
    management: str
    acquire_timeout_s: float = 10.0
    _traits: _Traits | None = field(default=None, init=False)
    _stores: dict[PostgresStore, str] = field(default_factory=dict, init=False)

    def twin(self) -> PostgresServer:
        """Another one on the same address, which need not ask again what this one has found out about it."""
        made = replace(self)
        made._traits = self._traits
        return made

    async def create_database(self, name: str) -> None:
        async with self._managing() as connection:
            provider = " LOCALE_PROVIDER libc" if connection.get_server_version() >= _LOCALE_PROVIDERS_SINCE else ""
            await connection.execute(
                f"CREATE DATABASE {_quoted(name)} TEMPLATE template0 ENCODING 'UTF8'{provider} "
                "LC_COLLATE 'C' LC_CTYPE 'C'"
            )

    async def drop_database(self, name: str) -> None:
        for store in [store for store, database in self._stores.items() if database == name]:
            await store.close()
        async with self._managing(dropping=name) as connection:
            await connection.execute(f"DROP DATABASE IF EXISTS {_quoted(name)} WITH (FORCE)")

    async def database_exists(self, name: str) -> bool:
        # In a transaction, for a pooler that would prepare on one backend and run on another.
        async with self._managing() as connection, connection.transaction():
            return await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name) is not None

    async def open(self, name: str, *, pool_size: int) -> Store:
        if self._traits is None:
            async with self._managing() as connection:
                self._traits = await _traits(connection)
        with translated():
            pool = await asyncpg.create_pool(
                **self._address(name),
                min_size=0,
                max_size=pool_size,
                statement_cache_size=0 if self._traits.pooled else 512,
                reset=_leave_as_it_is,
            )
        store = PostgresStore(
            pool,
            self._traits.dialect,
            pooled=self._traits.pooled,
            acquire_timeout_s=self.acquire_timeout_s,
            on_closed=self._stores.pop,
        )
        self._stores[store] = name
        return store

    def exclusive(self, name: str) -> AbstractAsyncContextManager[bool]:
        return self._exclusive(name)

    async def close(self) -> None:
        for store in list(self._stores):
            await store.close()

    @asynccontextmanager
    async def _exclusive(self, name: str) -> AsyncIterator[bool]:
        key = int.from_bytes(sha256(f"rocket exclusive {name}".encode()).digest()[:8], signed=True)
        connection = await self._connect(self.management)
        try:
            # A lock of the transaction, not of the session, which a pooler would share out. The transaction is idle
            # for as long as the lock is held, so the server must not end it for that.
            with translated():
                await connection.execute("BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0")
                had: bool = await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", key)
            yield had
        finally:
            await self._disconnect(connection)

    @asynccontextmanager
    async def _managing(self, *, dropping: str | None = None) -> AsyncIterator[Connection]:
        """A connection to the management database, or to one that is always there when there is none yet."""
        names = dict.fromkeys((self.management, *_ALWAYS_PRESENT))
        connection = await self._connect(*(name for name in names if name != dropping))
        try:
            with translated():
                yield connection
        finally:
            await self._disconnect(connection)

    async def _connect(self, *names: str) -> Connection:
        """To the first of the databases that exists."""
        with translated():
            for name in names[:-1]:
                # A pooler reports the missing database as a failed connection.
                with suppress(asyncpg.InvalidCatalogNameError, asyncpg.PostgresConnectionError):
                    return await asyncpg.connect(**self._address(name), statement_cache_size=0)
            return await asyncpg.connect(**self._address(names[-1]), statement_cache_size=0)

    async def _disconnect(self, connection: Connection) -> None:
        with suppress(RocketError), translated():
            await asyncio.shield(connection.close(timeout=self.acquire_timeout_s))

    def _address(self, database: str) -> dict[str, Any]:
        return {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "password": self.password,
            "database": database,
            "timeout": self.acquire_timeout_s,
        }


async def _traits(connection: Connection) -> _Traits:
    async with connection.transaction():
        pooled = await connection.fetchval("SELECT pg_backend_pid()") != connection.get_server_pid()
        rows = await connection.fetch(
            "SELECT collname FROM pg_collation WHERE collencoding IN (-1, pg_char_to_encoding('UTF8')) "
            f"AND collname IN ({quoted_text(SIMPLE_CASE)}, {quoted_text(ICU_CASE)})"
        )
    present = {row[0] for row in rows}
    for collation in (SIMPLE_CASE, ICU_CASE):
        if collation in present:
            return _Traits(PostgresDialect(case_collation=collation), pooled)
    raise StartupError("PostgreSQL 17 or later, or one built with ICU, is needed to compare text regardless of case")


async def _leave_as_it_is(connection: Connection) -> None:
    """The driver would spend a round trip on resetting what we never set."""


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
