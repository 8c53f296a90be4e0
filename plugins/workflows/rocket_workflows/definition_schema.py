"""What a workflow looks like, for the API description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rocket_workflows.definition import TRIGGERS
from rocket_workflows.parse_steps import TARGETS

Schema = Mapping[str, Any]

_TEXT: Schema = {"type": "string", "minLength": 1}
_STATES: Schema = {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}, {"type": "null"}]}
_ROLES: Schema = {"type": ["array", "null"], "items": _TEXT}
_GOTO: Schema = {
    "anyOf": [_TEXT, {"type": "object", "required": ["goto"], "properties": {"goto": _TEXT}}, {"type": "null"}],
    "description": "The id of a step, or `end`.",
}
_TRIGGER: Schema = {
    "type": "object",
    "required": ["type"],
    "properties": {
        "type": {"enum": sorted(TRIGGERS)},
        "entity": {"type": ["string", "null"]},
        "field": {"type": ["string", "null"]},
        "to": _STATES,
        "from": _STATES,
        "roles": _ROLES,
        "cron": {"type": ["string", "null"]},
        "event": {"type": ["string", "null"]},
    },
}
_STEP: Schema = {
    "type": "object",
    "required": ["id", "type"],
    "properties": {
        "id": _TEXT,
        "type": {"enum": sorted(TARGETS)},
        "actions": {"type": "array", "items": {"type": "object", "required": ["type"], "properties": {"type": _TEXT}}},
        "expression": _TEXT,
        "assignee": {"type": ["object", "null"]},
        "timeout": {"type": ["string", "null"]},
        "duration": {"type": ["string", "null"]},
        **{name: _GOTO for names in TARGETS.values() for name in names},
    },
}
WORKFLOW: Schema = {
    "type": "object",
    "required": ["name", "trigger", "steps"],
    "properties": {
        "name": _TEXT,
        "trigger": _TRIGGER,
        "context": {"type": "object", "description": "Names and the paths of their values."},
        "steps": {"type": "array", "minItems": 1, "items": _STEP},
        "active": {"type": "boolean", "default": True},
    },
}
