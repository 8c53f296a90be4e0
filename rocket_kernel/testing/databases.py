"""The databases of one test: where they are, how a kernel gets at them, and how they vanish."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from rocket_kernel.apps.system_tables import APPS
from rocket_kernel.config import DatabaseConfig
from rocket_kernel.errors import Unavailable
from rocket_kernel.secret import Secret
from rocket_kernel.store.protocol import Server
from rocket_kernel.store.servers import configured_servers
from rocket_kernel.store.table_rows import TableRows
from rocket_kernel.testing.postgres import PostgresAddress, postgres_address
from rocket_kernel.testing.spare_databases import RecyclingServer, SpareDatabases

_SMALL_POOL = 5


class Database(Protocol):
    """One management database and the apps in it. Kernels that are given the same one serve the same apps."""

    @property
    def driver(self) -> Literal["sqlite", "postgres"]: ...

    def config(self, **changes: Any) -> DatabaseConfig:
        """Where it is, for a kernel in this process or another. `changes` are fields of DatabaseConfig."""
        ...

    def servers(self, config: DatabaseConfig) -> Mapping[str, Server]:
        """For `make_kernel`: the same databases in less time. A kernel in another process does not find these."""
        ...

    async def drop(self) -> None:
        """Remove everything that kernels have made in it. Raises AssertionError when connections are left open."""
        ...


@dataclass(frozen=True, slots=True)
class SqliteDatabase:
    folder: Path
    driver: Literal["sqlite"] = "sqlite"

    def config(self, **changes: Any) -> DatabaseConfig:
        base = DatabaseConfig(driver="sqlite", data_dir=self.folder, synchronous="off", pool_size=_SMALL_POOL)
        return replace(base, **changes)

    def servers(self, config: DatabaseConfig) -> Mapping[str, Server]:
        return configured_servers(config)

    async def drop(self) -> None:
        """The folder is a temporary one, which pytest removes."""


@dataclass(frozen=True, slots=True)
class PostgresDatabase:
    address: PostgresAddress
    spares: SpareDatabases
    folder: Path
    name: str = field(default_factory=lambda: f"rocket_test_{secrets.token_hex(6)}")
    taken: dict[str, str] = field(default_factory=dict)
    """Databases as kernels in this process name them -> as the server does."""
    given: list[DatabaseConfig] = field(default_factory=list)
    """Configurations by which somebody could make databases of these very names."""
    driver: Literal["postgres"] = "postgres"

    def config(self, **changes: Any) -> DatabaseConfig:
        base = DatabaseConfig(
            driver="postgres",
            data_dir=self.folder,
            host=self.address.host,
            port=self.address.port,
            user=self.address.user,
            password=Secret(self.address.password) if self.address.password is not None else None,
            name=self.name,
            pool_size=_SMALL_POOL,
            synchronous="off",
        )
        self.given.append(replace(base, **changes))
        return self.given[-1]

    def servers(self, config: DatabaseConfig) -> Mapping[str, Server]:
        self.given[:] = [given for given in self.given if given is not config]
        servers = dict(configured_servers(config))
        servers["postgres"] = RecyclingServer(self.spares.server(), self.spares, self.taken, self.name)
        return servers

    async def drop(self) -> None:
        counts = await asyncio.gather(*map(self.spares.give_back, self.taken.values()))
        left = dict(zip(self.taken, counts, strict=True))
        self.taken.clear()
        if self.given:
            await self._drop_what_others_made()
        still_open = {name: count for name, count in left.items() if count}
        if still_open:
            raise AssertionError(f"connections left open after the test: {still_open}")

    async def _drop_what_others_made(self) -> None:
        """What kernels have made that were given the configuration alone."""
        server = self.address.server(management=self.name)
        try:
            if not await server.database_exists(self.name):
                return
            try:
                store = await server.open(self.name, pool_size=1)
                async with store.read() as session:
                    rows = await TableRows(APPS).select(session)
            except Unavailable:
                rows = []
            for row in rows:
                await server.drop_database(row["db_name"])
            await server.drop_database(self.name)
        finally:
            await server.close()


def make_database(driver: str, folder: Path, spares: SpareDatabases | None) -> Database:
    """`folder` is for embedded databases and files; `spares` is needed for postgres only."""
    if driver == "sqlite":
        return SqliteDatabase(folder)
    if spares is None:
        raise ValueError("a database server needs spares")
    return PostgresDatabase(postgres_address(), spares, folder)
