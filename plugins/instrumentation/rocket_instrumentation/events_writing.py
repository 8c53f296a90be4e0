"""Storing a batch of spans, with its sums, in one transaction. One bad row costs itself and nothing else."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from rocket_instrumentation.events_minutes import MINUTE_COLUMNS, Minutes, minute_rows, summed
from rocket_instrumentation.events_row import SPAN_COLUMNS, SpanRow, span_row
from rocket_instrumentation.tables import EVENT_ROWS, MINUTE_ROWS
from rocket_kernel import AppContext, RocketError, Span, StorageFull, Transaction, Unavailable

logger = logging.getLogger(__name__)


def span_rows(traces: Sequence[Sequence[Span]]) -> tuple[list[SpanRow], int]:
    """The rows of all spans, and how many spans could not be made one of."""
    rows: list[SpanRow] = []
    bad = 0
    for spans in traces:
        for span in spans:
            try:
                rows.append(span_row(span))
            except Exception:
                logger.exception("a span %s/%s cannot be stored", span.source, span.action)
                bad += 1
    return rows, bad


async def write_rows(app: AppContext, rows: Sequence[SpanRow], minutes: Minutes) -> int:
    """Store the rows; how many of them the database refused. Raises RocketError when none could be stored."""
    refused = 0
    async with app.writing_aside() as tx:
        stored = rows
        try:
            async with tx.savepoint():
                await EVENT_ROWS.insert_tuples(tx, SPAN_COLUMNS, rows)
        except (Unavailable, StorageFull):
            raise
        except Exception as error:
            logger.warning("a batch of events of app %s is stored row by row: %s", app.name, type(error).__name__)
            stored = await _one_by_one(tx, rows)
            refused = len(rows) - len(stored)
        written = minutes.with_added(summed(stored))
        await MINUTE_ROWS.put_tuples(tx, MINUTE_COLUMNS, minute_rows(written))
    minutes.keep(written)
    return refused


async def _one_by_one(tx: Transaction, rows: Sequence[SpanRow]) -> list[SpanRow]:
    stored: list[SpanRow] = []
    for row in rows:
        try:
            async with tx.savepoint():
                await EVENT_ROWS.insert_tuples(tx, SPAN_COLUMNS, [row])
        except (Unavailable, StorageFull):
            raise
        except Exception as error:
            reason = error.message if isinstance(error, RocketError) else type(error).__name__
            logger.warning("an event is not stored: %s", reason)
        else:
            stored.append(row)
    return stored
