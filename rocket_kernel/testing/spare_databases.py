"""PostgreSQL databases that tests hand on to each other: emptying one takes a tenth of the time of making one."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import AbstractAsyncContextManager

from rocket_kernel.errors import Conflict
from rocket_kernel.store.postgres import PostgresServer
from rocket_kernel.store.protocol import Server, Store
from rocket_kernel.testing.postgres import PostgresAddress

# The views on this make a new connection read much of the catalogue first.
_OPEN = "SELECT pg_stat_get_db_numbackends(oid) - 1 FROM pg_database WHERE datname = current_database()"
_END_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
_EMPTY = "DROP SCHEMA public CASCADE; CREATE SCHEMA public"
# The server notices a moment later that a connection was closed.
_ATTEMPTS, _PAUSE_S = 100, 0.01


class SpareDatabases:
    """Of one process. `take` and `give_back` go by the names the server knows."""

    def __init__(self, address: PostgresAddress) -> None:
        self._server = address.server()
        self._spare: list[str] = []

    async def take(self) -> str:
        """An empty database, used before or new."""
        if self._spare:
            return self._spare.pop()
        name = f"rocket_spare_{secrets.token_hex(6)}"
        await self._server.create_database(name)
        return name

    async def give_back(self, name: str) -> int:
        """Empty it; the number of connections that were left open to it."""
        store = await self._server.open(name, pool_size=1)
        try:
            left = await _open_connections(store)
            async with store.write() as tx:
                if left:
                    await tx.execute(_END_OTHERS)
                await tx.execute(_EMPTY)
        finally:
            await store.close()
        self._spare.append(name)
        return left

    def server(self) -> PostgresServer:
        """A new Server on the same address; close it."""
        return self._server.twin()

    async def drop(self) -> None:
        while self._spare:
            await self._server.drop_database(self._spare.pop())


async def _open_connections(store: Store) -> int:
    left = 0
    for _ in range(_ATTEMPTS):
        async with store.read(snapshot=False) as session:
            ((left,),) = await session.fetch(_OPEN)
        if not left:
            break
        await asyncio.sleep(_PAUSE_S)
    return left


class RecyclingServer:
    """A Server whose databases are spare ones under the names that the kernel gives them.

    So apps of one name in two tests, or in two processes that test on one server, never meet. What the kernel drops is
    really dropped, because another kernel of the test may have it open.
    """

    def __init__(self, server: Server, spares: SpareDatabases, taken: dict[str, str], scope: str) -> None:
        self._server = server
        self._spares = spares
        self._taken = taken
        self._scope = scope
        self._turn = asyncio.Lock()

    async def create_database(self, name: str) -> None:
        async with self._turn:
            if name in self._taken:
                raise Conflict(f"database {name} exists")
            self._taken[name] = await self._spares.take()

    async def drop_database(self, name: str) -> None:
        physical = self._taken.pop(name, None)
        if physical is not None:
            await self._server.drop_database(physical)

    async def database_exists(self, name: str) -> bool:
        return name in self._taken

    async def open(self, name: str, *, pool_size: int) -> Store:
        return await self._server.open(self._taken.get(name, f"{self._scope}_{name}"), pool_size=pool_size)

    def exclusive(self, name: str) -> AbstractAsyncContextManager[bool]:
        return self._server.exclusive(f"{self._scope}/{name}")

    async def close(self) -> None:
        await self._server.close()
