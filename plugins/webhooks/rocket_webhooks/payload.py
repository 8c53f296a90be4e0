"""What is sent: contract §11.3. A body is made once, when its event happens, and never again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from rocket_kernel import Actor, Write

_encode = msgspec.json.Encoder().encode


def body_head(write: Write, hook: str) -> str:
    """The body of one event as far as its key: several webhooks get the same in all else.

    Of a record that is being written: in before_* hooks the merged one, in after_* hooks the stored one.
    """
    event: dict[str, Any] = {"event": hook, "entity": write.entity.name, "action": write.action}
    if write.action == "delete":
        event["record"] = write.old
    else:
        event["record"] = write.record
        event["old"] = write.old or {}
        event["changes"] = changes(write)
    user = user_value(write.actor)
    if user is not None:
        event["user"] = user
    event["timestamp"] = write.run.now
    return json_text(event)[:-1]


def body_of(head: str, key: str) -> str:
    return f'{head},"idempotency_key":"{key}"}}'


def changes(write: Write) -> Mapping[str, Any]:
    """On create every field, also those without a value."""
    return created(write.record) if write.action == "create" else write.changes


def created(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: {"new": value} for name, value in record.items()}


def user_value(actor: Actor) -> dict[str, Any] | None:
    """None for the engine acting for itself."""
    return None if actor.system else {"id": actor.id, "roles": sorted(actor.roles)}


def sample_body(
    *, hook: str, entity: str, record: Mapping[str, Any], user: Mapping[str, Any] | None, now: str, key: str
) -> str:
    """The body of a test delivery."""
    deletes = hook.endswith("_delete")
    event: dict[str, Any] = {"event": hook, "entity": entity, "action": "delete" if deletes else "create"}
    event["record"] = record
    if not deletes:
        event |= {"old": {}, "changes": created(record)}
    if user is not None:
        event["user"] = user
    return json_text({**event, "timestamp": now, "idempotency_key": key, "test": True})


def json_text(value: object) -> str:
    """Compact JSON; members keep their order."""
    return _encode(value).decode()
