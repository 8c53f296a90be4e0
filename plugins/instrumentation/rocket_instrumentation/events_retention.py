"""Events are forgotten after `retention_days`, their sums with them."""

from __future__ import annotations

from datetime import datetime, timedelta

from rocket_instrumentation.events_minutes import minute_of
from rocket_instrumentation.tables import EVENT_ROWS, JOURNAL_ROWS, MINUTE_ROWS
from rocket_kernel import Comparison, JobRun, timestamp_text

EVERY_S = 3600.0
_AT_ONCE = 500
"""Rows deleted in one transaction, so that writers get their turn in between."""


async def forget_events(run: JobRun) -> None:
    days = run.app.parts.config.instrumentation.retention_days
    # Whole minutes: rows and the sums they are part of go together.
    limit = minute_of(timestamp_text(datetime.fromisoformat(run.now) - timedelta(days=days)))
    old = {"created_at": Comparison("<", limit)}
    async with run.app.writing_aside() as tx:
        await MINUTE_ROWS.delete(tx, {"minute": Comparison("<", limit)})
        await JOURNAL_ROWS.delete(tx, {"created_at": Comparison("<", limit)})
    while True:
        async with run.app.writing_aside() as tx:
            rows = await EVENT_ROWS.select_values(
                tx, old, columns=("trace_id",), order_by=("created_at",), limit=_AT_ONCE
            )
            if rows:
                await EVENT_ROWS.delete(tx, {"trace_id": list({row[0] for row in rows}), **old})
        if len(rows) < _AT_ONCE:
            return
