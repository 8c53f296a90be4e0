"""Actions that reach outside the database: plugins bring them, definitions of other plugins name them.

An action is started inside the transaction of whoever carries it out, so it happens if and only if that commits.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from rocket_kernel.errors import ValidationFailed

if TYPE_CHECKING:
    from rocket_kernel.call import Call
    from rocket_kernel.metadata.model import Model
    from rocket_kernel.metadata.registry import Registry
    from rocket_kernel.store.protocol import Transaction
    from rocket_kernel.write.context import WriteRun

ENGINE_ACTIONS = frozenset({"set_field", "create_record", "update_record", "delete_record", "send_event"})
"""Names of actions on records and events, which no plugin may take."""

CONTRACT_ACTIONS: Mapping[str, str] = MappingProxyType({"webhook": "webhooks"})
"""Action types that a plugin of the contract brings, with the plugin's name."""


@dataclass(frozen=True, slots=True)
class Then:
    """What follows when the outside world has answered for good.

    The provider enqueues the job in the transaction that stores the end, with `payload` and an `outcome` beside it:
    `{"ok": bool, "error": str or None, "attempts": int}`.
    """

    job: str
    payload: Mapping[str, Any]

    def ended(self, *, ok: bool, error: str | None, attempts: int) -> dict[str, Any]:
        """The payload of the job."""
        return {**self.payload, "outcome": {"ok": ok, "error": error, "attempts": attempts}}


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionStart:
    """One action that is due."""

    definition: Mapping[str, Any]
    """As it stands in the metadata."""
    body: Mapping[str, Any]
    """What is to be sent, as JSON values."""
    sensitive: frozenset[str] = frozenset()
    """Members of the body, at any depth, that hold values of sensitive fields, beside those that are named like a
    sensitive field of `entity`: logs of what was sent mask them."""
    entity: str
    record_id: str
    hook: str
    """Who starts it, such as `state_machine`."""
    session: Transaction
    registry: Registry
    call: Call
    idempotency_key: str | None = None
    """One key for all attempts and repetitions; None leaves it to the provider."""
    then: Then | None = None
    run: WriteRun | None = None
    """The write it belongs to, if it belongs to one: what is put into its outbox is appended to `run.outbox`."""


@dataclass(frozen=True, slots=True)
class ActionType:
    """What a plugin returns from `register_actions`."""

    name: str
    """The `type` that definitions give."""
    check: Callable[[Mapping[str, Any], Model], None]
    """Pure; raises ValidationFailed for a definition that is wrong, with the path inside it in the details."""
    start: Callable[[ActionStart], Awaitable[None]]
    """Called inside the caller's transaction: puts what is to happen outside into an outbox of the provider's."""


def require_action(name: object, model: Model) -> ActionType:
    """The action type of this name. Raises ValidationFailed, which names the plugin that is absent."""
    found = model.actions.get(name) if isinstance(name, str) else None
    if found is not None:
        return found
    if isinstance(name, str) and name in CONTRACT_ACTIONS:
        raise ValidationFailed(f"plugin '{CONTRACT_ACTIONS[name]}' is not enabled")
    raise ValidationFailed(f"unknown action type: {name}" if isinstance(name, str) else "action type is required")
