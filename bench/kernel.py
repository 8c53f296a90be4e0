"""A Rocket with the rows in it, in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from bench.asgi import Application, answer
from bench.asks import post
from bench.rocket import APP, document
from bench.rows import Rows
from rocket_kernel import Plugin
from rocket_kernel.config import Config
from rocket_kernel.testing import RunningKernel, run_kernel


def run(work: Callable[[], Awaitable[None]]) -> None:
    """On the event loop that the servers use."""

    async def main() -> None:
        await work()

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(main())


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # it does not exist for every platform
        return None
    return uvloop.new_event_loop


@asynccontextmanager
async def filled_kernel(
    config: Config, rows: Rows, *, plugins: Sequence[type[Plugin]] = (), app: str = APP
) -> AsyncIterator[RunningKernel]:
    """Started with an app that holds the rows; the app is deleted when the block ends."""
    async with run_kernel(config, plugins=plugins) as running:
        call: Application = running.quart
        await answer(call, post("/api/_platform/apps", {"name": app}))
        await answer(call, post(f"/api/{app}/_admin/import", document(rows)))
        try:
            yield running
        finally:
            await running.kernel.apps.delete(app)
