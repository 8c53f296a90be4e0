"""Packed traces -> rows of the journal -> rows of `_events` with their sums, each step in one transaction."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from rocket_instrumentation.events_minutes import MINUTE_COLUMNS, Key, Minutes, Written, minute_rows, summed
from rocket_instrumentation.events_pack import Packed, lines, unpack
from rocket_instrumentation.events_row import SPAN_COLUMNS, SpanRow
from rocket_instrumentation.tables import EVENT_ROWS, JOURNAL_ROWS, MINUTE_ROWS
from rocket_kernel import AppContext, RocketError, Transaction, Unavailable, timestamp_text

logger = logging.getLogger(__name__)

_JOURNAL_COLUMNS = ("id", "created_at", "spans", "traces")
_IN_A_ROW = 500
"""Spans in one row of the journal: as many as are put into `_events` at a time, which other writers have to wait for."""


async def write_journal(app: AppContext, traces: Sequence[Packed], now: datetime) -> None:
    """Raises RocketError, and then nothing is stored."""
    rows: list[tuple[object, ...]] = []
    at, spans = 0, 0
    for position, (count, _) in enumerate(traces, 1):
        spans += count
        if spans >= _IN_A_ROW or position == len(traces):
            text = b"\n".join(line for _, line in traces[at:position]).decode()
            rows.append((_new_id(now), timestamp_text(now), spans, text))
            at, spans = position, 0
    async with app.writing_aside() as tx:
        await JOURNAL_ROWS.insert_tuples(tx, _JOURNAL_COLUMNS, rows)


@dataclass(frozen=True, slots=True)
class Settled:
    """What one row of the journal came to."""

    spans: int
    refused: int
    """Spans that the database would not have for what they hold."""


async def write_events(app: AppContext, traces: Sequence[Packed], minutes: Minutes) -> Settled:
    """Put spans into their table without a journal, in one transaction. Raises RocketError, and then none is stored."""
    rows, bad = _span_rows([line for _, line in traces])
    async with app.writing_aside() as tx:
        stored, written = await _store_with_sums(tx, rows, minutes, app.name)
    minutes.keep(written)
    return Settled(len(rows) + bad, len(rows) - stored + bad)


async def settle_oldest(app: AppContext, minutes: Minutes) -> Settled | None:
    """Put the spans of the journal's oldest row into their table; None when the journal is empty. Raises RocketError."""
    async with app.writing_aside() as tx:
        found = await JOURNAL_ROWS.select_values(tx, {}, columns=("id", "traces"), order_by=("id",), limit=1)
        if not found:
            return None
        id, traces = found[0]
        if await JOURNAL_ROWS.delete(tx, {"id": id}) != 1:
            return Settled(0, 0)  # another process has just done it
        rows, bad = _span_rows(lines(traces))
        stored, written = await _store_with_sums(tx, rows, minutes, app.name)
    minutes.keep(written)
    return Settled(len(rows) + bad, len(rows) - stored + bad)


async def _store_with_sums(
    tx: Transaction, rows: list[SpanRow], minutes: Minutes, app: str
) -> tuple[int, dict[Key, Written]]:
    """How many rows could be stored, and the sums to be remembered after the commit."""
    stored = await _store(tx, rows, app)
    written = minutes.with_added(summed(stored))
    await MINUTE_ROWS.put_tuples(tx, MINUTE_COLUMNS, minute_rows(written))
    return len(stored), written


def _span_rows(packed: Iterable[bytes | str]) -> tuple[list[SpanRow], int]:
    """The rows, and how many lines were none."""
    rows: list[SpanRow] = []
    bad = 0
    for line in packed:
        try:
            rows += unpack(line)
        except (ValueError, TypeError, LookupError):
            logger.exception("a trace of the journal cannot be read")
            bad += 1
    return rows, bad


async def _store(tx: Transaction, rows: list[SpanRow], app: str) -> list[SpanRow]:
    """Those that could be stored."""
    try:
        async with tx.savepoint():
            await EVENT_ROWS.insert_tuples(tx, SPAN_COLUMNS, rows)
    except Unavailable:
        raise
    except (RocketError, ValueError, TypeError) as error:
        logger.warning("events of app %s are stored one by one: %s", app, type(error).__name__)
        return [row for row in rows if await _stored(tx, row, app)]
    return rows


async def _stored(tx: Transaction, row: SpanRow, app: str) -> bool:
    try:
        async with tx.savepoint():
            await EVENT_ROWS.insert_tuples(tx, SPAN_COLUMNS, [row])
    except Unavailable:
        raise
    except (RocketError, ValueError, TypeError) as error:
        logger.warning("an event of app %s is not stored: %s", app, type(error).__name__)
        return False
    return True


def _new_id(now: datetime) -> str:
    """Begins with the time, so that the oldest row is the first."""
    at, rest = f"{int(now.timestamp() * 1000):012x}", os.urandom(10).hex()
    return f"{at[:8]}-{at[8:]}-7{rest[:3]}-8{rest[3:6]}-{rest[6:18]}"
