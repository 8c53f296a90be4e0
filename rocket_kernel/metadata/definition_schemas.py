"""What definitions of entities and relations look like, as JSON Schema for the API description.

They judge nothing: `parse_entity` and `parse_relation` do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rocket_kernel.metadata.field import MAX_PRECISION
from rocket_kernel.metadata.field_types import KEY_TYPES
from rocket_kernel.metadata.relation import FETCH, ON_DELETE, OWNERSHIP, TYPES, WRITE_MODES

Schema = Mapping[str, Any]

_NAME: Schema = {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,62}$"}
_FLAG: Schema = {"type": ["boolean", "null"]}
_FIELD: Schema = {
    "type": "object",
    "required": ["name", "type"],
    "properties": {
        "name": _NAME,
        "type": {"type": "string"},
        "required": _FLAG,
        "unique": _FLAG,
        "nullable": _FLAG,
        "sensitive": _FLAG,
        "default": {},
        "enum": {"type": ["array", "null"], "minItems": 1},
        "precision": {"type": ["integer", "null"], "minimum": 0, "maximum": MAX_PRECISION},
        "auto": {"enum": ["create", "update", False, None]},
        "description": {"description": "A text, shown in this document."},
    },
}
_KEY: Schema = {
    "type": "object",
    "required": ["field"],
    "properties": {"field": _NAME, "type": {"enum": [*sorted(KEY_TYPES), "integer", "text", None]}, "generated": _FLAG},
}
_SLUG: Schema = {
    "type": "object",
    "required": ["field"],
    "properties": {"field": _NAME, "source": {"type": ["string", "null"]}, "regenerate_on_update": _FLAG},
}

ENTITY_SCHEMA: Schema = {
    "type": "object",
    "required": ["name", "primary_key", "fields"],
    "properties": {
        "name": _NAME,
        "table": {**_NAME, "description": "The name, unless given."},
        "primary_key": {"anyOf": [_KEY, _NAME]},
        "slug": {"anyOf": [_SLUG, _NAME, {"type": "null"}]},
        "soft_delete": _FLAG,
        "audit": _FLAG,
        "fields": {"type": "array", "minItems": 1, "items": _FIELD},
        "description": {"description": "A text, shown in this document."},
    },
}

RELATION_SCHEMA: Schema = {
    "type": "object",
    "required": ["name", "type", "source", "target"],
    "properties": {
        "name": _NAME,
        "type": {"enum": list(TYPES)},
        "source": _NAME,
        "target": _NAME,
        "source_key": {"type": ["string", "null"]},
        "target_key": {"type": ["string", "null"]},
        "join_table": {"type": ["string", "null"]},
        "source_join_key": {"type": ["string", "null"]},
        "target_join_key": {"type": ["string", "null"]},
        "ownership": {"enum": [*OWNERSHIP, None]},
        "on_delete": {"enum": [*ON_DELETE, None]},
        "fetch": {"enum": [*FETCH, None]},
        "write_mode": {"enum": [*WRITE_MODES, None]},
    },
}
