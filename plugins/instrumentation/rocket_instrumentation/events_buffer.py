"""Spans of one app that wait to be stored: bounded, and what does not fit is counted."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from rocket_instrumentation.events_minutes import Minutes
from rocket_kernel import AppContext, Span

BUFFERS = 20
"""How many times `buffer_size` spans wait at most: a batch is written as soon as there is one, and while it is written
others gather."""


@dataclass(slots=True, eq=False)
class Buffer:
    app: AppContext
    size: int
    """Spans that make a batch."""
    waiting: deque[Sequence[Span]] = field(default_factory=deque)
    """Trace by trace."""
    count: int = 0
    """Spans that wait, those on their way to the database included."""
    minutes: Minutes = field(default_factory=Minutes)
    retry_at: float = 0.0
    """On the clock of the event loop: after a failure nothing is tried before."""
    failures: int = 0
    draining: asyncio.Task[None] | None = None
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def room(self) -> int:
        return self.size * BUFFERS - self.count

    @property
    def has_batch(self) -> bool:
        return self.count >= self.size

    def add(self, spans: Sequence[Span]) -> bool:
        """False when there is no room for all of them; then none is kept."""
        if len(spans) > self.room:
            return False
        self.waiting.append(spans)
        self.count += len(spans)
        return True

    def take(self, most: int) -> list[Sequence[Span]]:
        """The oldest traces, about so many spans; they count until `done`."""
        taken: list[Sequence[Span]] = []
        spans = 0
        while self.waiting and spans < most:
            trace = self.waiting.popleft()
            taken.append(trace)
            spans += len(trace)
        return taken

    def done(self, traces: Sequence[Sequence[Span]]) -> None:
        self.count -= sum(map(len, traces))

    def give_back(self, traces: Sequence[Sequence[Span]]) -> None:
        """To be tried again, before all others."""
        self.waiting.extendleft(reversed(traces))
