"""Whether an action can be carried out: its keys, and the entities, fields and context names in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rocket_kernel import Detail, Entity, Model, RocketError, ValidationFailed, require_action
from rocket_workflows.context import context_names, names_context
from rocket_workflows.definition import Action
from rocket_workflows.parse_steps import LONGEST_NAME
from rocket_workflows.refusal import is_name, refuse, shown

CREATE_RECORD = "create_record"
DELETE_RECORD = "delete_record"
SEND_EVENT = "send_event"
SET_FIELD = "set_field"
UPDATE_RECORD = "update_record"

RECORD_ACTIONS = frozenset({CREATE_RECORD, DELETE_RECORD, SET_FIELD, UPDATE_RECORD})
_FILLED = ("record_id", "value", "data", "payload")
"""Keys whose texts are replaced by context values."""


def check_action(action: Action, model: Model, context: Mapping[str, Any], *, at: str) -> None:
    """Raises ValidationFailed; `context` has the names that the workflow's context declares."""
    if action.type in RECORD_ACTIONS:
        _check_record_action(action, model, at)
    elif action.type == SEND_EVENT:
        _check_event(action.body, at)
    else:
        _check_outside(action, model, at)
    for key in _FILLED:
        for name in context_names(action.body.get(key)):
            if not names_context(name, context):
                raise refuse(f"unknown context value: context.{name}", at=f"{at}.{key}")


def _check_record_action(action: Action, model: Model, at: str) -> None:
    body = action.body
    name = body.get("entity")
    if name is None or name == "":
        raise refuse("entity is required", at=f"{at}.entity")
    entity = model.entities.get(name) if isinstance(name, str) else None
    if entity is None:
        raise refuse(f"entity not found: {shown(name)}", at=f"{at}.entity")
    if action.type != CREATE_RECORD:
        _check_record_id(body.get("record_id"), at)
    if action.type == SET_FIELD:
        _check_set_field(body, entity, at)
    elif action.type != DELETE_RECORD:
        _check_data(body.get("data"), entity, model, at)


def _check_record_id(value: Any, at: str) -> None:
    if value is None or value == "":
        raise refuse("record_id is required", at=f"{at}.record_id")
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise refuse("record_id must be a string", at=f"{at}.record_id")


def _check_set_field(body: Mapping[str, Any], entity: Entity, at: str) -> None:
    field = body.get("field")
    if not is_name(field):
        raise refuse("field is required", at=f"{at}.field")
    if field not in entity.fields:
        raise refuse(f"field not found: {field}", at=f"{at}.field")
    if "value" not in body:
        raise refuse("value is required", at=f"{at}.value")


def _check_data(data: Any, entity: Entity, model: Model, at: str) -> None:
    if data is None:
        raise refuse("data is required", at=f"{at}.data")
    if not isinstance(data, dict):
        raise refuse("data must be an object", at=f"{at}.data")
    for key in data:
        if key not in entity.fields and model.written_hop(entity.name, key) is None:
            raise refuse(f"field not found: {key}", at=f"{at}.data.{key}")


def _check_event(body: Mapping[str, Any], at: str) -> None:
    event = body.get("event")
    if not isinstance(event, str) or not event or len(event) > LONGEST_NAME:
        raise refuse("event is required", at=f"{at}.event")
    if not isinstance(body.get("payload", {}), dict):
        raise refuse("payload must be an object", at=f"{at}.payload")


def _check_outside(action: Action, model: Model, at: str) -> None:
    """An action that a plugin has registered."""
    try:
        require_action(action.type, model).check(action.body, model)
    except ValidationFailed as error:
        raise under(error, at) from error


def under(error: RocketError, at: str) -> ValidationFailed:
    """The refusal of an action seen from the workflow it stands in."""
    details = error.details or (Detail(error.message),)
    return ValidationFailed(error.message, details=[detail.under(at) for detail in details])
