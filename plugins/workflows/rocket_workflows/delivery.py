"""Going on when the outside world has answered for good."""

from __future__ import annotations

from rocket_kernel import JobRun
from rocket_workflows.definition import ActionStep
from rocket_workflows.instance import RUNNING, failed
from rocket_workflows.tables import INSTANCE_ROWS
from rocket_workflows.versions import definition_of
from rocket_workflows.worker import after_action


async def delivery_ended(run: JobRun, *, max_steps: int) -> None:
    """Store how a delivery ended, if its step still waits for it: a second run finds that it does not."""
    waiting = {"id": run.payload["instance"], "delivery": run.payload["delivery"], "status": RUNNING}
    outcome = run.payload["outcome"]
    async with run.app.writing() as (tx, registry):
        row = await INSTANCE_ROWS.first(tx, waiting, lock=True)
        workflow = None if row is None else await definition_of(tx, registry, row)
        if row is None or workflow is None:
            return
        step = workflow.steps[row["current_step"]]
        if outcome["ok"] and isinstance(step, ActionStep):
            values = await after_action(tx, registry, workflow, step, row, run.now, max_steps=max_steps)
        else:
            values = failed(row, str(outcome["error"] or "the delivery failed"), run.now)
        await INSTANCE_ROWS.update(tx, waiting, {**values, "updated_at": run.now})
