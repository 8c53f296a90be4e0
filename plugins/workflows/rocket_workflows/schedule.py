"""Starting by the clock: each due minute is claimed by one conditional UPDATE that moves on to the next."""

from __future__ import annotations

from uuid import uuid4

from rocket_kernel import SYSTEM, AppContext, Call, Clock, Comparison, timestamp_text
from rocket_workflows.context import Occasion
from rocket_workflows.kind import instant, stored_workflows
from rocket_workflows.starting import Starter
from rocket_workflows.tables import SCHEDULE_ROWS

_AT_ONCE = 20


async def start_due(app: AppContext, clock: Clock, starter: Starter) -> int:
    """Start what is due, each once over all processes; after an outage once for all that was missed. How many."""
    now = timestamp_text(clock.now())
    due = {"due_at": Comparison("<=", now)}
    async with app.reading() as (session, _):
        rows = await SCHEDULE_ROWS.select(session, due, order_by=("due_at", "workflow_id"), limit=_AT_ONCE)
    started = 0
    for row in rows:
        started += await start_one(app, starter, row["workflow_id"], row["due_at"], now)
    return started


async def start_one(app: AppContext, starter: Starter, workflow: str, due_at: str, now: str) -> int:
    """1 when this caller is the one that has moved the schedule on from `due_at`, else 0."""
    seen = {"workflow_id": workflow, "due_at": due_at}
    async with app.writing() as (tx, registry):
        stored = stored_workflows(registry.model).get(workflow)
        cron = stored.item.trigger.cron if stored is not None and stored.item.active else None
        following = None if cron is None else cron.next_after(instant(now))
        if stored is None or following is None:
            await SCHEDULE_ROWS.delete(tx, seen)
            return 0
        if await SCHEDULE_ROWS.update(tx, seen, {"due_at": timestamp_text(following)}) != 1:
            return 0
        await starter.start(tx, registry, stored, Occasion(actor=SYSTEM), Call(SYSTEM, now, str(uuid4())))
    return 1
