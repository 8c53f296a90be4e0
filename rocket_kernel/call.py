"""Who asks, when, and under which trace: handed down explicitly through everything a request does."""

from __future__ import annotations

from dataclasses import dataclass

from rocket_kernel.actor import Actor


@dataclass(frozen=True, slots=True)
class Call:
    actor: Actor
    now: str
    """The request's one instant as a timestamp's wire value."""
    trace_id: str
    """UUID text."""
