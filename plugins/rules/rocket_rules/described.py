"""What a rule looks like, for the API description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rocket_rules.operators import OPERATORS
from rocket_rules.rule import HOOKS, TYPES

_TEXT: Mapping[str, Any] = {"type": "string", "minLength": 1}
_OUTCOME = {"message": {"type": ["string", "null"]}, "stop_on_fail": {"type": ["boolean", "null"]}}
_FIELD = {
    "title": "field",
    "type": "object",
    "required": ["field", "operator"],
    "properties": {"field": _TEXT, "operator": {"enum": sorted(OPERATORS)}, "value": {}, **_OUTCOME},
}
_RELATED = {"type": "object", "required": ["relation"], "properties": {"relation": _TEXT, "filter": {"type": "object"}}}
_EXPRESSION = {
    "title": "expression",
    "description": "Truthy is a violation.",
    "type": "object",
    "required": ["expression"],
    "properties": {"expression": _TEXT, "related_load": {"type": ["array", "null"], "items": _RELATED}, **_OUTCOME},
}
_COMPUTED = {
    "title": "computed",
    "type": "object",
    "required": ["field", "expression"],
    "properties": {"field": _TEXT, "expression": _TEXT},
}

RULE: Mapping[str, Any] = {
    "type": "object",
    "required": ["entity", "hook", "type", "definition"],
    "properties": {
        "entity": _TEXT,
        "hook": {"enum": list(HOOKS)},
        "type": {"enum": list(TYPES)},
        "definition": {"anyOf": [_FIELD, _EXPRESSION, _COMPUTED]},
        "priority": {"type": "integer", "default": 0},
        "active": {"type": "boolean", "default": True},
    },
}
