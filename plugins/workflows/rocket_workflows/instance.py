"""A running instance: what answers show of it, and every change it can go through. Pure.

A change is a dict of column values for its row. Who may make it is for the caller to see to; that it is made once is
seen to by the condition of the UPDATE.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rocket_kernel import Actor, masked_members, timestamp_text
from rocket_workflows.context import masked_text
from rocket_workflows.definition import ApprovalStep, Assignee, Step, WaitStep, Workflow
from rocket_workflows.goto import END
from rocket_workflows.tables import NEVER

RUNNING = "running"
COMPLETED = "completed"
FAILED = "failed"
CANCELLED = "cancelled"

Row = Mapping[str, Any]
Values = dict[str, Any]

ADMINS_ONLY = ""
"""`assignee_key` of an approval that nobody but administrators decides."""
LONGEST_ERROR = 2000
_LONGEST_USER = 512

SHOWN = ("id", "workflow_id", "workflow_name", "workflow_version", "entity", "record_id", "status", "current_step",
          "current_step_deadline", "assignee", "started_by", "context", "error", "history", "created_at", "updated_at")  # fmt: skip


def shown_instance(row: Row) -> dict[str, Any]:
    """The instance of contract §9.3, without values of sensitive fields."""
    shown = {name: row[name] for name in SHOWN}
    if names := row.get("sensitive"):
        shown["context"] = masked_members(shown["context"], names)
    return shown


@dataclass(frozen=True, slots=True)
class Note:
    """What happened at a step, for the history."""

    step: str
    status: str
    at: str
    by: str | None = None
    comment: str | None = None
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        body: dict[str, Any] = {"step": self.step, "status": self.status}
        if self.by is not None:
            body["by"] = self.by
        body["at"] = self.at
        if self.comment is not None:
            body["comment"] = self.comment
        if self.error is not None:
            body["error"] = self.error
        return body


@dataclass(frozen=True, slots=True)
class Assigned:
    """An assignee found out: `shown` in answers, `key` for look-ups."""

    shown: Mapping[str, Any] | None
    key: str


def assigned(assignee: Assignee | None, found: Any = None) -> Assigned:
    """`found` is the value a relation path leads to."""
    if assignee is None:
        return Assigned(None, ADMINS_ONLY)
    match assignee.type:
        case "role":
            return Assigned(assignee.body, f"role:{assignee.value}")
        case "fixed":
            return Assigned(assignee.body, f"user:{assignee.value.lower()}")
        case _:
            user = None if found is None else str(found).strip()
            usable = bool(user) and len(user or "") <= _LONGEST_USER
            key = f"user:{(user or '').lower()}" if usable else ADMINS_ONLY
            return Assigned({**assignee.body, "user": user or None}, key)


def decider_keys(actor: Actor) -> list[str]:
    """The `assignee_key`s of the approvals that a caller may decide, administrators aside."""
    keys = [f"role:{role.lower()}" for role in sorted(actor.roles)]
    return keys + [f"user:{name.lower()}" for name in (actor.id, actor.email) if name]


def may_decide(actor: Actor, row: Row) -> bool:
    return actor.is_admin or row["assignee_key"] in decider_keys(actor)


def may_see(actor: Actor, row: Row) -> bool:
    """Administrators, current assignees, who has decided before, and who started it."""
    if may_decide(actor, row) or (actor.id is not None and row["started_by"] == actor.id):
        return True
    decided = ("approved", "rejected")
    return actor.id is not None and any(
        note["status"] in decided and note.get("by") == actor.id for note in row["history"]
    )


def arrived(step: Step, now: str, assignee: Assigned | None) -> Values:
    """The state at a step that was just entered. `assignee` only at an approval."""
    values: Values = {
        "status": RUNNING,
        "current_step": step.id,
        "current_step_deadline": None,
        "assignee": None,
        "assignee_key": None,
        "due_at": now,
        "claim": None,
        "position": 0,
        "attempt": 0,
        "delivery": None,
        "error": None,
        "updated_at": now,
    }
    if isinstance(step, WaitStep):
        over = later(now, step.duration)
        values |= {"current_step_deadline": over, "due_at": over}
    elif isinstance(step, ApprovalStep):
        timeout = None if step.timeout is None else later(now, step.timeout)
        who = assignee or Assigned(None, ADMINS_ONLY)
        values |= {
            "current_step_deadline": timeout,
            "due_at": NEVER if timeout is None else timeout,
            "assignee": None if who.shown is None else dict(who.shown),
            "assignee_key": who.key,
        }
    return values


def ended(status: str, now: str, *, step: str = "", error: str | None = None) -> Values:
    """The state of an instance that no worker need look at any more."""
    return {
        "status": status,
        "current_step": step,
        "current_step_deadline": None,
        "assignee": None,
        "assignee_key": None,
        "due_at": NEVER,
        "claim": None,
        "delivery": None,
        "error": error,
        "updated_at": now,
    }


def left(row: Row, note: Note, arrival: Values | None) -> Values:
    """A step was executed. `arrival` is the state at the next one; None is the end."""
    values = ended(COMPLETED, note.at) if arrival is None else arrival
    return {**values, "history": noted(row, note), "visit": row["visit"] + 1}


def has_room(row: Row, *, max_steps: int) -> bool:
    """Whether another step may follow the one that is being executed."""
    return bool(row["visit"] + 1 < max_steps)


def overrun(row: Row, note: Note, target: str, *, max_steps: int) -> Values:
    """A step was executed and another one would follow, which is one too many."""
    error = f"workflow executed {max_steps} steps without coming to an end"
    history = [*noted(row, note), Note(target, FAILED, note.at, error=error).as_json()]
    values = {"history": history, "visit": row["visit"] + 1, "position": 0}
    return {**ended(FAILED, note.at, step=target, error=error), **values}


def failed(row: Row, error: str, now: str, *, status: str = FAILED) -> Values:
    """The current step failed. `status` is that of the history."""
    error = masked_text(error, row["context"], row.get("sensitive") or ())[:LONGEST_ERROR]
    note = Note(row["current_step"], status, now, error=error)
    return {**ended(FAILED, now, step=row["current_step"], error=error), "history": noted(row, note)}


def cancelled(row: Row, actor: Actor, now: str) -> Values:
    note = Note(row["current_step"], CANCELLED, now, by=actor.id)
    return {**ended(CANCELLED, now), "history": noted(row, note)}


def retried(row: Row, actor: Actor, arrival: Values) -> Values:
    """Again at the step that failed, behind the actions that are done."""
    note = Note(row["current_step"], "retried", arrival["updated_at"], by=actor.id)
    return {**arrival, "position": row["position"], "history": noted(row, note)}


def noted(row: Row, note: Note) -> list[Any]:
    return [*row["history"], note.as_json()]


def follows(target: str, workflow: Workflow) -> Step | None:
    """The step a target names; None is the end."""
    return None if target == END else workflow.steps[target]


def later(now: str, duration: timedelta) -> str:
    return timestamp_text(datetime.fromisoformat(now) + duration)
