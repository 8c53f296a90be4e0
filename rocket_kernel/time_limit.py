"""A limit of time for blocks of which very many run and hardly one takes too long.

`asyncio.timeout` sets a timer of the event loop for each block, which costs as much as reading a record. Blocks under
one limit are due in the order in which they began, so one timer is enough for all of them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType


class TimeLimit:
    """`with limit(): await …` raises TimeoutError when the block takes longer. For one event loop at a time."""

    __slots__ = ("_blocks", "_loop", "_seconds", "_timer")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._blocks: deque[_Block] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __call__(self) -> _Block:
        return _Block(self)

    def begin(self, block: _Block) -> None:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._timer = loop, None
            self._blocks.clear()
        block.until = loop.time() + self._seconds
        self._blocks.append(block)
        if self._timer is None:
            self._timer = loop.call_at(block.until, self._look, loop)

    def end(self) -> None:
        blocks = self._blocks
        while blocks and blocks[0].ended:
            blocks.popleft()

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        blocks, now = self._blocks, loop.time()
        while blocks and (blocks[0].ended or blocks[0].until <= now):
            block = blocks.popleft()
            if not block.ended:
                block.expire()
        self._timer = loop.call_at(blocks[0].until, self._look, loop) if blocks else None


class _Block:
    __slots__ = ("_cancelling", "_expired", "_limit", "_task", "ended", "until")

    def __init__(self, limit: TimeLimit) -> None:
        self._limit = limit
        self._expired = False
        self.ended = False
        self.until = 0.0

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a time limit needs a task")
        self._task = task
        self._cancelling = task.cancelling()
        self._limit.begin(self)

    def expire(self) -> None:
        self._expired = True
        self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended = True
        self._limit.end()
        # As in asyncio.timeout: a cancellation that came from elsewhere too stays one.
        if self._expired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error
