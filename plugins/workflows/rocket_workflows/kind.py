"""Workflows as a kind of metadata: versions are kept, and schedules follow their workflows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rocket_kernel import Change, Conflict, MetadataKind, Model, Stored, canonical_text, timestamp_text
from rocket_workflows.cron import Cron
from rocket_workflows.definition import RECORD_TRIGGERS, Workflow
from rocket_workflows.definition_schema import WORKFLOW
from rocket_workflows.parse import DEFINITION, load_workflow, parse_workflow
from rocket_workflows.refusal import shown
from rocket_workflows.tables import SCHEDULE_ROWS, VERSION_ROWS, WORKFLOWS

KIND = "workflows"


def stored_workflows(model: Model) -> Mapping[str, Stored[Workflow]]:
    """By id."""
    return model.of(KIND)


def find_workflow(model: Model, name_or_id: str) -> Stored[Workflow] | None:
    """A name goes before an id, should somebody have named a workflow like another one's id."""
    items = stored_workflows(model)
    named = next((stored for stored in items.values() if stored.item.name == name_or_id), None)
    return named or items.get(name_or_id.lower())


def _check(item: Workflow, _former: Workflow | None, model: Model) -> None:
    if any(stored.item.name == item.name for stored in stored_workflows(model).values()):
        raise Conflict(f"Workflow already exists: {item.name}")


def _body(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("name", *DEFINITION, "active")}


def _revise(item: Workflow, former: Stored[Workflow]) -> Mapping[str, Any]:
    same = canonical_text(item.body) == canonical_text(former.item.body)
    return {"version": former.row["version"] + (0 if same else 1)}


async def _changed(change: Change[Workflow]) -> None:
    former, stored = change.former, change.stored
    if stored is None:
        return  # what belongs to the workflow goes with its row
    if former is not None and former.row["version"] != stored.row["version"]:
        row = {
            "workflow_id": former.key,
            "version": former.row["version"],
            "definition": dict(former.item.body),
            "created_at": change.now,
        }
        await VERSION_ROWS.try_insert(change.tx, row)
    await _keep_schedule(change, stored)


async def _keep_schedule(change: Change[Workflow], stored: Stored[Workflow]) -> None:
    """A schedule counts from when it came into force; another change of its workflow leaves it as it runs."""
    wanted, had = _schedule(stored), _schedule(change.former)
    if wanted == had:
        return
    await SCHEDULE_ROWS.delete(change.tx, {"workflow_id": stored.key})
    due = None if wanted is None else wanted.next_after(instant(change.now))
    if due is not None:
        await SCHEDULE_ROWS.insert(change.tx, {"workflow_id": stored.key, "due_at": timestamp_text(due)})


def _schedule(stored: Stored[Workflow] | None) -> Cron | None:
    return stored.item.trigger.cron if stored is not None and stored.item.active else None


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _entities(item: Workflow) -> tuple[str, ...]:
    return () if item.trigger.entity is None else (item.trigger.entity,)


def _orphaned(item: Workflow) -> Mapping[str, Any] | None:
    return {"active": False} if item.active and item.trigger.type in RECORD_TRIGGERS | {"manual"} else None


WORKFLOW_KIND: MetadataKind[Workflow] = MetadataKind(
    name=KIND,
    singular="workflow",
    path="workflows",
    noun="Workflow",
    table=WORKFLOWS,
    rank=130,
    order_by=("name",),
    parse=parse_workflow,
    load=load_workflow,
    body=_body,
    row=lambda item: {"name": item.name, **item.body, "active": item.active},
    revise=_revise,
    changed=_changed,
    identity=lambda item: item.name,
    value=lambda item: (canonical_text(item.body), item.active),
    export=lambda item: {"name": item.name, **item.body, "active": item.active},
    label=lambda body: shown(body.get("name", "")),
    check=_check,
    entities=_entities,
    orphaned=_orphaned,
    schema=WORKFLOW,
)
