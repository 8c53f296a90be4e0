"""The stages of a write, in running order, and the steps that plugins put into them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rocket_kernel.write.context import Write


class Stage(StrEnum):
    """Names as explain and `rocket plugins --pipeline` show them; the order of definition is the running order."""

    AUTHORIZE = "authorize"
    """May the caller do this to the entity at all. Nothing has been read; raise Forbidden to refuse."""
    LOAD = "load"
    """The stored row is in `write.old`: may the caller do this to it. Raise Forbidden or NotFound."""
    CLASSIFY = "classify"
    CONVERT = "convert"
    """Values are wire values. Findings go to `write.fail` and are answered together."""
    RULES = "rules"
    """Business rules; nested items run before their parent. Findings are collected."""
    STATE_MACHINE = "state_machine"
    """State transitions. Findings are collected."""
    BEFORE_WRITE = "before_write"
    """Participants `before_write` and `before_delete`: may change the record or veto by raising."""
    POLICY = "policy"
    """Conditions on the complete new record."""
    SLUG = "slug"
    FILES = "files"
    BEFORE_WEBHOOKS = "before_webhooks"
    """The outside world judges. No connection is held here; the stages before run a second time afterwards."""
    LOCK = "lock"
    WRITE = "write"
    NESTED = "nested"
    AFTER_RULES = "after_rules"
    """Inside the transaction on stored rows; may still veto."""
    AFTER_WRITE = "after_write"
    """Participants `after_write` and `after_delete`: inside the transaction, may still veto."""
    OUTBOX = "outbox"
    """Rows for everything that happens outside the database, in the writer's transaction."""
    COMMIT = "commit"
    AFTER_WEBHOOKS = "after_webhooks"
    """After the commit: cannot fail the request."""
    RESPOND = "respond"


STAGES = tuple(Stage)
POSITION = {stage: position for position, stage in enumerate(STAGES)}

KERNEL_STAGES = frozenset({Stage.CLASSIFY, Stage.LOCK, Stage.WRITE, Stage.NESTED, Stage.COMMIT, Stage.RESPOND})
"""Stages that are the kernel's alone; a plugin's step there is refused."""

CREATE = "create"
UPDATE = "update"
DELETE = "delete"
ACTIONS = (CREATE, UPDATE, DELETE)
CREATE_AND_UPDATE = frozenset({CREATE, UPDATE})


@dataclass(frozen=True, slots=True)
class Step:
    """One named thing that happens in a stage. `name` reads `plugin:kind:detail`."""

    stage: Stage
    name: str
    run: Callable[[Write], Awaitable[None]]
    actions: frozenset[str] = CREATE_AND_UPDATE
    fills: frozenset[str] = frozenset()
    """Fields that the step computes: `required` is asked of them after its stage instead of before."""
    defaults: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Wire values of fields that are absent on create; they go before the defaults of the definition."""
    keeps_records: bool = False
    """It changes no record, so an answer need not read what was stored before it once more."""
    span: tuple[str, str, str] | None = None
    """Source, component and action under which it shows in traces; None shows it as `engine/pipeline/{name}`."""
