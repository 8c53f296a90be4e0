"""Conditions of webhooks: contract §7.5. Checked strictly when defined, compiled leniently when in force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rocket_kernel import (
    Detail,
    Entity,
    Expression,
    ExpressionError,
    Model,
    ValidationFailed,
    Write,
    compile_expression,
    scope,
    truthy,
    write_values,
)

NAMES = frozenset({"record", "old", "changes", "action", "entity", "event", "user", "now"})


@dataclass(frozen=True, slots=True)
class Condition:
    """`expression` is None where there is nothing to ask, or where `broken` says why it cannot be asked."""

    source: str = ""
    expression: Expression | None = None
    broken: ExpressionError | None = None

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Raises ExpressionError."""
        if self.broken is not None:
            raise self.broken
        return self.expression is None or truthy(self.expression.evaluate(values))


def check_condition(source: Any, entity: Entity, model: Model) -> None:
    """Raises ValidationFailed for what is no condition of a webhook on this entity."""
    if not isinstance(source, str):
        message = "condition must be a string"
        raise ValidationFailed(message, details=[Detail(message, field="condition")])
    if not source:
        return
    try:
        compile_expression(source, scope(NAMES, entity=entity, model=model))
    except ExpressionError as error:
        message = f"invalid expression: {error}"
        detail = Detail(message, field="condition", rule="expression", line=error.line, column=error.column)
        raise ValidationFailed(message, details=[detail]) from error


def compile_condition(source: str, model: Model) -> Condition:
    """Of a stored webhook. Fields that were removed since read as null; what has become invalid breaks when asked."""
    if not source:
        return Condition()
    try:
        return Condition(source, compile_expression(source, scope(NAMES, model=model)))
    except ExpressionError as error:
        return Condition(source, broken=error)


def condition_values(write: Write, event: str) -> dict[str, Any]:
    return {**write_values(write, NAMES), "entity": write.entity.name, "event": event}
