"""The definition an instance began with, however often its workflow has changed since."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rocket_kernel import Registry, Session
from rocket_workflows.definition import Workflow
from rocket_workflows.kind import stored_workflows
from rocket_workflows.parse import load_workflow
from rocket_workflows.tables import VERSION_ROWS


async def definition_of(session: Session, registry: Registry, row: Mapping[str, Any]) -> Workflow | None:
    """None when the workflow has just been deleted, and its instances with it."""
    known = known_definition(registry, row)
    if known is not None:
        return known
    where = {"workflow_id": row["workflow_id"], "version": row["workflow_version"]}
    kept = await VERSION_ROWS.first(session, where)
    if kept is None:
        return None
    workflow = load_workflow({"name": row["workflow_name"], **kept["definition"]}, registry.model)
    registry.memo[_key(row)] = workflow
    return workflow


def known_definition(registry: Registry, row: Mapping[str, Any]) -> Workflow | None:
    """What can be had without a look at the database."""
    stored = stored_workflows(registry.model).get(row["workflow_id"])
    if stored is not None and stored.row["version"] == row["workflow_version"]:
        return stored.item
    found: Workflow | None = registry.memo.get(_key(row))
    return found


def _key(row: Mapping[str, Any]) -> tuple[str, str, int]:
    return "workflows:version", row["workflow_id"], row["workflow_version"]
