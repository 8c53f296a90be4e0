"""Business events: something happened that a program outside, or an action, gives a name to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

if TYPE_CHECKING:
    from rocket_kernel.call import Call
    from rocket_kernel.metadata.registry import Registry
    from rocket_kernel.store.protocol import Transaction
    from rocket_kernel.write.context import WriteRun


def _new_id() -> str:
    return str(uuid4())


@dataclass(frozen=True, slots=True)
class Event:
    action: str
    """Its name."""
    entity: str = ""
    record_id: str = ""
    """The record it is about, "" for none."""
    payload: Mapping[str, Any] = field(default_factory=dict)
    """What the sender says of it, as JSON values: not to be changed."""
    source: str = "app"
    component: str = "engine"
    id: str = field(default_factory=_new_id)
    """UUID text, so that whoever sends an event can find what was stored of it."""


async def emit_event(
    event: Event, session: Transaction, registry: Registry, call: Call, run: WriteRun | None = None
) -> None:
    """Tell every plugin that implements `on_event`, inside the transaction: what they write commits with it.

    `run` is the write that the event comes from, if it comes from one. Raises what a plugin raises.
    """
    for listener in registry.listeners:
        await listener(event=event, session=session, registry=registry, call=call, run=run)
