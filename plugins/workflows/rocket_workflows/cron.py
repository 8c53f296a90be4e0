"""Schedules: five-field cron expressions in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cronsim import CronSim, CronSimError

_FIELDS = 5
_LONGEST = 200
_ANY_DAY = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Cron:
    expression: str

    def next_after(self, instant: datetime) -> datetime | None:
        """The first full minute after `instant` that the schedule names; None when there is none in fifty years."""
        # CronSim counts whole seconds on from what it is given, and a part of a second must not bring a minute twice.
        start = instant.astimezone(UTC).replace(microsecond=0)
        return next((due for due in _instants(self.expression, start) if due > instant), None)


def parse_cron(text: object) -> Cron:
    """Raises ValueError for what is no five-field expression, or names a day that never comes."""
    if not isinstance(text, str) or len(text) > _LONGEST or len(text.split()) != _FIELDS:
        raise ValueError("five fields expected")
    try:
        cron = Cron(text)
        if cron.next_after(_ANY_DAY) is None:
            raise ValueError("this never comes")
    except (CronSimError, AssertionError, TypeError) as error:
        raise ValueError(str(error)) from error
    return cron


def _instants(expression: str, start: datetime) -> CronSim:
    # One second back: what lies in the very second of `start` is judged by the caller.
    return CronSim(expression, start - timedelta(seconds=1))
