from types import SimpleNamespace

import asyncpg
import psutil
import pytest

from rocket_kernel.config import DatabaseConfig
from rocket_kernel.errors import Conflict, Unavailable
from rocket_kernel.store.servers import configured_servers
from rocket_kernel.testing import postgres
from rocket_kernel.testing.databases import make_database
from rocket_kernel.testing.postgres import PostgresAddress, parse_address, postgres_address
from rocket_kernel.testing.spare_databases import SpareDatabases


async def names():
    address = postgres_address()
    connection = await asyncpg.connect(
        host=address.host,
        port=address.port,
        user=address.user,
        password=address.password,
        database="postgres",
        statement_cache_size=0,
    )
    try:
        return {row[0] for row in await connection.fetch("SELECT datname FROM pg_database")}
    finally:
        await connection.close()


@pytest.fixture
async def spares():
    spares = SpareDatabases(postgres_address())
    yield spares
    await spares.drop()


async def make_table(servers, name):
    store = await servers["postgres"].open(name, pool_size=1)
    async with store.schema_change() as tx:
        await tx.execute("CREATE TABLE left_over (a int)")
    return store


async def test_a_configuration(database):
    config = database.config(pool_size=2)
    assert isinstance(config, DatabaseConfig)
    assert (config.driver, config.pool_size, config.synchronous) == (database.driver, 2, "off")
    server = configured_servers(config)[config.driver]
    assert await server.database_exists(config.name) is False
    await server.close()


async def test_databases_are_handed_on_empty(spares, tmp_path):
    first = make_database("postgres", tmp_path, spares)
    servers = first.servers(first.config())
    await servers["postgres"].create_database("shop")
    with pytest.raises(Conflict):
        await servers["postgres"].create_database("shop")
    store = await make_table(servers, "shop")
    used = first.taken["shop"]
    await servers["postgres"].close()
    await first.drop()
    second = make_database("postgres", tmp_path, spares)
    servers = second.servers(second.config())
    assert not await servers["postgres"].database_exists("shop")
    await servers["postgres"].create_database("shop")
    assert second.taken == {"shop": used}
    store = await make_table(servers, "shop")
    await store.close()
    await second.drop()
    await spares.drop()
    assert used not in await names()


async def test_what_a_kernel_drops_is_not_handed_on(spares, tmp_path):
    database = make_database("postgres", tmp_path, spares)
    server = database.servers(database.config())["postgres"]
    await server.create_database("shop")
    dropped = database.taken["shop"]
    await server.drop_database("shop")
    await server.drop_database("shop")
    assert dropped not in await names()
    store = await server.open("shop", pool_size=1)
    with pytest.raises(Unavailable):
        await store.ping()
    await server.close()
    await database.drop()


@pytest.mark.parametrize("password", [None, "a/b@c:d?e#f %"])
def test_the_address_of_a_server_travels_as_a_url(password):
    address = PostgresAddress("/tmp/pg folder", 5433, "user@home", password, "postgres")
    assert parse_address(address.url) == address


async def test_a_name_is_held_by_one_at_a_time(database):
    config = database.config()
    one, other = (database.servers(config)[database.driver] for _ in range(2))
    async with one.exclusive("shop") as had, other.exclusive("shop") as had_too:
        assert (had, had_too) == (True, False)


async def test_shared_databases_are_dropped_too(start_kernel, database):
    running = await start_kernel(shared=True)
    await running.client.app("shared-app")
    await running.stop()
    if database.driver == "postgres":
        assert {database.name, "rocket_shared-app"} <= await names()
        await database.drop()
        assert not {database.name, "rocket_shared-app"} & await names()


def test_a_server_needs_spares(tmp_path):
    with pytest.raises(ValueError, match="needs spares"):
        make_database("postgres", tmp_path, None)


def test_files_of_the_server_lie_in_memory_only_where_there_is_room(monkeypatch, tmp_path):
    free = {tmp_path: 8 << 30, "memory": 8 << 30}
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.setattr(postgres, "_IN_MEMORY", tmp_path)
    monkeypatch.setattr(postgres.shutil, "disk_usage", lambda path: SimpleNamespace(free=free[path]))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=free["memory"]))
    assert postgres._in_memory() == tmp_path
    for kind in free:
        free[kind] -= 1
        assert postgres._in_memory() is None
        free[kind] += 1


def test_files_of_the_server_lie_where_somebody_wants_them(monkeypatch, tmp_path):
    monkeypatch.setattr(postgres, "_ROOM_BYTES", 0)
    monkeypatch.setattr(postgres, "_IN_MEMORY", tmp_path)
    monkeypatch.delenv("TMPDIR", raising=False)
    assert postgres._in_memory() == tmp_path
    monkeypatch.setattr(postgres, "_IN_MEMORY", tmp_path / "absent")
    assert postgres._in_memory() is None
    monkeypatch.setattr(postgres, "_IN_MEMORY", tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert postgres._in_memory() is None
