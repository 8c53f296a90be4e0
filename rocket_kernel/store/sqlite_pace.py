"""How long a statement may keep the event loop from everybody else, and which statements did not keep to it."""

from __future__ import annotations

import sqlite3
from time import monotonic, thread_time

BUDGET_S = 0.004
_CHECK_EVERY = 4000
"""Instructions of SQLite's machine between two looks at the clock: about 80 microseconds, where a look costs up to 5."""
FIRST_S, _SLOW_AT_MOST_S = 0.4, 30.0
"""A statement that was too slow runs elsewhere for this long, and four times as long after each further time: the
first run after a start reads the disk, which says nothing about the next."""
_SLOW_KEPT = 1000


class Pace:
    """One for each connection that is used on the event loop's thread."""

    __slots__ = ("_deadline", "_first_s", "_running", "_slow", "_times")

    def __init__(self, first_s: float = _SLOW_AT_MOST_S) -> None:
        """`first_s`: how long a statement runs elsewhere after the first time that it was too slow."""
        self._first_s = first_s
        self._running = False
        self._deadline: float | None = None
        """None until the first look: most statements end before it, and to ask the clock costs as much as many of them."""
        self._slow: dict[str, float] = {}
        self._times: dict[str, int] = {}

    def guard(self, connection: sqlite3.Connection) -> None:
        """From now on statements of the connection are interrupted when their time is over."""
        connection.set_progress_handler(self.is_over, _CHECK_EVERY)

    def start(self) -> None:
        self._running, self._deadline = True, None

    def stop(self) -> None:
        """Statements may take as long as they want."""
        self._running = False

    def is_over(self) -> bool:
        if not self._running:
            return False
        now = thread_time()
        if self._deadline is None:
            self._deadline = now + BUDGET_S
        return now > self._deadline

    def is_slow(self, sql: str) -> bool:
        return bool(self._slow) and self._slow.get(sql, 0.0) > monotonic()

    def remember(self, sql: str) -> None:
        if len(self._slow) >= _SLOW_KEPT:
            self._slow.clear()
            self._times.clear()
        times = self._times.get(sql, 0)
        self._times[sql] = times + 1
        self._slow[sql] = monotonic() + min(self._first_s * 4**times, _SLOW_AT_MOST_S)
