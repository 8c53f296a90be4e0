"""Traces of one app that wait to be stored: bounded, and what does not fit is counted."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from rocket_instrumentation.events_minutes import Minutes
from rocket_instrumentation.events_pack import Packed, pack
from rocket_kernel import AppContext, Spans

BUFFERS = 60
"""How many times `buffer_size` spans wait at most: those of several rounds gather, and others while they are written."""
_FRESH = 32
"""Traces that are packed together. One by one in the middle of requests it would cost five times as much, and spans that
are kept for long are spread over memory that no request finds in the processor's caches."""


@dataclass(slots=True, eq=False)
class Buffer:
    app: AppContext
    size: int
    """Spans that make a batch."""
    hurry: Callable[[], object]
    """Called when it is half full: what waits is to be written now."""
    waiting: deque[Packed] = field(default_factory=deque)
    fresh: list[Spans] = field(default_factory=list)
    """Traces that are not packed yet."""
    spans: int = 0
    """Those that wait, the ones on their way to the database included."""
    minutes: Minutes = field(default_factory=Minutes)
    journalled: int = 0
    """Spans in the journal, as far as this process knows."""
    looked: bool = False
    """Whether the journal has been looked through since the app was opened: a process that died may have left some."""
    retry_at: float = 0.0
    """On the clock of the event loop: after a failure nothing is tried before."""
    most: int = field(init=False)
    """Spans that wait at once."""
    half_full: int = field(init=False)
    failures: int = 0
    rounds: int = 0
    """In which more than a batch waited, since one was written."""
    draining: asyncio.Task[None] | None = None
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)
    settling: asyncio.Lock = field(default_factory=asyncio.Lock)
    closing: bool = False

    @property
    def has_batch(self) -> bool:
        return self.spans >= self.size

    def __post_init__(self) -> None:
        self.most = self.size * BUFFERS
        self.half_full = self.most // 2

    def add(self, spans: Spans) -> bool:
        """False when there is no room for all of them; then none is kept."""
        together = self.spans + len(spans.noted)
        if together > self.most:
            return False
        self.spans = together
        fresh = self.fresh
        fresh.append(spans)
        if len(fresh) >= _FRESH:
            self.pack()
        if together >= self.half_full:
            self.hurry()
        return True

    def pack(self) -> None:
        if self.fresh:
            fresh, self.fresh = self.fresh, []
            self.waiting.append((sum([len(spans.noted) for spans in fresh]), pack(fresh)))

    def take(self, most: int) -> list[Packed]:
        """The oldest traces, about so many spans; they count until `done`."""
        self.pack()
        taken: list[Packed] = []
        spans = 0
        while self.waiting and spans < most:
            taken.append(self.waiting.popleft())
            spans += taken[-1][0]
        return taken

    def done(self, traces: list[Packed]) -> None:
        self.spans -= count_spans(traces)

    def give_back(self, traces: list[Packed]) -> None:
        """To be tried again, before all others."""
        self.waiting.extendleft(reversed(traces))

    def forget(self) -> None:
        self.waiting.clear()
        self.fresh.clear()
        self.spans = 0


def count_spans(traces: list[Packed]) -> int:
    return sum(spans for spans, _ in traces)
