"""Business events: something happened that a program outside, or an action, gives a name to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from rocket_kernel.metadata.masking import masked_members, sensitive_names

if TYPE_CHECKING:
    from rocket_kernel.call import Call
    from rocket_kernel.metadata.model import Model
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
    sensitive: frozenset[str] = frozenset()
    """Members of the payload, at any depth, that hold values of sensitive fields: whoever shows the payload masks them."""
    source: str = "app"
    component: str = "engine"
    id: str = field(default_factory=_new_id)
    """UUID text, so that whoever sends an event can find what was stored of it."""

    def shown_payload(self, model: Model) -> dict[str, Any]:
        """The payload as it may be shown and logged: also members named like sensitive fields of its entity are masked."""
        names = self.sensitive | sensitive_names(model.entities.get(self.entity))
        return dict(masked_members(self.payload, names))


async def emit_event(
    event: Event, session: Transaction, registry: Registry, call: Call, run: WriteRun | None = None
) -> None:
    """Tell every plugin that implements `on_event`, inside the transaction: what they write commits with it.

    `run` is the write that the event comes from, if it comes from one. Raises what a plugin raises.
    """
    for listener in registry.listeners:
        await listener(event=event, session=session, registry=registry, call=call, run=run)
