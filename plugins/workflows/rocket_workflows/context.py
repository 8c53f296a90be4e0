"""The context of an instance: names and paths in the definition, resolved once when it starts."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from rocket_kernel import MASK, Actor, Entity
from rocket_workflows.refusal import refuse

CONTEXT = "context."
NOW = "now"

_PLAIN = frozenset({"record_id", "entity", "event"})
_USER = frozenset({"id", "email"})
_OF_RECORD = frozenset({"record", "old"})
_SHORTEST = 4
"""Shorter values stand in any text by chance."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """What started an instance. Records are wire rows; all but `actor` may be absent."""

    actor: Actor
    entity: str | None = None
    record_id: str | None = None
    record: Mapping[str, Any] | None = None
    old: Mapping[str, Any] | None = None
    event: str | None = None
    payload: Mapping[str, Any] = field(default_factory=dict)
    sensitive: frozenset[str] = frozenset()
    """Members of the payload, at any depth, that hold values of sensitive fields."""


@dataclass(frozen=True, slots=True)
class Path:
    """`trigger.{root}.{rest}`; `rest` may be empty."""

    root: str
    rest: str = ""

    def resolve(self, occasion: Occasion) -> Any:
        """None for whatever is not there."""
        if self.root == "user":
            return occasion.actor.id if self.rest == "id" else occasion.actor.email
        value = getattr(occasion, self.root)
        return _walk(value, self.rest) if self.rest else _copied(value)


def sensitive_members(paths: Mapping[str, Path | None], occasion: Occasion, fields: frozenset[str]) -> list[str]:
    """The names of the context, and of members in its values, that hold values of sensitive fields.

    `fields` are the sensitive fields of the occasion's entity.
    """
    found: set[str] = set()
    for name, path in paths.items():
        if path is None or path.root not in (*_OF_RECORD, "payload"):
            continue
        inside = occasion.sensitive if path.root == "payload" else fields
        if not path.rest:
            found |= inside
        elif not inside.isdisjoint(path.rest.split(".")):
            found.add(name)
        elif path.root == "payload":
            found |= inside
    return sorted(found)


def masked_text(text: str, context: Any, names: Collection[str]) -> str:
    """A text without the values that members of these names have in the context: errors quote ids, for one."""
    for value in sorted(_values_of(context, names), key=len, reverse=True) if names else ():
        text = text.replace(value, MASK)
    return text


def _values_of(value: Any, names: Collection[str]) -> set[str]:
    found: set[str] = set()
    if isinstance(value, dict):
        for name, item in value.items():
            if name not in names:
                found |= _values_of(item, names)
            elif len(shown := item if isinstance(item, str) else json.dumps(item)) >= _SHORTEST:
                found.add(shown)
    elif isinstance(value, list):
        for item in value:
            found |= _values_of(item, names)
    return found


def members_from(template: Any, names: frozenset[str]) -> frozenset[str]:
    """The members of a value of an action whose texts take what bears one of these names in the context."""
    found: set[str] = set()
    if isinstance(template, dict):
        for key, value in template.items():
            if any(not names.isdisjoint((name, *name.split("."))) for name in context_names(value)):
                found.add(key)
            found |= members_from(value, names)
    elif isinstance(template, list):
        for item in template:
            found |= members_from(item, names)
    return frozenset(found)


def parse_path(text: Any) -> Path | None:
    """A path of contract §9.1, the short forms included; None for what is none."""
    if not isinstance(text, str):
        return None
    if text == "record_id" or text.startswith("record."):
        text = f"trigger.{text}"
    if not text.startswith("trigger."):
        return None
    root, _, rest = text.removeprefix("trigger.").partition(".")
    if (root in _PLAIN or root == "record") and not rest:
        return Path(root)
    if (root in _OF_RECORD and rest) or (root == "payload" and rest) or (root == "user" and rest in _USER):
        return Path(root, rest)
    return None


def check_path(path: Path, entity: Entity | None, *, at: str) -> None:
    """Raises ValidationFailed for a field that the trigger's entity does not have."""
    if entity is None or path.root not in _OF_RECORD or not path.rest:
        return
    name = path.rest.partition(".")[0]
    if name not in entity.fields:
        raise refuse(f"field not found: {name}", at=at)


def filled(template: Any, context: Mapping[str, Any], now: str) -> Any:
    """A value of an action with its `context.…` and `now` texts replaced, however deep they stand."""
    match template:
        case str():
            return filled_text(template, context, now)
        case dict():
            return {name: filled(value, context, now) for name, value in template.items()}
        case list():
            return [filled(value, context, now) for value in template]
        case _:
            return template


def filled_text(text: str, context: Mapping[str, Any], now: str) -> Any:
    if text == NOW:
        return now
    return _walk(context, text.removeprefix(CONTEXT)) if text.startswith(CONTEXT) else text


def context_names(template: Any) -> list[str]:
    """The names that the `context.…` texts of a value begin with."""
    match template:
        case str():
            return [template.removeprefix(CONTEXT)] if template.startswith(CONTEXT) else []
        case dict():
            return [name for value in template.values() for name in context_names(value)]
        case list():
            return [name for value in template for name in context_names(value)]
        case _:
            return []


def names_context(name: str, declared: Mapping[str, Any]) -> bool:
    """Whether `name`, which may walk on into a value, begins with a name that the context declares."""
    parts = name.split(".")
    return any(".".join(parts[:length]) in declared for length in range(1, len(parts) + 1))


def _walk(value: Any, path: str) -> Any:
    """The longest own name first, because names may hold dots themselves."""
    if not isinstance(value, Mapping):
        return None
    if path in value:
        return value[path]
    parts = path.split(".")
    for length in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:length])
        if name in value:
            return _walk(value[name], ".".join(parts[length:]))
    return None


def _copied(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value
