"""Spans in sum, minute by minute: what stats of a long time are made of. Pure but for the memory of what was stored."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from rocket_instrumentation.events_row import SpanRow, created_at, measures

MINUTE_COLUMNS = ("minute", "source", "entity", "writer", "count", "errors", "timed", "total_ms", "durations")
Key = tuple[str, str, str]
"""Minute, source, entity."""
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(tuple[list[int], list[int]]).decode
_KEPT_MINUTES = 3
"""How many minutes back rows are remembered: spans are stored when their request has ended, under the minute in which they
began."""


@dataclass(slots=True)
class Sum:
    """Of some spans, and business events among them."""

    count: int = 0
    errors: int = 0
    timed: int = 0
    total_ms: float = 0.0
    events: int = 0
    """How many of them are business events, which neither fail nor last."""
    durations: Counter[float] = field(default_factory=Counter)
    """How often each duration occurred, in microseconds."""

    def add(self, failed: bool, duration_ms: float | None, *, exact: bool = False) -> None:
        """`exact` keeps all digits of the duration, else there are three."""
        self.count += 1
        self.errors += failed
        if duration_ms is not None:
            self.timed += 1
            self.total_ms += duration_ms
            microseconds = round(duration_ms * 1000)
            kept = microseconds if exact or microseconds < 1000 else three_digits(microseconds)
            self.durations[kept] += 1

    def join(self, other: Sum) -> None:
        self.count += other.count
        self.errors += other.errors
        self.timed += other.timed
        self.total_ms += other.total_ms
        self.events += other.events
        own = self.durations
        for value, times in other.durations.items():
            own[value] += times


def three_digits(microseconds: int) -> int:
    """The longer a duration, the less its digits matter; this way a day of them has a few thousand different ones."""
    return round(microseconds, 3 - len(str(microseconds)))


def summed(rows: Iterable[SpanRow]) -> dict[Key, Sum]:
    found: dict[Key, Sum] = {}
    for row in rows:
        source, entity, failed, duration = measures(row)
        key = (minute_of(created_at(row)), source, entity)
        total = found.get(key)
        if total is None:
            total = found[key] = Sum()
        total.add(failed, duration)
    return found


def minute_of(instant: str) -> str:
    return f"{instant[:16]}:00.000Z"


@dataclass(frozen=True, slots=True)
class Written:
    """A row as it stands, or is to stand: who counted, and what."""

    writer: str
    total: Sum


@dataclass(slots=True)
class Minutes:
    """What this process has stored of the latest minutes, for one app."""

    _stored: dict[Key, Written] = field(default_factory=dict)

    def with_added(self, added: Mapping[Key, Sum]) -> dict[Key, Written]:
        """What is to be stored; nothing is remembered of it before `keep`.

        A sum that is not remembered begins a row of its own, so that none is overwritten by less than it held.
        """
        joined: dict[Key, Written] = {}
        for key, total in added.items():
            known, together = self._stored.get(key), Sum()
            if known is not None:
                together.join(known.total)
            together.join(total)
            joined[key] = Written(os.urandom(6).hex() if known is None else known.writer, together)
        return joined

    def keep(self, written: Mapping[Key, Written]) -> None:
        """It has been committed."""
        self._stored.update(written)
        minutes = sorted({key[0] for key in self._stored})
        if len(minutes) > _KEPT_MINUTES:
            oldest = minutes[-_KEPT_MINUTES]
            self._stored = {key: row for key, row in self._stored.items() if key[0] >= oldest}


def minute_rows(written: Mapping[Key, Written]) -> list[Sequence[object]]:
    """Wire values in the order of `MINUTE_COLUMNS`."""
    return [
        (*key, row.writer, it.count, it.errors, it.timed, round(it.total_ms, 3), packed(it.durations))
        for key, row in written.items()
        for it in (row.total,)
    ]


def packed(durations: Mapping[float, int]) -> str:
    """Those that occurred once, and the others with how often: `[[value, …], [value, times, value, times, …]]`.

    Most durations of a minute occur once, and to count them again as they stand is the quickest there is.
    """
    once = [value for value, times in durations.items() if times == 1]
    more = [part for value, times in durations.items() if times > 1 for part in (value, times)]
    return _encode((once, more)).decode()


def count_packed(text: str, into: Counter[float]) -> None:
    once, more = _decode(text)
    into.update(once)
    for value, times in zip(more[::2], more[1::2], strict=True):
        into[value] += times
