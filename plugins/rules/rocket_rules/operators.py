"""Operators of field rules: what a definition may ask for, and how a value is checked. Pure.

Values are compared by the expression language itself, so that a field rule and an expression never disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from rocket_kernel import ExpressionError, Pattern, PatternError, compile_expression, compile_pattern, scope

_NAMES = scope({"value", "wanted"})

Passes = Callable[[Any], bool]


class InvalidOperand(ValueError):
    """The `value` of a definition does not fit its operator."""


@dataclass(frozen=True, slots=True)
class FieldCheck:
    """A compiled operator. `passes` gets a value of the expression language; never null unless `asks_for_value`."""

    operator: str
    passes: Passes
    asks_for_value: bool = False
    """Null and absent values fail."""


def compile_check(operator: str, operand: Any) -> FieldCheck:
    """Raises InvalidOperand or PatternError; KeyError for an operator that does not exist."""
    if operator in _PRESENCE:
        return FieldCheck(operator, _PRESENCE[operator], asks_for_value=True)
    return FieldCheck(operator, _BUILDERS[operator](operand))


def _required(value: Any) -> bool:
    return value is not None and value != ""


def _not_empty(value: Any) -> bool:
    return _required(value) and not (isinstance(value, (list, tuple, Mapping)) and len(value) == 0)


_PRESENCE: Mapping[str, Passes] = {"required": _required, "not_empty": _not_empty}


def _compared(source: str, allowed: Callable[[Any], bool]) -> Callable[[Any], Passes]:
    """An operator that is an expression of `value` and `wanted`."""
    expression = compile_expression(source, _NAMES)

    def build(operand: Any) -> Passes:
        if not allowed(operand):
            raise InvalidOperand

        def passes(value: Any) -> bool:
            try:
                return bool(expression.evaluate({"value": value, "wanted": operand}))
            except ExpressionError:
                return False

        return passes

    return build


def _bound(source: str) -> Callable[[Any], Passes]:
    """`min` and `max` pass whatever is no number."""
    build = _compared(f"number(value) == null or {source}", _is_number)

    def build_bound(operand: Any) -> Passes:
        holds = build(operand)
        return lambda value: not isinstance(value, (Decimal, str)) or holds(value)

    return build_bound


def _is_number(operand: Any) -> bool:
    if isinstance(operand, str):
        return compile_expression("number(value) != null", _NAMES).evaluate({"value": operand}) is True
    return isinstance(operand, (int, float, Decimal)) and not isinstance(operand, bool)


def _is_scalar(operand: Any) -> bool:
    return isinstance(operand, (str, int, float)) and not isinstance(operand, bool)


def _is_given(operand: Any) -> bool:
    return operand is not None


def _is_list(operand: Any) -> bool:
    return isinstance(operand, list)


def _length(holds: Callable[[int, int], bool]) -> Callable[[Any], Passes]:
    def build(operand: Any) -> Passes:
        if isinstance(operand, bool) or not isinstance(operand, (int, float)) or operand != int(operand) or operand < 0:
            raise InvalidOperand
        limit = int(operand)
        return lambda value: not isinstance(value, str) or holds(len(value), limit)

    return build


def _pattern(operand: Any) -> Passes:
    if not isinstance(operand, str):
        raise InvalidOperand
    pattern: Pattern = compile_pattern(operand)

    def passes(value: Any) -> bool:
        try:
            return not isinstance(value, str) or pattern.found_in(value)
        except PatternError:
            return False

    return passes


_BUILDERS: Mapping[str, Callable[[Any], Passes]] = {
    "min": _bound("value >= wanted"),
    "max": _bound("value <= wanted"),
    "min_length": _length(lambda length, limit: length >= limit),
    "max_length": _length(lambda length, limit: length <= limit),
    "pattern": _pattern,
    "eq": _compared("value == wanted", _is_given),
    "neq": _compared("value != wanted", _is_given),
    "gt": _compared("value > wanted", _is_scalar),
    "gte": _compared("value >= wanted", _is_scalar),
    "lt": _compared("value < wanted", _is_scalar),
    "lte": _compared("value <= wanted", _is_scalar),
    "in": _compared("value in wanted", _is_list),
    "enum": _compared("value in wanted", _is_list),
    "not_in": _compared("value not in wanted", _is_list),
}

OPERATORS = frozenset(_BUILDERS) | frozenset(_PRESENCE)
