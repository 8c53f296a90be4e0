from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from rocket_kernel.store.protocol import Server, Store
from rocket_kernel.store.sqlite import SqliteServer
from rocket_kernel.testing.postgres import postgres_address

MakeServer = Callable[[], Server]


@pytest.fixture(params=["sqlite", "postgres"])
def make_server(request: pytest.FixtureRequest, tmp_path: Path) -> MakeServer:
    """A new Server on the same databases at each call, with short waits; close it."""
    if request.param == "sqlite":
        return lambda: SqliteServer(tmp_path / "data", acquire_timeout_s=0.3)
    address = postgres_address()
    return lambda: address.server(acquire_timeout_s=2.0)


@pytest.fixture
async def server(make_server: MakeServer) -> AsyncIterator[Server]:
    server = make_server()
    yield server
    await server.close()


@pytest.fixture
async def database(server: Server) -> AsyncIterator[str]:
    name = f"test_{secrets.token_hex(6)}"
    await server.create_database(name)
    yield name
    await server.drop_database(name)


@pytest.fixture
async def store(server: Server, database: str) -> Store:
    return await server.open(database, pool_size=3)
