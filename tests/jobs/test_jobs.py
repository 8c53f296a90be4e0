"""Background jobs: once over all processes, taken over from the dead, tried again after a failure."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from rocket_kernel import Job, JobRun, Plugin, enqueue, hookimpl
from rocket_kernel.config import Config
from rocket_kernel.errors import PluginError
from rocket_kernel.jobs import JOBS, retry_pause_s
from rocket_kernel.kernel import make_kernel
from rocket_kernel.store.table_rows import TableRows
from rocket_kernel.testing import FakeClock, RunningKernel, StartKernel

ROWS = TableRows(JOBS)
HOUR_S = 3600


class Worker(Plugin):
    """Notes its runs in a list that all kernels of a test share, and fails as often as it is told to."""

    name = "worker"
    runs: ClassVar[list[tuple[str, int]]] = []
    failures: ClassVar[int] = 0
    gate: ClassVar[asyncio.Event | None] = None
    began: ClassVar[asyncio.Event]

    @hookimpl
    def register_jobs(self) -> Sequence[Job]:
        return [
            Job(name="worker:hourly", run=self._hourly, every_s=HOUR_S),
            Job(name="worker:once", run=self._once),
        ]

    async def _hourly(self, run: JobRun) -> None:
        Worker.runs.append(("hourly", run.attempt))
        Worker.began.set()

    async def _once(self, run: JobRun) -> None:
        Worker.runs.append((run.payload["what"], run.attempt))
        Worker.began.set()
        if Worker.gate is not None:
            await Worker.gate.wait()
        if Worker.failures:
            Worker.failures -= 1
            raise RuntimeError("told to fail")


@pytest.fixture(autouse=True)
def clean_worker() -> None:
    Worker.runs.clear()
    Worker.failures = 0
    Worker.gate = None
    Worker.began = asyncio.Event()


async def started(start_kernel: StartKernel, clock: FakeClock) -> RunningKernel:
    running = await start_kernel([Worker], clock=clock)
    # The tests look for due jobs themselves, so that nothing depends on real time.
    await running.kernel.jobs.pause()
    return running


async def put(running: RunningKernel, what: str, run_at: str) -> None:
    app = await running.kernel.apps.app("shop")
    async with app.store.write() as tx:
        await enqueue(tx, "worker:once", {"what": what}, run_at)


async def rows(running: RunningKernel) -> list[dict[str, Any]]:
    app = await running.kernel.apps.app("shop")
    async with app.store.read() as session:
        return await ROWS.select(session, order_by=("name", "run_at"))


def now_text(clock: FakeClock) -> str:
    from rocket_kernel import timestamp_text

    return timestamp_text(clock.now())


async def test_a_recurring_job_runs_at_once_and_then_after_its_time(
    start_kernel: StartKernel, clock: FakeClock
) -> None:
    running = await started(start_kernel, clock)
    await running.client.app("shop")
    await running.kernel.apps.app("shop")
    assert await running.kernel.jobs.run_due() == 1
    assert await running.kernel.jobs.run_due() == 0
    clock.advance(seconds=HOUR_S - 1)
    assert await running.kernel.jobs.run_due() == 0
    clock.advance(seconds=1)
    assert await running.kernel.jobs.run_due() == 1
    assert Worker.runs == [("hourly", 1), ("hourly", 1)]
    assert [row["name"] for row in await rows(running)] == ["worker:hourly"]


async def test_an_enqueued_job_runs_once_when_it_is_due(start_kernel: StartKernel, clock: FakeClock) -> None:
    running = await started(start_kernel, clock)
    await running.client.app("shop")
    await running.kernel.apps.app("shop")
    await running.kernel.jobs.run_due()
    Worker.runs.clear()
    later = now_text(clock)
    clock.advance(seconds=-60)
    await put(running, "mail", later)
    assert await running.kernel.jobs.run_due() == 0
    clock.advance(seconds=60)
    assert await running.kernel.jobs.run_due() == 1
    assert await running.kernel.jobs.run_due() == 0
    assert Worker.runs == [("mail", 1)]
    assert [row["name"] for row in await rows(running)] == ["worker:hourly"]


async def test_without_a_commit_there_is_no_run(start_kernel: StartKernel, clock: FakeClock) -> None:
    running = await started(start_kernel, clock)
    await running.client.app("shop")
    app = await running.kernel.apps.app("shop")
    await running.kernel.jobs.run_due()

    async def undone() -> None:
        async with app.store.write() as tx:
            await enqueue(tx, "worker:once", {"what": "mail"}, now_text(clock))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await undone()
    assert await running.kernel.jobs.run_due() == 0
    assert ("mail", 1) not in Worker.runs


async def test_a_failing_job_is_tried_again_later_and_not_for_ever(start_kernel: StartKernel, clock: FakeClock) -> None:
    running = await started(start_kernel, clock)
    await running.client.app("shop")
    await running.kernel.apps.app("shop")
    await running.kernel.jobs.run_due()
    Worker.runs.clear()
    Worker.failures = 100
    await put(running, "mail", now_text(clock))
    for _ in range(20):
        await running.kernel.jobs.run_due()
        await running.kernel.jobs.run_due()
        clock.advance(seconds=20)
    assert Worker.runs == [("mail", attempt) for attempt in range(1, 6)]
    assert "worker:once" not in [row["name"] for row in await rows(running)]


async def test_two_kernels_run_each_job_once(start_kernel: StartKernel, clock: FakeClock) -> None:
    first = await started(start_kernel, clock)
    second = await started(start_kernel, clock)
    await first.client.app("shop")
    for running in (first, second):
        await running.kernel.apps.app("shop")
        await running.kernel.jobs.run_due()
    Worker.runs.clear()
    for number in range(30):
        await put(first, f"mail {number}", now_text(clock))
    runners = [first.kernel.jobs, second.kernel.jobs]
    for _ in range(4):
        await asyncio.gather(*(runner.run_due() for runner in (*runners, *runners)))
    assert sorted(Worker.runs) == sorted((f"mail {number}", 1) for number in range(30))


async def test_the_run_of_a_dead_process_is_taken_over(start_kernel: StartKernel, clock: FakeClock) -> None:
    first = await started(start_kernel, clock)
    second = await started(start_kernel, clock)
    await first.client.app("shop")
    for running in (first, second):
        await running.kernel.apps.app("shop")
        await running.kernel.jobs.run_due()
    Worker.runs.clear()
    Worker.began.clear()
    Worker.gate = asyncio.Event()
    await put(first, "mail", now_text(clock))
    dying = asyncio.create_task(first.kernel.jobs.run_due())
    await asyncio.wait_for(Worker.began.wait(), 5)
    dying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dying
    Worker.gate.set()
    assert await second.kernel.jobs.run_due() == 0, "the lease of the dead holder still counts"
    clock.advance(seconds=31)
    assert await second.kernel.jobs.run_due() == 1
    assert Worker.runs == [("mail", 1), ("mail", 2)]
    assert "worker:once" not in [row["name"] for row in await rows(second)]


async def test_the_running_kernel_runs_what_is_due(start_kernel: StartKernel, clock: FakeClock) -> None:
    running = await start_kernel([Worker], clock=clock)
    await running.client.app("shop")
    await running.kernel.apps.app("shop")
    running.kernel.jobs.wake()
    await asyncio.wait_for(Worker.began.wait(), 5)
    assert Worker.runs == [("hourly", 1)]


@pytest.mark.parametrize("name", ["other:job", "hourly"])
def test_a_job_bears_its_plugins_name(name: str) -> None:
    class Wrong(Plugin):
        name = "wrong"

        @hookimpl
        def register_jobs(self) -> Sequence[Job]:
            return [Job(name=job_name, run=Worker()._once)]

    job_name = name
    with pytest.raises(PluginError, match="must begin with 'wrong'"):
        make_kernel(Config(), plugins=[Wrong])


def test_pauses_grow_to_an_hour() -> None:
    assert [retry_pause_s(attempt) for attempt in (1, 2, 3, 12, 13, 1000)] == [1, 2, 4, 2048, 3600, 3600]
