"""Deliveries that have ended are forgotten after a while."""

from __future__ import annotations

from datetime import datetime, timedelta

from rocket_kernel import Comparison, JobRun, timestamp_text
from rocket_webhooks.outbox import first_id
from rocket_webhooks.tables import LOGS

EVERY_S = 3600.0
_AT_ONCE = 500
"""Rows deleted in one transaction, so that writers get their turn in between."""


async def delete_old(run: JobRun, days: int) -> None:
    """Only what has ended: a delivery that still waits is kept, however old."""
    limit = timestamp_text(datetime.fromisoformat(run.now) - timedelta(days=days))
    # Ids begin with the time.
    old = {"lane": None, "id": Comparison("<", first_id(limit))}
    while True:
        async with run.app.writing() as (tx, _registry):
            rows = await LOGS.select(tx, old, order_by=("id",), limit=_AT_ONCE)
            if rows:
                await LOGS.delete(tx, {"id": [row["id"] for row in rows]})
        if len(rows) < _AT_ONCE:
            return
