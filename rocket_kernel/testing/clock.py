"""A clock that stands still until a test moves it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


class FakeClock:
    """Implements `rocket_kernel.Clock`."""

    def __init__(self, start: datetime = START) -> None:
        self._now = _whole_milliseconds(start)

    def now(self) -> datetime:
        return self._now

    def advance(self, *, seconds: float = 0, minutes: float = 0, hours: float = 0, days: float = 0) -> datetime:
        """Move on, or back with a negative amount; the instant it then shows."""
        moved = self._now + timedelta(seconds=seconds, minutes=minutes, hours=hours, days=days)
        self._now = _whole_milliseconds(moved)
        return self._now

    def set(self, instant: datetime) -> None:
        """Show another instant; it must be aware of its time zone."""
        self._now = _whole_milliseconds(instant)


def _whole_milliseconds(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ValueError("the instant needs a time zone")
    utc = instant.astimezone(UTC)
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)
