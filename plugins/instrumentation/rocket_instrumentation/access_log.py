"""The access log: a line for each request on standard output, written by a thread of its own.

The event loop only puts down what the line will say. Whoever reads standard output may be slow, or stop reading: then
lines are dropped and counted, and requests go on.
"""

from __future__ import annotations

import asyncio
import logging
import os
import select
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread
from typing import Any

from rocket_instrumentation.access_line import MOST_BYTES, MOST_PATH, Entry, Line
from rocket_kernel import Metric, MetricType, Request

logger = logging.getLogger(__name__)

MOST_WAITING = 20_000
"""Lines; beyond them the newest are dropped."""
PAUSE_S = 0.1
PATIENCE_S = 1.0
"""How long the end of the server waits for what is left to be written."""
_STDOUT = 1
_METHOD_LENGTH = 32
_POLL_S = 0.5

Write = Callable[[bytes], int]
"""What `os.write` does: the number of bytes taken. Raises OSError."""


def write_stdout(text: bytes) -> int:
    return os.write(_STDOUT, text)


class AccessLog:
    def __init__(self, line: Line, write: Write = write_stdout, most_waiting: int = MOST_WAITING) -> None:
        self._line = line
        self._write = write
        self._most_waiting = most_waiting
        self._waiting: deque[tuple[Any, ...]] = deque()
        """The fields of an `Entry` each."""
        self._stopping = Event()
        self._thread: Thread | None = None
        self._failing = False
        self.dropped = 0
        """Lines that found no room, on the loop's side."""
        self.lost = 0
        """Lines that could not be written, on the thread's side."""

    def observe(self, request: Request, status: int, sent: int, seconds: float) -> None:
        waiting = self._waiting
        if len(waiting) >= self._most_waiting:
            self.dropped += 1
            return
        # A tuple, because one with names costs three times as much.
        waiting.append(
            (
                request.kernel.parts.clock.now(),
                "HEAD" if request.head else request.method[:_METHOD_LENGTH],
                request.path[:MOST_PATH],
                status,
                seconds,
                sent,
                request.trace_id,
                request.app.name if request.in_app else None,
                request.actor.id,
                request.peer,
            )
        )

    def start(self) -> None:
        self._stopping.clear()
        # As a daemon, because a write into a pipe that nobody reads never ends.
        self._thread = Thread(target=self._run, name="rocket access log", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            self._stopping.set()
            await asyncio.to_thread(thread.join, PATIENCE_S)

    def metric(self) -> Metric:
        return Metric(
            name="rocket_access_log_dropped_total",
            help="Lines of the access log that were dropped, because standard output takes them too slowly or not at all.",
            type=MetricType.COUNTER,
            read=lambda: [((), float(self.dropped + self.lost))],
        )

    def _run(self) -> None:
        stopping = False
        while not stopping:
            # Looking ten times a second costs less than being woken by every request.
            stopping = self._stopping.wait(PAUSE_S)
            while self._waiting:
                self._write_piece()

    def _write_piece(self) -> None:
        """As many whole lines as a pipe takes at once. Between pieces the loop's thread gets its turn."""
        lines: list[bytes] = []
        length = 0
        while self._waiting:
            line = self._line(Entry._make(self._waiting[0]))
            if lines and length + len(line) > MOST_BYTES:
                break
            self._waiting.popleft()
            lines.append(line)
            length += len(line)
        try:
            self._write_all(b"".join(lines))
            self._failing = False
        except OSError as error:
            self.lost += len(lines)
            if not self._failing:
                self._failing = True
                logger.warning("the access log cannot be written: %s", error)

    def _write_all(self, text: bytes) -> None:
        rest = memoryview(text)
        while rest:
            try:
                rest = rest[self._write(bytes(rest)) :]
            except BlockingIOError:
                if self._stopping.is_set():
                    raise
                # Somebody who shares the pipe has made it one that does not wait.
                with suppress(ValueError):
                    select.select([], [_STDOUT], [], _POLL_S)
