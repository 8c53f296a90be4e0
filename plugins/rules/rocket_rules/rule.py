"""A rule as defined: contract §6.1 and §6.2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rocket_kernel import Expression, ExpressionError
from rocket_rules.operators import FieldCheck

BEFORE_WRITE = "before_write"
AFTER_WRITE = "after_write"
BEFORE_DELETE = "before_delete"
HOOKS = (BEFORE_WRITE, AFTER_WRITE, BEFORE_DELETE)

FIELD = "field"
EXPRESSION = "expression"
COMPUTED = "computed"
TYPES = (FIELD, EXPRESSION, COMPUTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    entity: str
    hook: str
    type: str
    definition: Mapping[str, Any]
    """As it was given, unknown keys included."""
    priority: int = 0
    active: bool = True
    field: str = ""
    """What a field rule checks, or a computed rule fills."""
    check: FieldCheck | None = None
    """Of field rules."""
    expression: Expression | ExpressionError | None = None
    """Of the other two; an error when what is stored no longer compiles."""
    message: str = ""
    stop_on_fail: bool = False
