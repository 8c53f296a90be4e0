"""Starting by hand: `POST _workflows`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rocket_kernel import (
    Access,
    Actor,
    Call,
    Forbidden,
    NotFound,
    ReadableRows,
    Registry,
    Session,
    Transaction,
    ValidationFailed,
    find_record,
)
from rocket_workflows.context import Occasion
from rocket_workflows.deciding import InvalidState
from rocket_workflows.definition import MANUAL
from rocket_workflows.kind import find_workflow
from rocket_workflows.refusal import is_name, shown
from rocket_workflows.starting import Starter


async def start_manually(
    tx: Transaction, registry: Registry, body: Mapping[str, Any], call: Call, starter: Starter
) -> dict[str, Any]:
    """The row of the new instance. Raises NotFound, ValidationFailed, InvalidState and Forbidden."""
    wanted = body.get("workflow")
    if wanted is None or wanted == "":
        raise ValidationFailed("workflow is required")
    stored = find_workflow(registry.model, wanted) if is_name(wanted) else None
    if stored is None:
        raise NotFound(f"Workflow not found: {shown(wanted)}")
    workflow = stored.item
    if workflow.trigger.type != MANUAL:
        raise ValidationFailed(f"workflow {workflow.name} has no manual trigger")
    if not (call.actor.is_admin or workflow.trigger.roles & call.actor.roles):
        raise Forbidden(f"No permission to start workflow {workflow.name}")
    if not workflow.active:
        raise InvalidState(f"workflow {workflow.name} is not active")
    occasion = Occasion(actor=call.actor)
    if workflow.trigger.entity is not None:
        occasion = await _with_record(tx, registry, workflow.trigger.entity, body.get("record_id"), call.actor)
    return await starter.start(tx, registry, stored, occasion, call)


async def _with_record(tx: Session, registry: Registry, name: str, record_id: Any, actor: Actor) -> Occasion:
    """Raises NotFound for a record that is not there, and for one that the caller may not see."""
    if record_id is None or record_id == "":
        raise ValidationFailed("record_id is required")
    given = isinstance(record_id, (str, int)) and not isinstance(record_id, bool)
    text = str(record_id) if given else shown(record_id)
    entity = registry.entity(name).entity
    record = await find_record(tx, registry, entity, text, ReadableRows(Access(registry, actor))) if given else None
    if record is None:
        raise NotFound(f"{name} with id {text} not found")
    key = record[entity.primary_key.field]
    return Occasion(actor=actor, entity=name, record_id=str(key), record=record)
