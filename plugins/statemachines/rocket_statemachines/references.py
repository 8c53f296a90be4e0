"""Texts in the data of an action that stand for values: `record.f`, `old.f`, `user.id`, `user.email` and `now`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rocket_kernel import Entity, Storage, Write

_ROWS = ("record", "old")
_NAME = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_")


def _field_of(text: str) -> tuple[str, str] | None:
    """`record.total` -> `("record", "total")`; None for what is no such reference."""
    row, dot, name = text.partition(".")
    if not dot or row not in _ROWS or not name or not _NAME.issuperset(name) or not name[0].isalpha():
        return None
    return row, name


def field_references(data: Mapping[str, Any], target: Entity, at: str) -> Iterator[tuple[str, str]]:
    """Each field that the data of a record to create refers to, with the path where it does."""
    for key, value in data.items():
        if not _is_plain(target, key, value):
            yield from _references(value, f"{at}.{key}")


def _references(value: Any, at: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        reference = _field_of(value)
        if reference is not None:
            yield at, reference[1]
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _references(item, f"{at}.{key}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _references(item, f"{at}[{number}]")


def resolved_data(data: Mapping[str, Any], target: Entity, write: Write) -> dict[str, Any]:
    """The body of a record to create, for the record that is moved."""
    return {key: value if _is_plain(target, key, value) else _resolved(value, write) for key, value in data.items()}


def _is_plain(target: Entity, key: str, value: Any) -> bool:
    """Objects and lists are followed into nested records, but not into fields that hold JSON: those are as they are."""
    field = target.fields.get(key)
    return field is not None and field.type.storage is Storage.JSON and not isinstance(value, str)


def _resolved(value: Any, write: Write) -> Any:
    if isinstance(value, Mapping):
        return {key: _resolved(item, write) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolved(item, write) for item in value]
    return _value(value, write) if isinstance(value, str) else value


def _value(text: str, write: Write) -> Any:
    match text:
        case "now":
            return write.run.now
        case "user.id":
            return write.actor.id
        case "user.email":
            return write.actor.email
    reference = _field_of(text)
    if reference is None:
        return text
    row = write.record if reference[0] == "record" else write.old or {}
    return row.get(reference[1])
