"""Field lists of a permission: JSON -> the fields it allows. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rocket_auth.permissions.conditions import refused, shown
from rocket_kernel import Entity

_MODES = ("include", "exclude")


def compile_fields(body: Any, entity: Entity, action: str) -> frozenset[str] | None:
    """The fields that are allowed; None allows all. Raises ValidationFailed with the path of the fault."""
    if body is None:
        return None
    if action == "delete":
        raise refused("fields cannot be used with action delete", at="fields")
    given = [mode for mode in _MODES if mode in body] if isinstance(body, Mapping) else []
    if not given:
        raise refused("fields must be an object with include or exclude", at="fields")
    if len(given) > 1:
        raise refused("fields must have either include or exclude, not both", at="fields")
    (mode,) = given
    names = body[mode]
    if not isinstance(names, list):
        raise refused(f"fields.{mode} must be a list of field names", at=f"fields.{mode}")
    for position, name in enumerate(names):
        if not isinstance(name, str) or name not in entity.fields:
            raise refused(f"unknown field: {shown(name)}", at=f"fields.{mode}[{position}]")
    return frozenset(names) if mode == "include" else frozenset(entity.fields) - frozenset(names)


def surviving(body: Any, entity: Entity) -> Any:
    """A field list that was sound once, without names the entity has lost since; other faults stay in it."""
    if not isinstance(body, Mapping):
        return body
    return {
        key: [name for name in names if name in entity.fields] if key in _MODES and isinstance(names, list) else names
        for key, names in body.items()
    }
