"""Lists of instances: all of them for administrators, and what waits for a caller."""

from __future__ import annotations

import json
from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from rocket_kernel import Actor, Comparison, Registry, Session, masked_members, parse_count
from rocket_workflows.instance import RUNNING, SHOWN, decider_keys, shown_instance
from rocket_workflows.kind import find_workflow
from rocket_workflows.tables import INSTANCE_ROWS

NEWEST_FIRST = ("-id",)
"""Ids begin with the time."""
_PER_PAGE = 25
_LAST_PAGE = 10**9


async def page_of(
    session: Session, registry: Registry, parameters: Mapping[str, str], max_per_page: int
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Rows, and the `meta` of the answer."""
    page = parse_count(parameters.get("page"), default=1, maximum=_LAST_PAGE)
    per_page = parse_count(parameters.get("per_page"), default=_PER_PAGE, maximum=max_per_page)
    where = _condition(registry, parameters)
    total = 0 if where is None else await INSTANCE_ROWS.count(session, where)
    offset = (page - 1) * per_page
    rows: list[dict[str, Any]] = []
    if offset < total:
        rows = await INSTANCE_ROWS.select(session, where, order_by=NEWEST_FIRST, limit=per_page, offset=offset)
    meta = {"page": page, "per_page": per_page, "total": total, "total_pages": -(-total // per_page)}
    return rows, meta


def _condition(registry: Registry, parameters: Mapping[str, str]) -> dict[str, object] | None:
    """None when nothing can satisfy it."""
    where: dict[str, object] = {
        name: parameters[name] for name in ("status", "entity", "record_id") if parameters.get(name)
    }
    if parameters.get("workflow"):
        stored = find_workflow(registry.model, parameters["workflow"])
        if stored is None:
            return None
        where["workflow_id"] = stored.key
    return where


async def pending_instances(session: Session, actor: Actor) -> list[Any]:
    """For an answer, newest first: for administrators what is at a step, for others the approvals they may decide."""
    if actor.is_admin:
        where = {"status": RUNNING, "current_step": Comparison("<>", "")}
        found = await INSTANCE_ROWS.select_for_answer(
            session, where, columns=SHOWN, beside="sensitive", order_by=NEWEST_FIRST
        )
        return [row if sensitive is None else _masked(row, sensitive) for row, sensitive in found]
    # Only running approvals have a key. To ask for their status or order too would lead a database to another index, and
    # through all instances there are.
    rows = await INSTANCE_ROWS.select(session, {"assignee_key": decider_keys(actor)})
    rows.sort(key=itemgetter("id"), reverse=True)
    return [shown_instance(row) for row in rows]


def _masked(row: Any, sensitive: list[str]) -> Any:
    """A row whose documents are texts."""
    row.context = masked_members(json.loads(bytes(row.context)), sensitive)
    return row
