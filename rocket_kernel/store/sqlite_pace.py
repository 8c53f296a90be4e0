"""How long a statement may keep the event loop from everybody else, and which statements did not keep to it."""

from __future__ import annotations

import sqlite3
from math import inf
from time import monotonic

BUDGET_S = 0.004
_CHECK_EVERY = 1000
"""Instructions of SQLite's machine between two looks at the clock: about 20 microseconds."""
_SLOW_FOR_S = 30.0
_SLOW_KEPT = 1000


class Pace:
    """One for each connection that is used on the event loop's thread."""

    __slots__ = ("_deadline", "_slow")

    def __init__(self) -> None:
        self._deadline = inf
        self._slow: dict[str, float] = {}

    def guard(self, connection: sqlite3.Connection) -> None:
        """From now on statements of the connection are interrupted when their time is over."""
        connection.set_progress_handler(self.is_over, _CHECK_EVERY)

    def start(self) -> None:
        self._deadline = monotonic() + BUDGET_S

    def stop(self) -> None:
        """Statements may take as long as they want."""
        self._deadline = inf

    def is_over(self) -> bool:
        return monotonic() > self._deadline

    def is_slow(self, sql: str) -> bool:
        return bool(self._slow) and self._slow.get(sql, 0.0) > monotonic()

    def remember(self, sql: str) -> None:
        if len(self._slow) >= _SLOW_KEPT:
            self._slow.clear()
        self._slow[sql] = monotonic() + _SLOW_FOR_S
