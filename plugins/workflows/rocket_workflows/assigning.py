"""Arriving at a step: who decides is found out then and there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rocket_kernel import (
    Compare,
    FullAccess,
    Registry,
    Session,
    fetch_records,
    find_record,
)
from rocket_workflows.definition import ApprovalStep, Assignee, Step
from rocket_workflows.instance import Assigned, Values, arrived, assigned


async def arrive(session: Session, registry: Registry, step: Step, row: Mapping[str, Any], now: str) -> Values:
    """The state at a step. `row` names the trigger's record."""
    who = await _assigned(session, registry, step.assignee, row) if isinstance(step, ApprovalStep) else None
    return arrived(step, now, who)


async def _assigned(
    session: Session, registry: Registry, assignee: Assignee | None, row: Mapping[str, Any]
) -> Assigned:
    if assignee is None or assignee.type != "relation":
        return assigned(assignee)
    return assigned(assignee, await _walk(session, registry, assignee.value, row))


async def _walk(session: Session, registry: Registry, path: str, row: Mapping[str, Any]) -> Any:
    """The value a relation path leads to from the trigger's record; None where it breaks off.

    What the path names was there when the workflow was defined and may be gone by now: that is no way on either.
    """
    if row["entity"] not in registry.compiled or row["record_id"] is None:
        return None
    entity = registry.entity(row["entity"]).entity
    record = await find_record(session, registry, entity, row["record_id"], FullAccess())
    *keys, name = path.split(".")
    for key in keys:
        hop = registry.model.hop(entity.name, key)
        if record is None or hop is None or hop.many or record.get(hop.own_field) is None:
            return None
        entity = registry.entity(hop.target).entity
        where = Compare(entity.fields[hop.other_field], "eq", record[hop.own_field])
        found = await fetch_records(session, registry, entity.name, FullAccess(), where=where, limit=1)
        record = found[0] if found else None
    return None if record is None else record.get(name)
