"""Time as an argument: everything that needs the time takes a Clock."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from time import time_ns
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """The current instant in UTC, cut to whole milliseconds."""
        ...


class SystemClock:
    """Many requests fall into one millisecond, so the last instant is kept."""

    def __init__(self) -> None:
        self._millisecond = -1
        self._instant = datetime.now(UTC)

    def now(self) -> datetime:
        millisecond = time_ns() // 1_000_000
        if millisecond != self._millisecond:
            seconds, rest = divmod(millisecond, 1000)
            # In this order, so that another thread never finds the millisecond with the instant before it.
            self._instant = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * 1000)
            self._millisecond = millisecond
        return self._instant


@lru_cache(maxsize=64)
def timestamp_text(instant: datetime) -> str:
    """`YYYY-MM-DDTHH:MM:SS.mmmZ` of an instant in UTC."""
    # datetime.isoformat pads the year to four digits, strftime("%Y") does not on every platform.
    return instant.isoformat(timespec="milliseconds")[:23] + "Z"
