from __future__ import annotations

import asyncio
import gc
import time
import weakref

import pytest

from rocket_kernel.time_limit import TimeLimit


async def test_a_block_that_ends_in_time_is_left_alone() -> None:
    limit = TimeLimit(0.05)
    for _ in range(3):
        with limit():
            await asyncio.sleep(0)
    await asyncio.sleep(0.1)
    assert asyncio.current_task().cancelling() == 0


async def test_a_block_that_takes_too_long_raises() -> None:
    limit, began = TimeLimit(0.05), time.monotonic()
    for _ in range(2):
        with pytest.raises(TimeoutError), limit():
            await asyncio.sleep(10)
    assert 0.09 < time.monotonic() - began < 5
    assert asyncio.current_task().cancelling() == 0


async def test_each_block_has_its_own_time() -> None:
    limit = TimeLimit(0.2)
    ended: list[tuple[int, str]] = []

    async def run(number: int, seconds: float) -> None:
        await asyncio.sleep(0.02 * number)
        try:
            with limit():
                await asyncio.sleep(seconds)
            ended.append((number, "done"))
        except TimeoutError:
            ended.append((number, "late"))

    await asyncio.gather(*(run(number, 10 if number % 2 else 0.01) for number in range(6)))
    assert ended == [(0, "done"), (2, "done"), (4, "done"), (1, "late"), (3, "late"), (5, "late")]


async def test_blocks_inside_blocks() -> None:
    outer, inner = TimeLimit(10), TimeLimit(0.02)
    with outer():
        with pytest.raises(TimeoutError), inner():
            await asyncio.sleep(10)
        await asyncio.sleep(0)
    short, long = TimeLimit(0.02), TimeLimit(10)
    with pytest.raises(TimeoutError), short(), long():
        await asyncio.sleep(10)


@pytest.mark.parametrize("both", [False, True], ids=["before its time", "at its time"])
async def test_a_cancellation_from_elsewhere_stays_one(both: bool) -> None:
    limit = TimeLimit(0.02 if both else 10)

    async def run() -> None:
        with limit():
            await asyncio.sleep(10)

    task = asyncio.create_task(run())
    await asyncio.sleep(0)
    if both:
        # The event loop comes to the timer only after this.
        time.sleep(0.05)  # noqa: ASYNC251
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_another_error_passes() -> None:
    async def fail() -> None:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            raise ZeroDivisionError from None

    with pytest.raises(ZeroDivisionError), TimeLimit(0.01)():
        await fail()
    assert asyncio.current_task().cancelling() == 0


def test_a_limit_outlives_an_event_loop() -> None:
    limit = TimeLimit(0.05)

    async def late() -> bool:
        try:
            with limit():
                await asyncio.sleep(10)
        except TimeoutError:
            return True
        return False

    async def left_behind() -> None:
        with limit():
            await asyncio.sleep(0)

    asyncio.run(left_behind())
    assert asyncio.run(late())
    assert asyncio.run(late())


async def test_nothing_is_kept_of_blocks_that_have_ended() -> None:
    limit = TimeLimit(10)
    tasks = []

    async def run() -> None:
        with limit():
            await asyncio.sleep(0)

    for _ in range(100):
        task = asyncio.create_task(run())
        tasks.append(weakref.ref(task))
        await task
    del task
    gc.collect()
    assert sum(ref() is not None for ref in tasks) <= 1


async def test_it_needs_a_task() -> None:
    failed: list[BaseException] = []

    def enter() -> None:
        try:
            with TimeLimit(1)():
                pass
        except RuntimeError as error:
            failed.append(error)

    asyncio.get_running_loop().call_soon(enter)
    await asyncio.sleep(0)
    assert [str(error) for error in failed] == ["a time limit needs a task"]
