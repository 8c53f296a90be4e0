"""Apps whose creation or deletion is cut off because the caller went away: contract §12."""

from __future__ import annotations

import asyncio
import time

import pytest

from rocket_kernel.apps.directory import AppDirectory, NewApp
from rocket_kernel.hookspecs import hookimpl
from rocket_kernel.plugins import Plugin
from rocket_kernel.testing import assert_error, entity

PLATFORM = "/api/_platform/apps"
sweeps = pytest.mark.parametrize("steps", [8, pytest.param(100, marks=pytest.mark.torture)])


def create(running, name):
    return asyncio.create_task(running.kernel.apps.create(NewApp(name, name, running.kernel.apps.own_driver)))


async def cut_off(task):
    """Whether it came to its end all the same."""
    task.cancel()
    await asyncio.wait([task])
    return not task.cancelled()


async def statuses(running):
    return {row["name"]: row["status"] for row in await running.kernel.apps.rows()}


async def exists(running, name):
    return await running.kernel.apps.servers[running.kernel.apps.own_driver].database_exists(f"rocket_{name}")


async def gone(running, name):
    """Wait until nothing of the app is left."""
    for _ in range(1000):
        if name not in await statuses(running) and not await exists(running, name):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{name} is still there")


async def seconds_of(work):
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


async def test_a_creation_cut_off_while_its_row_is_stored_leaves_nothing(running, monkeypatch):
    """A commit that is under way goes on by itself when the request ends."""
    insert, begun = AppDirectory._insert, asyncio.Event()

    async def go_on_by_itself(*arguments):
        async def store():
            begun.set()
            await asyncio.sleep(0.05)
            await insert(*arguments)

        await asyncio.shield(asyncio.create_task(store()))

    monkeypatch.setattr(AppDirectory, "_insert", go_on_by_itself)
    creation = create(running, "shop")
    await begun.wait()
    assert not await cut_off(creation)
    assert await statuses(running) == {}
    await asyncio.sleep(0.1)
    assert await statuses(running) == {}
    monkeypatch.undo()
    (await running.client.post(PLATFORM, {"name": "shop"})).require(201)


async def test_a_creation_that_comes_second_leaves_the_first_alone(running, monkeypatch):
    """It learns of the first one only when it stores its row."""
    (await running.client.post(PLATFORM, {"name": "shop"})).require(201)

    async def free(*_):
        return None

    monkeypatch.setattr(AppDirectory, "_require_free", free)
    answer = await running.client.post(PLATFORM, {"name": "shop"})
    assert_error(answer, 409, "CONFLICT", "App already exists: shop", [])
    assert await statuses(running) == {"shop": "active"}
    assert await exists(running, "shop")
    await running.client.in_app("shop").define(entity("thing", text="string"))


@sweeps
async def test_a_creation_cut_off_at_any_instant_is_whole_or_gone(running, steps):
    usual = await seconds_of(create(running, "usual"))
    for step in range(steps):
        name = f"app{step}"
        creation = create(running, name)
        await asyncio.sleep(usual * step / steps)
        done = await cut_off(creation)
        there = (await statuses(running)).get(name)
        assert there == "active" or (there is None and not done)
        assert await exists(running, name) == (there is not None)
        if there is not None:
            (await running.client.get(f"/api/{name}/_admin/entities")).require(200)
            await running.kernel.apps.delete(name)
    assert await statuses(running) == {"usual": "active"}


@sweeps
async def test_a_deletion_cut_off_at_any_instant_goes_on(running, steps):
    await running.client.app("usual")
    usual = await seconds_of(running.kernel.apps.delete("usual"))
    for step in range(steps):
        name = f"app{step}"
        await running.client.app(name)
        deletion = asyncio.create_task(running.kernel.apps.delete(name))
        await asyncio.sleep(usual * (step + 0.5) / steps)
        await cut_off(deletion)
        await gone(running, name)
        assert_error(await running.client.get(f"/api/{name}/thing"), 404, "APP_NOT_FOUND")


async def test_a_kernel_that_stops_lets_a_deletion_end(start_kernel):
    running = await start_kernel()
    await running.client.app("shop")
    deletion = asyncio.create_task(running.kernel.apps.delete("shop"))
    await asyncio.sleep(0)
    await cut_off(deletion)
    await running.stop()
    again = await start_kernel()
    assert await statuses(again) == {}
    assert not await exists(again, "shop")


async def test_a_kernel_that_stops_does_not_wait_for_ever(start_kernel, monkeypatch):
    monkeypatch.setattr("rocket_kernel.apps.directory._END_LIMIT_S", 0.05)
    filling = asyncio.Event()

    class Endless(Plugin):
        name = "endless"

        @hookimpl
        async def on_app_created(self, app, tx):
            filling.set()
            await asyncio.Event().wait()

    running = await start_kernel([Endless])
    creation = create(running, "shop")
    await filling.wait()
    async with asyncio.timeout(10):
        await running.stop()
    with pytest.raises(asyncio.CancelledError):
        await creation
    again = await start_kernel()
    assert await statuses(again) == {}
    assert not await exists(again, "shop")
