"""Who asks, when, and under which trace: handed down explicitly through everything a request does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rocket_kernel.actor import Actor
from rocket_kernel.errors import Detail, ValidationFailed

MAX_CHAIN = 10
"""How many writes may follow from each other before the engine takes them for a circle."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why the engine writes, for a write that no client asked for."""

    kind: Literal["workflow", "action"]
    """A step of a workflow, or an action that another write carries out."""
    depth: int
    """How many such writes this one follows from, itself included."""
    strict: bool = False
    """Of a workflow: state machines bind its write as they bind a client's."""


@dataclass(frozen=True, slots=True)
class Call:
    actor: Actor
    now: str
    """The request's one instant as a timestamp's wire value."""
    trace_id: str
    """UUID text."""
    cause: Cause | None = None
    """None when a client asks for it."""


def next_action(cause: Cause | None) -> Cause:
    """The cause of what a write with the given cause carries out."""
    return Cause("action", 1 if cause is None else cause.depth + 1)


def require_short_chain(cause: Cause | None) -> None:
    """Raises ValidationFailed when more writes follow from each other than `MAX_CHAIN`."""
    if cause is not None and cause.depth > MAX_CHAIN:
        message = f"Chain of writes too deep (max {MAX_CHAIN})"
        raise ValidationFailed(details=[Detail(message, rule="limit")])
