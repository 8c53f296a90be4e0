"""Traces of one app that wait to be stored: bounded, and what does not fit is counted."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from rocket_instrumentation.events_minutes import Minutes
from rocket_kernel import AppContext, Span

BUFFERS = 20
"""How many times `buffer_size` spans wait at most: a batch is written as soon as there is one, and while it is written
others gather."""
Traces: TypeAlias = "list[Sequence[Span]]"


@dataclass(slots=True, eq=False)
class Buffer:
    app: AppContext
    size: int
    """Spans that make a batch."""
    waiting: deque[Sequence[Span]] = field(default_factory=deque)
    """Trace by trace. To pack them is left to whoever writes: many in a row cost a fifth of what one in a request does."""
    spans: int = 0
    """Those that wait, the ones on their way to the database included."""
    minutes: Minutes = field(default_factory=Minutes)
    journalled: int = 0
    """Spans in the journal, as far as this process knows."""
    looked: bool = False
    """Whether the journal has been looked through since the app was opened: a process that died may have left some."""
    retry_at: float = 0.0
    """On the clock of the event loop: after a failure nothing is tried before."""
    failures: int = 0
    draining: asyncio.Task[None] | None = None
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)
    settling: asyncio.Lock = field(default_factory=asyncio.Lock)
    closing: bool = False

    @property
    def has_batch(self) -> bool:
        return self.spans >= self.size

    def add(self, spans: Sequence[Span]) -> bool:
        """False when there is no room for all of them; then none is kept."""
        together = self.spans + len(spans)
        if together > self.size * BUFFERS:
            return False
        self.waiting.append(spans)
        self.spans = together
        return True

    def take(self, most: int) -> Traces:
        """The oldest traces, about so many spans; they count until `done`."""
        taken: Traces = []
        spans = 0
        while self.waiting and spans < most:
            taken.append(self.waiting.popleft())
            spans += len(taken[-1])
        return taken

    def done(self, traces: Traces) -> None:
        self.spans -= count_spans(traces)

    def give_back(self, traces: Traces) -> None:
        """To be tried again, before all others."""
        self.waiting.extendleft(reversed(traces))


def count_spans(traces: Traces) -> int:
    return sum(map(len, traces))
