"""Reads on the event loop's thread: without a transaction where nothing has been committed, and yet of one snapshot."""

import sqlite3

import pytest

from rocket_kernel.errors import NotFound
from rocket_kernel.store.protocol import Check, Stale
from rocket_kernel.store.sqlite import SqliteServer

HELD = Check("SELECT 1", (1,))
COUNT = "SELECT count(*) FROM items"


@pytest.fixture
async def store(tmp_path):
    server = SqliteServer(tmp_path, acquire_timeout_s=10.0, write_timeout_s=10.0)
    await server.create_database("reads")
    store = await server.open("reads", pool_size=2)
    async with store.schema_change() as tx:
        await tx.execute("CREATE TABLE items (id INTEGER PRIMARY KEY)")
    yield store
    await server.close()


@pytest.fixture
def stranger(store):
    """A connection of another process, as far as the store can tell."""
    connection = sqlite3.connect(store.path, isolation_level=None)
    yield connection
    connection.close()


async def count(session):
    return (await session.fetch(COUNT))[0][0]


async def test_a_read_that_something_was_committed_under_is_done_again(store, stranger):
    runs = []

    async def work(session):
        first = await count(session)
        runs.append(first)
        if len(runs) == 2:
            stranger.execute("INSERT INTO items DEFAULT VALUES")
        return first, await count(session), await session.version()

    *before, version = await store.run(work, HELD)
    assert (before, runs) == ([0, 0], [0])
    *after, later = await store.run(work, HELD)
    assert after == [1, 1]
    assert runs == [0, 0, 1]
    assert later != version


async def test_a_refusal_that_something_was_committed_under_is_judged_again(store, stranger):
    runs = []

    async def work(session):
        found = await count(session)
        runs.append(found)
        if len(runs) == 2:
            stranger.execute("INSERT INTO items DEFAULT VALUES")
        if not found:
            raise NotFound
        return found

    with pytest.raises(NotFound):
        await store.run(work, HELD)
    assert await store.run(work, HELD) == 1
    assert runs == [0, 0, 1]


async def test_a_check_is_made_again_after_every_commit(store, stranger):
    unchanged = Check(COUNT, (0,))
    assert [await store.run(count, unchanged) for _ in range(3)] == [0, 0, 0]
    stranger.execute("INSERT INTO items DEFAULT VALUES")
    with pytest.raises(Stale):
        await store.run(count, unchanged)
    assert await store.run(count, Check(COUNT, (1,))) == 1
    async with store.write() as tx:
        await tx.execute("INSERT INTO items DEFAULT VALUES")
    with pytest.raises(Stale):
        await store.run(count, Check(COUNT, (1,)))


async def test_one_check_that_held_says_nothing_of_another(store):
    assert await store.run(count, HELD) == 0
    with pytest.raises(Stale):
        await store.run(count, Check("SELECT 1", (2,)))
    assert await store.run(count, HELD) == 0


async def test_own_commits_spare_the_vain_attempt(store):
    runs = []

    async def work(session):
        runs.append(await count(session))

    for _ in range(3):
        await store.run(work, HELD)
        async with store.write() as tx:
            await tx.execute("INSERT INTO items DEFAULT VALUES")
    assert runs == [0, 1, 2]
