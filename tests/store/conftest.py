from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import pytest

from rocket_kernel.store.protocol import Server, Store
from rocket_kernel.store.sqlite import SqliteServer
from rocket_kernel.testing.postgres import postgres_address


class MakeServer(Protocol):
    def __call__(self, *, wait_s: float = 10.0) -> Server: ...


@pytest.fixture(params=["sqlite", "postgres"])
def make_server(request: pytest.FixtureRequest, tmp_path: Path) -> MakeServer:
    """A new Server on the same databases at each call; close it. `wait_s` is how long it waits for connections."""

    def make(*, wait_s: float = 10.0) -> Server:
        if request.param == "sqlite":
            return SqliteServer(tmp_path / "data", acquire_timeout_s=wait_s, write_timeout_s=wait_s)
        return postgres_address().server(acquire_timeout_s=wait_s)

    return make


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
