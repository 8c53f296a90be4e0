"""A workflow's trigger -> Trigger: contract §9.1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rocket_workflows.cron import Cron, parse_cron
from rocket_workflows.definition import EVENT, RECORD_TRIGGERS, SCHEDULE, STATE_CHANGE, TRIGGERS, Trigger
from rocket_workflows.parse_steps import LONGEST_NAME
from rocket_workflows.refusal import is_name, refuse, shown


def outline_trigger(body: Any) -> Mapping[str, Any]:
    """The trigger's body, after the checks that come before those of the steps."""
    given = body if isinstance(body, dict) else {}
    type = given.get("type")
    if type is None or type == "":
        raise refuse("trigger type is required", at="trigger.type")
    if not isinstance(type, str) or type not in TRIGGERS:
        raise refuse(f"unsupported trigger type: {shown(type)}", at="trigger.type")
    if type in RECORD_TRIGGERS and not is_name(given.get("entity")):
        raise refuse("trigger entity is required", at="trigger.entity")
    return given


def build_trigger(body: Mapping[str, Any]) -> Trigger:
    """Everything parsed that needs no metadata."""
    type = body["type"]
    by_state = type == STATE_CHANGE
    return Trigger(
        type=type,
        entity=_entity(body) if type not in (SCHEDULE, EVENT) else None,
        field=_name(body, "field") if by_state else None,
        to=_states(body.get("to"), "to") if by_state else None,
        came_from=_states(body.get("from"), "from") if by_state else None,
        roles=_roles(body.get("roles")),
        cron=_cron(body.get("cron")) if type == SCHEDULE else None,
        event=_name(body, "event") if type == EVENT else None,
    )


def _entity(body: Mapping[str, Any]) -> str | None:
    entity = body.get("entity")
    if entity is None or entity == "":
        return None
    if not isinstance(entity, str):
        raise refuse(f"entity not found: {shown(entity)}", at="trigger.entity")
    return entity


def _name(body: Mapping[str, Any], key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str) or not value or len(value) > LONGEST_NAME:
        raise refuse(f"trigger {key} is required", at=f"trigger.{key}")
    return value


def _states(value: Any, key: str) -> frozenset[str] | None:
    """A text or a list of texts; numbers and booleans stand for their text form."""
    if value is None:
        return None
    given = value if isinstance(value, list) else [value]
    if not given or not all(isinstance(item, (str, int, float)) for item in given):
        raise refuse(f"trigger {key} must be a string or a list of strings", at=f"trigger.{key}")
    return frozenset(shown(item) for item in given)


def _roles(value: Any) -> frozenset[str]:
    if value is None:
        return frozenset()
    if not isinstance(value, list) or not all(isinstance(role, str) and role.strip() for role in value):
        raise refuse("roles must be a list of role names", at="trigger.roles")
    return frozenset(role.strip().lower() for role in value)


def _cron(value: Any) -> Cron:
    if value is None or value == "":
        raise refuse("trigger cron is required", at="trigger.cron")
    try:
        return parse_cron(value)
    except ValueError as error:
        raise refuse(f"invalid cron expression: {shown(value)}", at="trigger.cron") from error
