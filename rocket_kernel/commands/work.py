"""Work on the databases without a server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from rocket_kernel.kernel import Kernel

T = TypeVar("T")


def work(kernel: Kernel, task: Callable[[Kernel], Awaitable[T]]) -> T:
    """Open the databases, run the task, close them; no plugin hears `on_started` and no job runs. A server may run on the same databases meanwhile."""
    return asyncio.run(_run(kernel, task))


async def _run(kernel: Kernel, task: Callable[[Kernel], Awaitable[T]]) -> T:
    await kernel.open()
    try:
        return await task(kernel)
    finally:
        await kernel.close()
