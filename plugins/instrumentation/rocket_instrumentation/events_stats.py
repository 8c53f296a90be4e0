"""GET `_events/stats`: contract §16.3.

A short time is counted row by row, and its figures are exact. A long one is made of the sums of its minutes, with the
rows of the minutes that it covers in part: there the 95th percentile has three significant digits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rocket_instrumentation.events_list import parse_range
from rocket_instrumentation.events_minutes import Sum, count_packed, minute_of
from rocket_instrumentation.events_row import BUSINESS
from rocket_instrumentation.tables import EVENT_ROWS, MINUTE_ROWS
from rocket_kernel import NOT_NULL, Registry, Request, Response, Session, Within, data, timestamp_text

MOST_COUNTED = 20_000
"""Rows that are looked at one by one."""
_MINUTE = timedelta(minutes=1)
_COUNTED = ("source", "status", "duration_ms", "event_type")
_SUMMED = ("source", "count", "errors", "timed", "total_ms", "durations")


async def get_stats(request: Request) -> Response:
    within = parse_range(request.parameters)
    entity = request.parameters.get("entity") or None

    async def work(session: Session, _registry: Registry) -> Gathered:
        return await gather(session, within, entity)

    gathered = await request.app.read(work, request.actor)
    # A day of a million spans is a tenth of a second of adding up.
    return data(await asyncio.to_thread(lambda: stats(add_up(gathered))))


@dataclass(frozen=True, slots=True)
class Gathered:
    rows: Sequence[Sequence[Any]] = ()
    """`_COUNTED` of spans and events that are counted one by one."""
    minutes: Sequence[Sequence[Any]] = ()
    """`_SUMMED` of whole minutes."""

    @property
    def exact(self) -> bool:
        return not self.minutes


async def gather(session: Session, within: Within | None, entity: str | None) -> Gathered:
    whole = whole_minutes(within)
    minutes = await MINUTE_ROWS.select_values(session, _condition("minute", whole, entity), columns=_SUMMED)
    if sum(row[1] for row in minutes) <= MOST_COUNTED:
        rows = await _counted(session, "created_at", within, entity, limit=MOST_COUNTED + 1)
        if len(rows) <= MOST_COUNTED:
            return Gathered(rows)
    rows = list(await _counted(session, "kept_at", within or NOT_NULL, entity))
    for edge in edges(within, whole):
        rows += [row for row in await _counted(session, "created_at", edge, entity) if row[3] != BUSINESS]
    return Gathered(rows, minutes)


async def _counted(
    session: Session, column: str, when: object, entity: str | None, limit: int | None = None
) -> Sequence[Sequence[Any]]:
    where = _condition(column, when, entity)
    return await EVENT_ROWS.select_values(session, where, columns=_COUNTED, limit=limit)


def add_up(gathered: Gathered) -> dict[str, Sum]:
    """By source."""
    found: dict[str, Sum] = {}
    for source, status, duration, event_type in gathered.rows:
        total = found.get(source)
        if total is None:
            total = found[source] = Sum()
        total.add(status == "error", duration, exact=gathered.exact)
        total.events += event_type == BUSINESS
    for source, count, errors, timed, total_ms, durations in gathered.minutes:
        total = found.setdefault(source, Sum())
        total.count += count
        total.errors += errors
        total.timed += timed
        total.total_ms += total_ms
        count_packed(durations, total.durations)
    return found


def stats(sums: Mapping[str, Sum]) -> dict[str, Any]:
    together = Sum()
    for total in sums.values():
        together.join(total)
    spans = together.count - together.events
    ordered = sorted(sums.items(), key=lambda item: (-item[1].count, item[0]))
    return {
        "total_events": together.count,
        "avg_latency_ms": average(together),
        "p95_latency_ms": percentile(together),
        "error_rate": round(together.errors / spans, 6) if spans else 0,
        "by_source": [
            {
                "source": source,
                "count": total.count,
                "avg_duration_ms": average(total),
                "p95_duration_ms": percentile(total),
                "error_count": total.errors,
            }
            for source, total in ordered
        ],
    }


def average(total: Sum) -> float | None:
    return round(total.total_ms / total.timed, 3) if total.timed else None


def percentile(total: Sum) -> float | None:
    """The least duration that 95 of 100 do not exceed."""
    left = -(-total.timed * 95 // 100)
    for microseconds in sorted(total.durations):
        left -= total.durations[microseconds]
        if left <= 0:
            return microseconds / 1000
    return None


def whole_minutes(within: Within | None) -> Within:
    """The minutes that lie within a time completely."""
    start, end = (None, None) if within is None else (within.start, within.end)
    first = None if start is None else _minute_from(str(start))
    last = None if end is None else minute_of(str(end))
    return Within(first, last)


def edges(within: Within | None, whole: Within) -> Iterator[Within]:
    """What of a time lies in minutes that reach beyond it."""
    if within is None:
        return
    if whole.start is not None and whole.end is not None and str(whole.start) >= str(whole.end):
        yield within  # it has no whole minute
        return
    if within.start != whole.start:
        yield Within(within.start, whole.start)
    if within.end != whole.end:
        yield Within(whole.end, within.end)


def _minute_from(instant: str) -> str:
    """The first minute that begins then or later."""
    floor = minute_of(instant)
    return floor if floor == instant else timestamp_text(datetime.fromisoformat(floor) + _MINUTE)


def _condition(column: str, when: object, entity: str | None) -> dict[str, object]:
    where = {} if when is None else {column: when}
    return where if entity is None else {**where, "entity": entity}
