"""`kill -9` while an app is made or deleted: after the next start it is whole or gone, and its name can be had."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from random import Random

import pytest

from rocket_kernel.store.servers import configured_servers
from rocket_kernel.testing import assert_error, entity
from rocket_kernel.testing.processes import Lost

APPS = "/api/_platform/apps"
RESTART_S = 10


@pytest.fixture
def exists(database):
    """Whether there is a database of the name; of embedded ones, any file of it."""

    async def look(name):
        place = database.config()
        if place.driver == "sqlite":
            return bool(list(place.data_dir.glob(f"{name}.db*")))
        server = configured_servers(place)[place.driver]
        try:
            return await server.database_exists(name)
        finally:
            await server.close()

    return look


async def make(run, name):
    async with run.caller(name) as caller:
        (await caller.post(APPS, {"name": name})).require(201)
        (await caller.post("_admin/entities", entity("thing", text="string"))).require(201)
        (await caller.post("thing", {"text": "x"})).require(201)


async def remove(run, name):
    async with run.caller() as caller:
        (await caller.delete(f"{APPS}/{name}")).require(200)


async def seconds_of(work):
    began = time.monotonic()
    await work
    return time.monotonic() - began


async def cut_off(run, work, pause):
    """Whether `work` was done before the server was killed, `pause` seconds after it began."""
    task = asyncio.create_task(work)
    await asyncio.sleep(pause)
    await asyncio.to_thread(run.server.kill)
    try:
        await task
    except Lost:
        return False
    return True


async def require_whole_or_gone(run, name, exists):
    """Whether the app is there."""
    async with run.caller(name) as caller:
        rows = (await caller.get(APPS)).require(200).data
        assert {row["status"] for row in rows} <= {"active"}
        there = name in {row["name"] for row in rows}
        assert await exists(f"rocket_{name}") == there
        answer = await caller.get("thing")
        if not there:
            assert_error(answer, 404, "APP_NOT_FOUND")
        elif answer.status != 200:
            assert_error(answer, 404, "UNKNOWN_ENTITY")
    return there


@pytest.mark.parametrize("rounds", [1, pytest.param(20, marks=pytest.mark.torture)])
@pytest.mark.parametrize("action", ["create", "delete"])
async def test_an_app_is_whole_or_gone_after_a_kill(stage, exists, figure, action, rounds):
    run = stage(workers=2)
    random, seen, slowest = Random(rounds), Counter(), 0.0
    name = f"first{secrets.token_hex(4)}"
    usual = {"create": await seconds_of(make(run, name)), "delete": await seconds_of(remove(run, name))}[action]
    for _ in range(rounds):
        name = f"app{secrets.token_hex(4)}"
        if action == "delete":
            await make(run, name)
        work = make(run, name) if action == "create" else remove(run, name)
        done = await cut_off(run, work, random.uniform(0.05, 1.0) * usual)
        slowest = max(slowest, await asyncio.to_thread(run.server.start))
        there = await require_whole_or_gone(run, name, exists)
        if done:
            assert there == (action == "create")
        seen["done" if done else "there" if there else "gone"] += 1
        if there:
            await remove(run, name)
        assert not await require_whole_or_gone(run, name, exists)
        await make(run, name)
        assert await require_whole_or_gone(run, name, exists)
        await remove(run, name)
    assert slowest < RESTART_S
    assert "Traceback" not in run.log
    figure("usually in ms", usual * 1000)
    for what, times in seen.items():
        figure(what, times)


@pytest.mark.parametrize("rounds", [1, pytest.param(20, marks=pytest.mark.torture)])
async def test_a_server_that_starts_leaves_the_work_of_a_living_one_alone(stage, exists, figure, rounds):
    """The second server starts while the first one makes apps, and must not take them for half-made ones."""
    run = stage(servers=2)
    first, second = run.servers
    made = 0
    for _ in range(rounds):
        second.kill()
        starting = asyncio.create_task(asyncio.to_thread(second.start))
        names = []
        try:
            async with first.caller() as caller:
                while not starting.done():
                    names.append(f"live{secrets.token_hex(4)}")
                    (await caller.post(APPS, {"name": names[-1]})).require(201)
        finally:
            await starting
        async with second.caller() as caller:
            for name in names:
                (await caller.post(f"/api/{name}/_admin/entities", entity("thing", text="string"))).require(201)
                (await caller.delete(f"{APPS}/{name}")).require(200)
                assert not await exists(f"rocket_{name}")
        made += len(names)
    figure("apps made meanwhile", made)
