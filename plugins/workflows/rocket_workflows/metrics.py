"""How many instances there are."""

from __future__ import annotations

from datetime import datetime

from rocket_kernel import AppContext, AppMetric, Samples
from rocket_workflows.instance import CANCELLED, COMPLETED, FAILED, RUNNING
from rocket_workflows.tables import INSTANCE_ROWS

_STATUSES = (RUNNING, COMPLETED, FAILED, CANCELLED)


async def _instances(app: AppContext) -> Samples:
    found = await app.read(lambda session, _registry: INSTANCE_ROWS.count_by(session, "status"))
    return [((status,), float(found.get(status, 0))) for status in _STATUSES]


async def _lag(app: AppContext) -> Samples:
    rows = await app.read(lambda session, _registry: INSTANCE_ROWS.select(session, order_by=("due_at",), limit=1))
    waited = (app.parts.clock.now() - datetime.fromisoformat(rows[0]["due_at"])).total_seconds() if rows else 0.0
    return [((), max(waited, 0.0))]


METRICS = (
    AppMetric(
        name="rocket_workflows_instances",
        help="Instances of workflows by status.",
        labels=("status",),
        read=_instances,
    ),
    AppMetric(
        name="rocket_workflows_lag_seconds",
        help="How long the instance that has been due longest has been waiting for a worker.",
        read=_lag,
    ),
)
