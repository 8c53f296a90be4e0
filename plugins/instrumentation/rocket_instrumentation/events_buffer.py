"""Packed traces of one app that wait to be journalled: bounded, and what does not fit is counted."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from rocket_instrumentation.events_minutes import Minutes
from rocket_kernel import AppContext

BUFFERS = 20
"""How many times `buffer_size` spans wait at most: a batch is written as soon as there is one, and while it is written
others gather."""
_MOST_BYTES = 256
"""For each span that may wait, all of them together: rich metadata takes the room of several."""


Packed: TypeAlias = tuple[int, bytes]
"""How many spans a trace has, and the trace."""


@dataclass(slots=True, eq=False)
class Buffer:
    app: AppContext
    size: int
    """Spans that make a batch."""
    waiting: deque[Packed] = field(default_factory=deque)
    spans: int = 0
    """Those that wait, the ones on their way to the database included."""
    held_bytes: int = 0
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

    def has_room(self, spans: int) -> bool:
        most = self.size * BUFFERS
        return self.spans + spans <= most and self.held_bytes <= most * _MOST_BYTES

    def add(self, spans: int, line: bytes) -> None:
        self.waiting.append((spans, line))
        self.spans += spans
        self.held_bytes += len(line)

    def take(self, most: int) -> list[Packed]:
        """The oldest traces, about so many spans; they count until `done`."""
        taken: list[Packed] = []
        spans = 0
        while self.waiting and spans < most:
            taken.append(self.waiting.popleft())
            spans += taken[-1][0]
        return taken

    def done(self, traces: list[Packed]) -> None:
        self.spans -= count_spans(traces)
        self.held_bytes -= sum(len(line) for _, line in traces)

    def give_back(self, traces: list[Packed]) -> None:
        """To be tried again, before all others."""
        self.waiting.extendleft(reversed(traces))


def count_spans(traces: Sequence[Packed]) -> int:
    return sum(spans for spans, _ in traces)
