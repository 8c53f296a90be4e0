"""Background work side by side: what is slow, or never ends, holds up nothing but itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Lanes:
    """At most one task for each key."""

    _tasks: dict[Hashable, asyncio.Task[Any]] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Hashable]:
        """The keys with work under way."""
        return iter(self._tasks)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._tasks

    def begin(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> asyncio.Task[T] | None:
        """A task that does the work; None when there is work under way for the key."""
        if key in self._tasks:
            return None
        task = asyncio.create_task(self._run(key, work), name=f"rocket {key}")
        self._tasks[key] = task
        # One that is cancelled before its first turn never runs.
        task.add_done_callback(lambda done: self._tasks.pop(key) if self._tasks.get(key) is done else None)
        return task

    async def _run(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        try:
            return await work()
        finally:
            # Whoever waits for the task may begin the next one at once.
            del self._tasks[key]

    async def let_end(self, patience_s: float) -> None:
        """Wait for what is under way, then cancel what is left and wait for that."""
        tasks = list(self._tasks.values())
        if not tasks:
            return
        _, left = await asyncio.wait(tasks, timeout=patience_s)
        for task in left:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
