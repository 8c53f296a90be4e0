"""What a state machine looks like, for the API description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TEXT: Mapping[str, Any] = {"type": "string", "minLength": 1}
_TRANSITION: Mapping[str, Any] = {
    "type": "object",
    "required": ["from", "to"],
    "properties": {
        "from": {"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1}]},
        "to": _TEXT,
        "roles": {"type": ["array", "null"], "items": _TEXT},
        "guard": {"type": ["string", "null"], "description": "An expression; truthy lets the transition pass."},
        "actions": {
            "type": ["array", "null"],
            "items": {"type": "object", "required": ["type"], "properties": {"type": _TEXT}},
        },
    },
}
STATE_MACHINE: Mapping[str, Any] = {
    "type": "object",
    "required": ["entity", "field", "definition"],
    "properties": {
        "entity": _TEXT,
        "field": _TEXT,
        "definition": {
            "type": "object",
            "required": ["initial", "transitions"],
            "properties": {"initial": _TEXT, "transitions": {"type": "array", "minItems": 1, "items": _TRANSITION}},
        },
        "active": {"type": "boolean", "default": True},
    },
}
