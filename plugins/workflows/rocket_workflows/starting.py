"""Starting instances: always a row in the transaction of whatever starts it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rocket_kernel import Actor, Call, Cause, Registry, Stored, Transaction, annotate, sensitive_names, span
from rocket_workflows.assigning import arrive
from rocket_workflows.context import Occasion, sensitive_members
from rocket_workflows.definition import Workflow
from rocket_workflows.ids import new_id
from rocket_workflows.instance import FAILED, Note, Values, ended
from rocket_workflows.tables import INSTANCE_ROWS


@dataclass(frozen=True, slots=True)
class Starter:
    """Starts instances in transactions of others."""

    max_chain_depth: int

    async def start(
        self, tx: Transaction, registry: Registry, stored: Stored[Workflow], occasion: Occasion, call: Call
    ) -> dict[str, Any]:
        """The row of the new instance. Its steps are for the workers."""
        with span("workflow", "engine", "workflow.trigger", entity=occasion.entity, record_id=occasion.record_id):
            row = await self._start(tx, registry, stored, occasion, call)
            annotate(workflow=row["workflow_name"], instance_id=row["id"])
        return row

    async def _start(
        self, tx: Transaction, registry: Registry, stored: Stored[Workflow], occasion: Occasion, call: Call
    ) -> dict[str, Any]:
        entity = registry.model.entities.get(occasion.entity or "")
        row = new_instance(stored, occasion, call)
        row["sensitive"] = sensitive_members(stored.item.context, occasion, sensitive_names(entity)) or None
        first = stored.item.steps[stored.item.first]
        if row["depth"] > self.max_chain_depth:
            row |= _too_deep(first.id, call.now, self.max_chain_depth)
        else:
            row |= await arrive(tx, registry, first, row, call.now)
        # What is null or zero stands in the row by default: this is part of somebody's request.
        await INSTANCE_ROWS.insert_many(tx, [{name: value for name, value in row.items() if value not in (None, 0)}])
        return row


def new_instance(stored: Stored[Workflow], occasion: Occasion, call: Call) -> Values:
    """All of its row but the state at the first step."""
    workflow = stored.item
    return {
        "id": new_id(call.now),
        "workflow_id": stored.key,
        "workflow_name": workflow.name,
        "workflow_version": stored.row["version"],
        "entity": occasion.entity,
        "record_id": occasion.record_id,
        "context": {name: path and path.resolve(occasion) for name, path in workflow.context.items()},
        "depth": chain_depth(call.cause),
        "started_by": occasion.actor.id,
        "starter": starter(occasion.actor),
        "created_at": call.now,
    }


def chain_depth(cause: Cause | None) -> int:
    """How many instances and actions what starts now follows from."""
    if cause is None:
        return 0
    return cause.depth + 1 if cause.kind == "workflow" else cause.depth


def starter(actor: Actor) -> Mapping[str, Any] | None:
    """The `user` of conditions: who started it, None for the system."""
    if actor.system:
        return None
    return {"id": actor.id, "email": actor.email, "roles": sorted(actor.roles)}


def started(row: Mapping[str, Any]) -> dict[str, Any]:
    """What explain shows of an instance that would be started."""
    shown = {"workflow": row["workflow_name"], "workflow_id": row["workflow_id"], "version": row["workflow_version"]}
    return {**shown, "entity": row["entity"], "record_id": row["record_id"], "status": row["status"]}


def _too_deep(step: str, now: str, limit: int) -> Values:
    error = f"workflow chain deeper than {limit}"
    history = [Note(step, FAILED, now, error=error).as_json()]
    return {**ended(FAILED, now, step=step, error=error), "history": history, "visit": 0, "position": 0, "attempt": 0}
