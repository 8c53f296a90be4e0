"""What a workflow is: frozen values, free of any database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from rocket_kernel import Expression, ExpressionError
from rocket_workflows.context import Path
from rocket_workflows.cron import Cron

STATE_CHANGE = "state_change"
CREATE = "create"
UPDATE = "update"
DELETE = "delete"
MANUAL = "manual"
SCHEDULE = "schedule"
EVENT = "event"

RECORD_TRIGGERS = frozenset({STATE_CHANGE, CREATE, UPDATE, DELETE})
TRIGGERS = RECORD_TRIGGERS | {MANUAL, SCHEDULE, EVENT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """What starts an instance. Which of the members mean something depends on `type`."""

    type: str
    entity: str | None = None
    field: str | None = None
    to: frozenset[str] | None = None
    """Text forms of states; None is any."""
    came_from: frozenset[str] | None = None
    roles: frozenset[str] = frozenset()
    """Lower-case."""
    cron: Cron | None = None
    event: str | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """One effect. `body` is the action as it stands in the definition."""

    type: str
    body: Mapping[str, Any]
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Assignee:
    """Who decides. `value` is a role in lower case, a relation path, or a user's id or e-mail."""

    type: Literal["role", "relation", "fixed"]
    value: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ActionStep:
    id: str
    actions: tuple[Action, ...]
    then: str


@dataclass(frozen=True, slots=True)
class ConditionStep:
    id: str
    expression: Expression | ExpressionError
    """The error of an expression that compiled once and no longer does, because a plugin's function is gone."""
    on_true: str
    on_false: str


@dataclass(frozen=True, slots=True)
class ApprovalStep:
    id: str
    assignee: Assignee | None
    """None: only administrators decide."""
    timeout: timedelta | None
    on_approve: str
    on_reject: str
    on_timeout: str | None
    """None: a timeout fails the instance."""


@dataclass(frozen=True, slots=True)
class WaitStep:
    id: str
    duration: timedelta
    then: str


Step = ActionStep | ConditionStep | ApprovalStep | WaitStep


@dataclass(frozen=True, slots=True)
class Workflow:
    """One version of a workflow. Targets of steps are ids or `end`."""

    name: str
    active: bool
    trigger: Trigger
    context: Mapping[str, Path | None]
    """None: a value that is no path."""
    steps: Mapping[str, Step]
    """By id, in the order of the definition."""
    body: Mapping[str, Any] = field(repr=False)
    """`trigger`, `context` and `steps` as they were given. Not to be changed."""

    @property
    def first(self) -> str:
        return next(iter(self.steps))
