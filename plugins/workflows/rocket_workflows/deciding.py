"""Approving and rejecting: one decision for a step, however many callers try at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from rocket_kernel import Actor, Call, Forbidden, InvalidPayload, Registry, Transaction, ValidationFailed
from rocket_workflows.definition import ApprovalStep, Workflow
from rocket_workflows.instance import RUNNING, Note, Row, may_decide
from rocket_workflows.tables import INSTANCE_ROWS
from rocket_workflows.worker import leaving

LONGEST_COMMENT = 4000

Decision = Literal["approved", "rejected"]


class InvalidState(ValidationFailed):
    """The instance, or its current step, is not open to the call."""

    code = "INVALID_STATE"


def read_comment(body: Mapping[str, Any]) -> str | None:
    """Raises ValidationFailed, and InvalidPayload for U+0000."""
    comment = body.get("comment")
    if comment is None:
        return None
    if isinstance(comment, str) and "\x00" in comment:
        raise InvalidPayload
    if not isinstance(comment, str) or len(comment) > LONGEST_COMMENT:
        raise ValidationFailed(f"comment must be a string of at most {LONGEST_COMMENT} characters")
    return comment


def read_step(body: Mapping[str, Any]) -> str | None:
    """Raises ValidationFailed."""
    step = body.get("step")
    if step is not None and not isinstance(step, str):
        raise ValidationFailed("step must be a string")
    return step


def require_running(row: Row) -> None:
    if row["status"] != RUNNING:
        raise InvalidState(f"workflow instance is not running (status: {row['status']})")


def approval_to_decide(row: Row, workflow: Workflow, actor: Actor, wanted: str | None) -> ApprovalStep:
    """The current step, if the caller may decide it now. Raises InvalidState or Forbidden."""
    require_running(row)
    if wanted is not None and wanted != row["current_step"]:
        raise _decided()
    step = workflow.steps[row["current_step"]]
    if not isinstance(step, ApprovalStep):
        raise InvalidState("current step is not an approval step")
    if not may_decide(actor, row):
        raise Forbidden("You are not an assignee of this step")
    return step


async def decide(
    tx: Transaction,
    registry: Registry,
    workflow: Workflow,
    row: Row,
    call: Call,
    *,
    decision: Decision,
    comment: str | None,
    step: str | None,
    max_steps: int,
) -> dict[str, Any]:
    """The row after the decision. Of all that decide one visit of a step the first succeeds.

    Raises InvalidState and Forbidden.
    """
    approval = approval_to_decide(row, workflow, call.actor, step)
    note = Note(approval.id, decision, call.now, by=call.actor.id, comment=comment)
    target = approval.on_approve if decision == "approved" else approval.on_reject
    values = await leaving(tx, registry, workflow, row, note, target, max_steps=max_steps)
    undecided = {"id": row["id"], "status": RUNNING, "current_step": approval.id, "visit": row["visit"]}
    if await INSTANCE_ROWS.update(tx, undecided, values) != 1:
        raise _decided()
    return {**row, **values}


def _decided() -> InvalidState:
    return InvalidState("step has already been decided")
