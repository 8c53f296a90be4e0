"""A job that hangs, breaks, or has lost its plugin holds up no other job and no other app."""

from __future__ import annotations

import asyncio
import sys

import pytest

from rocket_kernel import Job, Plugin, enqueue, hookimpl, timestamp_text
from rocket_kernel.jobs import JOBS
from rocket_kernel.store.table_rows import TableRows

HOUR_S = 3600


class Hostile(Plugin):
    name = "hostile"

    def __init__(self, settings=None):
        super().__init__(settings)
        self.hanging = asyncio.Event()

    @hookimpl
    def register_jobs(self):
        return [Job(name=f"hostile:{what}", run=getattr(self, what)) for what in ("hang", "fail", "leave", "cancel")]

    async def hang(self, run):
        self.hanging.set()
        await asyncio.sleep(HOUR_S)

    async def fail(self, run):
        raise ValueError("told to fail")

    async def leave(self, run):
        sys.exit(1)

    async def cancel(self, run):
        raise asyncio.CancelledError


class Decent(Plugin):
    name = "decent"

    def __init__(self, settings=None):
        super().__init__(settings)
        self.ran = []

    @hookimpl
    def register_jobs(self):
        return [Job(name="decent:work", run=self.work), Job(name="decent:tick", run=self.tick, every_s=HOUR_S)]

    async def work(self, run):
        self.ran.append((run.app.name, run.payload["n"]))

    async def tick(self, run):
        self.ran.append((run.app.name, "tick"))


@pytest.fixture
def start(start_kernel, clock):
    async def start(*plugins):
        running = await start_kernel(list(plugins))
        await running.kernel.jobs.pause()
        apps = []
        for name in ("one", "two"):
            await running.client.app(name)
            apps.append(await running.kernel.apps.app(name))
        return running.kernel, *apps

    return start


async def put(app, job, count=1):
    now = timestamp_text(app.parts.clock.now())
    async with app.store.write() as tx:
        for n in range(count):
            await enqueue(tx, job, {"n": n}, now)


async def attempts(app, job):
    async with app.store.read() as session:
        return [row["attempt"] for row in await TableRows(JOBS).select(session, {"name": job})]


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the runner tells nobody
            await asyncio.sleep(0.01)


async def test_a_job_that_hangs_holds_up_nobody(start):
    kernel, one, two = await start(Hostile, Decent)
    hostile, decent = (kernel.parts.plugins.find(name) for name in ("hostile", "decent"))
    await put(one, "hostile:hang", 30)
    await put(one, "decent:work", 2)
    await put(two, "decent:work")
    kernel.jobs.tick_s = 0.01
    kernel.jobs.start()
    await hostile.hanging.wait()
    await until(lambda: len(decent.ran) == 5)
    assert {*decent.ran} == {("one", 0), ("one", 1), ("one", "tick"), ("two", 0), ("two", "tick")}
    # It goes on being so.
    await put(one, "decent:work")
    kernel.jobs.wake()
    await until(lambda: len(decent.ran) == 6)
    assert len(await attempts(one, "hostile:hang")) == 30
    await kernel.jobs.stop(patience_s=0.01)
    assert not list(kernel.jobs._lanes)


async def test_jobs_that_break_are_tried_again_and_the_runner_lives(start, clock, caplog):
    kernel, one, two = await start(Hostile, Decent)
    for what in ("fail", "leave", "cancel"):
        await put(one, f"hostile:{what}")
    await put(two, "decent:work")
    assert await kernel.jobs.run_due() == 6
    for what in ("fail", "leave", "cancel"):
        assert await attempts(one, f"hostile:{what}") == [1]
        assert f"job hostile:{what} failed in app one, attempt 1" in caplog.text
        tally = kernel.parts.plugins.times.tallies()[f"hostile:{what}"]
        assert (tally.count, tally.failures) == (1, 1)
    clock.advance(seconds=1)
    assert await kernel.jobs.run_due() == 3
    assert await attempts(one, "hostile:leave") == [2]
    assert ("two", 0) in kernel.parts.plugins.find("decent").ran


async def test_rows_of_an_absent_plugin_hide_no_others(start, start_kernel, clock):
    kernel, one, _ = await start(Hostile, Decent)
    await kernel.jobs.run_due()
    await put(one, "hostile:fail", 50)
    clock.advance(seconds=1)
    await put(one, "decent:work", 3)
    without = await start_kernel([Decent])
    await without.kernel.jobs.pause()
    await without.kernel.apps.app("one")
    assert await without.kernel.jobs.run_due() == 3
    assert len(await attempts(one, "hostile:fail")) == 50


async def test_many_rows_of_one_job_do_not_put_off_another_job(start, clock):
    kernel, one, _ = await start(Hostile, Decent)
    await put(one, "hostile:fail", 45)
    clock.advance(seconds=0.5)
    await put(one, "decent:work", 25)
    await kernel.jobs.run_due()
    ran = kernel.parts.plugins.find("decent").ran
    assert len([n for _, n in ran if n != "tick"]) in (19, 20)  # the other job may share the batch
    while await kernel.jobs.run_due():
        pass
    assert sorted(n for _, n in ran if n != "tick") == list(range(25))


async def test_an_app_that_cannot_be_looked_at_keeps_no_other_waiting(start, caplog, monkeypatch):
    kernel, one, two = await start(Decent)
    await put(two, "decent:work")
    look = kernel.jobs._prepare

    async def breaking(app):
        if app is one:
            raise ZeroDivisionError
        await look(app)

    monkeypatch.setattr(type(kernel.jobs), "_prepare", lambda self, app: breaking(app))
    assert await kernel.jobs.run_due() == 2
    assert "jobs of app one wait" in caplog.text
    assert ("two", 0) in kernel.parts.plugins.find("decent").ran


async def test_an_app_that_takes_long_to_open_keeps_no_other_waiting(start_kernel, monkeypatch):
    class Opening(Plugin):
        name = "opening"

        def __init__(self, settings=None):
            super().__init__(settings)
            self.ran = []
            self.opens = asyncio.Event()

        @hookimpl
        def register_jobs(self):
            return [Job(name="opening:tick", run=self.tick, every_s=HOUR_S, opens_apps=True)]

        async def tick(self, run):
            self.ran.append(run.app.name)

        @hookimpl
        async def on_app_opened(self, app):
            if app.name == "one":
                await self.opens.wait()

    monkeypatch.setattr("rocket_kernel.jobs._OPENING_S", 0.3)
    first = await start_kernel()
    for name in ("one", "two"):
        await first.client.app(name)
    running = await start_kernel([Opening])
    opening = running.kernel.parts.plugins.find("opening")
    await until(lambda: opening.ran == ["two"])
    opening.opens.set()
    await running.kernel.apps.app("one")
    running.kernel.jobs.wake()
    await until(lambda: opening.ran == ["two", "one"])
    await running.kernel.jobs.stop(patience_s=0.01)
