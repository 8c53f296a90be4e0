"""Time as an argument: everything that needs the time takes a Clock."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """The current instant in UTC, cut to whole milliseconds."""
        ...


class SystemClock:
    def now(self) -> datetime:
        instant = datetime.now(UTC)
        return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def timestamp_text(instant: datetime) -> str:
    """`YYYY-MM-DDTHH:MM:SS.mmmZ` of an instant in UTC."""
    # datetime.isoformat pads the year to four digits, strftime("%Y") does not on every platform.
    return instant.isoformat(timespec="milliseconds")[:23] + "Z"
