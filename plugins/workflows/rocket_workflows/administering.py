"""What administrators do with instances: retry, cancel, delete. Each is one conditional UPDATE or DELETE."""

from __future__ import annotations

from typing import Any

from rocket_kernel import Call, Conflict, Registry, Transaction
from rocket_workflows.assigning import arrive
from rocket_workflows.deciding import InvalidState
from rocket_workflows.definition import Workflow
from rocket_workflows.instance import FAILED, RUNNING, Row, cancelled, retried
from rocket_workflows.tables import INSTANCE_ROWS


async def retry(tx: Transaction, registry: Registry, workflow: Workflow, row: Row, call: Call) -> dict[str, Any]:
    """The row, running again at the step that failed. Raises InvalidState."""
    if row["status"] != FAILED:
        raise InvalidState(f"workflow instance is not failed (status: {row['status']})")
    step = workflow.steps[row["current_step"]]
    values = retried(row, call.actor, await arrive(tx, registry, step, row, call.now))
    return await _changed(tx, row, values)


async def cancel(tx: Transaction, row: Row, call: Call) -> dict[str, Any]:
    """The row, at rest for ever. Raises InvalidState."""
    if row["status"] not in (RUNNING, FAILED):
        raise InvalidState(f"workflow instance is not running (status: {row['status']})")
    return await _changed(tx, row, cancelled(row, call.actor, call.now))


async def _changed(tx: Transaction, row: Row, values: dict[str, Any]) -> dict[str, Any]:
    """The row was locked when it was read; the condition guards it where a lock means nothing."""
    seen = {name: row[name] for name in ("id", "status", "current_step", "visit", "position")}
    if await INSTANCE_ROWS.update(tx, seen, values) != 1:
        raise Conflict("The workflow instance was changed by another request")
    return {**row, **values}
