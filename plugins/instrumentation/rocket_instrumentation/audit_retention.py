"""History is kept for ever, unless the settings say for how long."""

from __future__ import annotations

from datetime import datetime, timedelta

from rocket_instrumentation.audit_table import ROWS
from rocket_kernel import Job, JobRun, timestamp_text

EVERY_S = 3600.0
_AT_ONCE = 500
"""Rows deleted in one transaction, so that writers get their turn in between."""


def audit_jobs(days: int) -> list[Job]:
    """With 0 days nothing is ever forgotten."""

    async def forget(run: JobRun) -> None:
        await forget_old_history(run, days)

    return [Job(name="instrumentation:audit_retention", run=forget, every_s=EVERY_S, opens_apps=True)] if days else []


async def forget_old_history(run: JobRun, days: int) -> None:
    limit = timestamp_text(datetime.fromisoformat(run.now) - timedelta(days=days))
    while True:
        async with run.app.writing() as (tx, _registry):
            oldest = await ROWS.select(tx, order_by=("seq",), limit=_AT_ONCE)
            old = [row["seq"] for row in oldest if row["created_at"] < limit]
            if old:
                await ROWS.delete(tx, {"seq": old})
        if len(old) < _AT_ONCE:
            return
