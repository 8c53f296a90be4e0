"""Evaluating a filter on a record in memory, with the meaning it has in SQL."""

from __future__ import annotations

import operator as operators
from collections.abc import Callable, Mapping
from typing import Any

from rocket_kernel.query.filters import AllOf, AnyOf, Compare, Filter
from rocket_kernel.store.case_fold import simple_lower
from rocket_kernel.store.dialects.base import TextPattern, Wildcard
from rocket_kernel.store.formulas import Truth, is_true

_ORDERINGS: Mapping[str, Callable[[Any, Any], Any]] = {
    "eq": operators.eq,
    "neq": operators.ne,
    "gt": operators.gt,
    "gte": operators.ge,
    "lt": operators.lt,
    "lte": operators.le,
}


def holds(filter: Filter, record: Mapping[str, Any]) -> bool:
    """Whether a record in wire values satisfies a filter on its own fields.

    Raises TypeError for a filter that walks a relation: those are for the database.
    """
    match filter:
        case AllOf(parts):
            return all(holds(part, record) for part in parts)
        case AnyOf(parts):
            return any(holds(part, record) for part in parts)
        case Compare():
            return _compare(filter, record.get(filter.field.name))
    raise TypeError("a relation cannot be followed in memory")


def _compare(condition: Compare, value: Any) -> bool:
    operator, operand = condition.operator, condition.operand
    if operator == "is_null":
        return (value is None) is operand
    if value is None:
        return False
    if isinstance(operand, Truth):
        keep = condition.field.type.keep
        return is_true(operand, value if keep is None else keep(value)) is True
    if operator in ("like", "contains", "starts_with", "ends_with"):
        return matches(operand, value)
    if operator == "ilike":
        folded = tuple(part if isinstance(part, Wildcard) else simple_lower(part) for part in operand)
        return matches(folded, simple_lower(value))
    key = condition.field.type.order_key
    own = key(value)
    if operator in ("in", "not_in"):
        return (own in {key(item) for item in operand}) is (operator == "in")
    if operator == "between":
        return bool(key(operand[0]) <= own <= key(operand[1]))
    return bool(_ORDERINGS[operator](own, key(operand)))


def matches(pattern: TextPattern, text: str) -> bool:
    """Whether a pattern fits the whole text. Time is at most len(pattern) * len(text)."""
    tokens: list[str | None] = []  # None is any run, "" one character, else a literal character
    for part in pattern:
        if part is Wildcard.ANY_RUN:
            tokens.append(None)
        elif part is Wildcard.ONE_CHARACTER:
            tokens.append("")
        elif isinstance(part, str):
            tokens.extend(part)
    at = position = 0
    retry_at = retry_position = -1
    while position < len(text):
        if at < len(tokens) and tokens[at] is None:
            retry_at, retry_position = at, position
            at += 1
        elif at < len(tokens) and tokens[at] in ("", text[position]):
            at += 1
            position += 1
        elif retry_at >= 0:
            retry_position += 1
            at, position = retry_at + 1, retry_position
        else:
            return False
    return all(token is None for token in tokens[at:])
