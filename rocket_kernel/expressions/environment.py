"""The names of contract §7.5 for a record: record, old, changes, action, user, now."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from datetime import datetime
from typing import Any

from rocket_kernel.actor import Actor
from rocket_kernel.expressions.values import RecordMap, field_value
from rocket_kernel.metadata.entity import Entity
from rocket_kernel.write.context import Write, differs
from rocket_kernel.write.stages import CREATE, DELETE


def record_values(entity: Entity, row: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """A row in wire values as an expression takes it: each field by its type, when it is asked for. None stays None."""
    return None if row is None else RecordMap(entity, row)


def instant_value(wire: str) -> datetime:
    """A timestamp's wire value, such as that of a request's moment, as an expression takes it."""
    return datetime.fromisoformat(wire)


def user_values(actor: Actor) -> Mapping[str, Any]:
    """`user`: the system actor has neither id nor email and the role admin."""
    return {"id": actor.id, "email": actor.email, "roles": sorted(actor.roles)}


class Changes(Mapping[str, Any]):
    """`changes`: compared field by field, when asked. On create every set field with `new` only, on delete nothing."""

    __slots__ = ("_action", "_entity", "_known", "_old", "_record")

    def __init__(
        self, entity: Entity, action: str, old: Mapping[str, Any] | None, record: Mapping[str, Any] | None
    ) -> None:
        self._entity = entity
        self._action = action
        self._old = old
        self._record = record or {}
        self._known: dict[str, Any] = {}

    def get(self, name: str, default: Any = None) -> Any:
        if name not in self._entity.fields or self._action == DELETE:
            return default
        if name not in self._known:
            # A comparison is as long as the values are, and no step of the evaluation.
            self._known[name] = self._change(name)
        found = self._known[name]
        return default if found is None else found

    def _change(self, name: str) -> Mapping[str, Any] | None:
        new = self._record.get(name)
        shown = field_value(self._entity, name, new)
        if self._action == CREATE or self._old is None:
            return None if new is None else {"new": shown}
        old = self._old.get(name)
        if not differs(self._entity, name, old, new):
            return None
        return {"old": field_value(self._entity, name, old), "new": shown}

    def __getitem__(self, name: str) -> Any:
        found = self.get(name)
        if found is None:
            raise KeyError(name)
        return found

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._entity.fields if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def change_values(
    entity: Entity, action: str, old: Mapping[str, Any] | None, record: Mapping[str, Any] | None
) -> Mapping[str, Any]:
    """`changes` as an expression takes it, from two rows in wire values."""
    return Changes(entity, action, old, record)


def write_values(write: Write, names: Container[str]) -> dict[str, Any]:
    """Those of the names record, old, changes, action, user and now that are asked for, as the write stands."""
    entity, deleting = write.entity, write.action == DELETE
    record = write.old if deleting else write.record
    return _values(names, entity, record, write.old, write.action, write.run.actor, write.run.now)


def stored_values(
    names: Container[str],
    entity: Entity,
    *,
    record: Mapping[str, Any],
    old: Mapping[str, Any] | None,
    action: str,
    actor: Actor,
    now: str,
) -> dict[str, Any]:
    """As `write_values`, of rows outside a write."""
    return _values(names, entity, record, old, action, actor, now)


def _values(
    names: Container[str],
    entity: Entity,
    record: Mapping[str, Any] | None,
    old: Mapping[str, Any] | None,
    action: str,
    actor: Actor,
    now: str,
) -> dict[str, Any]:
    values: dict[str, Any] = {"action": action}
    if "record" in names:
        values["record"] = record_values(entity, record)
    if "old" in names:
        values["old"] = record_values(entity, old)
    if "changes" in names:
        values["changes"] = Changes(entity, action, old, record)
    if "user" in names:
        values["user"] = user_values(actor)
    if "now" in names:
        values["now"] = instant_value(now)
    return values
