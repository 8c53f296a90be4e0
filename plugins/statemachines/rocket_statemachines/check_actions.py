"""The checks of a transition's actions. Pure; the first that fails raises ValidationFailed with its path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rocket_kernel import Entity, Model, ValidationFailed, canonical_text, require_action
from rocket_statemachines.references import field_references
from rocket_statemachines.refusal import refuse

_DELETED_AT = "deleted_at"


def check_action(action: Any, at: str, entity: Entity, state_field: str, model: Model) -> None:
    """`entity` is the one whose records are moved."""
    if not isinstance(action, Mapping):
        raise refuse("action must be an object", at)
    match action.get("type"):
        case "set_field":
            _check_set_field(action, at, entity, state_field)
        case "create_record":
            _check_create_record(action, at, entity, model)
        case "send_event":
            _check_send_event(action, at)
        case type:
            _check_outside(type, action, at, model)


def _check_set_field(action: Mapping[str, Any], at: str, entity: Entity, state_field: str) -> None:
    name = _required_text(action, "field", at)
    if name not in entity.fields:
        raise refuse(f"field not found: {name}", f"{at}.field")
    is_key = name == entity.primary_key.field
    if name == state_field or is_key or (name == _DELETED_AT and entity.soft_delete):
        raise refuse(f"field {name} cannot be set by set_field", f"{at}.field")
    if "value" not in action:
        raise refuse("value is required", f"{at}.value")


def _check_create_record(action: Mapping[str, Any], at: str, entity: Entity, model: Model) -> None:
    name = _required_text(action, "entity", at)
    if name not in model.entities:
        raise refuse(f"entity not found: {name}", f"{at}.entity")
    values = action.get("data")
    if values is None:
        raise refuse("data is required", f"{at}.data")
    if not isinstance(values, Mapping):
        raise refuse("data must be an object", f"{at}.data")
    target = model.entities[name]
    for key in values:
        if key not in target.fields and model.written_hop(name, key) is None:
            raise refuse(f"unknown field: {key}", f"{at}.data.{key}")
    for path, field in field_references(values, target, f"{at}.data"):
        if field not in entity.fields:
            raise refuse(f"unknown field: {field}", path)


def _check_send_event(action: Mapping[str, Any], at: str) -> None:
    _required_text(action, "event", at)
    if not isinstance(action.get("payload"), (Mapping, type(None))):
        raise refuse("payload must be an object", f"{at}.payload")


def _check_outside(type: Any, action: Mapping[str, Any], at: str, model: Model) -> None:
    try:
        found = require_action(type, model)
    except ValidationFailed as error:
        raise refuse(error.message, f"{at}.type") from error
    try:
        found.check(action, model)
    except ValidationFailed as error:
        details = [detail.under(at) for detail in error.details]
        if not details:
            raise refuse(error.message, at) from error
        raise ValidationFailed(error.message, details=details) from error


def _required_text(action: Mapping[str, Any], key: str, at: str) -> str:
    value = action.get(key)
    if value is None or value == "":
        raise refuse(f"{key} is required", f"{at}.{key}")
    if not isinstance(value, str):
        raise refuse(f"{key} must be a string, not {canonical_text(value)}", f"{at}.{key}")
    return value
