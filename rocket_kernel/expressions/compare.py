"""Equality, order and membership: contract §7.2."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from rocket_kernel.expressions.errors import Fault
from rocket_kernel.expressions.limits import MAX_VALUE_DEPTH
from rocket_kernel.expressions.numbers import number_text
from rocket_kernel.expressions.values import as_instant, as_number, is_list, value_of
from rocket_kernel.expressions.work import COMPARED, Work

_SCALARS = frozenset({bool, Decimal, datetime})


def equals(left: Any, right: Any, work: Work, depth: int = 0) -> bool:
    """`==` of two values."""
    if left is None or right is None:
        return left is right
    kind, other = type(left), type(right)
    if kind is other and kind in _SCALARS:
        return bool(left == right)
    if kind is str and other is str:
        work.reads(left)
        return bool(left == right)
    if kind is str:
        return _equals_text(right, left, work)
    if other is str:
        return _equals_text(left, right, work)
    if is_list(left) and is_list(right):
        return _equal_lists(left, right, work, depth)
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return _equal_maps(left, right, work, depth)
    return False


def _equals_text(value: Any, text: str, work: Work) -> bool:
    if type(value) is Decimal:
        return bool(value == as_number(text, work))
    return type(value) is datetime and value == as_instant(text)


def _equal_lists(left: Any, right: Any, work: Work, depth: int) -> bool:
    if len(left) != len(right):
        return False
    _deepen(depth)
    work.spend(COMPARED * len(left))
    return all(equals(value_of(item), value_of(right[position]), work, depth + 1) for position, item in enumerate(left))


def _equal_maps(left: Mapping[str, Any], right: Mapping[str, Any], work: Work, depth: int) -> bool:
    if len(left) != len(right):
        return False
    _deepen(depth)
    work.spend(COMPARED * len(left))
    for key in left:
        if key not in right or not equals(value_of(left[key]), value_of(right[key]), work, depth + 1):
            return False
    return True


def _deepen(depth: int) -> None:
    if depth > MAX_VALUE_DEPTH:
        raise Fault("value nested too deeply")


def ordered(left: Any, right: Any, work: Work) -> tuple[Any, Any] | None:
    """The two sides as things that Python orders as the language does; None when they do not mix."""
    kind, other = type(left), type(right)
    if kind is other and (kind is Decimal or kind is datetime):
        return left, right
    if kind is str and other is str:
        return _ordered_texts(left, right, work)
    if kind is Decimal or other is Decimal:
        first, second = as_number(left, work), as_number(right, work)
        return None if first is None or second is None else (first, second)
    if kind is datetime or other is datetime:
        begin, end = as_instant(left), as_instant(right)
        return None if begin is None or end is None else (begin, end)
    return None


def _ordered_texts(left: str, right: str, work: Work) -> tuple[Any, Any]:
    first = as_number(left, work)
    if first is not None:
        second = as_number(right, work)
        if second is not None:
            return first, second
    begin = as_instant(left)
    if begin is not None:
        end = as_instant(right)
        if end is not None:
            return begin, end
    return left, right


def is_in(item: Any, container: Any, work: Work) -> bool:
    """`item in container`: an element of a list, a part of a text, a key of a map; false for all else."""
    if is_list(container):
        work.spend(len(container))
        return any(equals(item, value_of(element), work) for element in container)
    if isinstance(container, Mapping):
        return type(item) is str and item in container
    text, part = matched_text(container), matched_text(item)
    if text is None or part is None:
        return False
    work.reads(text)
    return part in text


def starts_with(value: Any, prefix: Any) -> bool:
    text, start = matched_text(value), matched_text(prefix)
    return text is not None and start is not None and text.startswith(start)


def ends_with(value: Any, suffix: Any) -> bool:
    text, end = matched_text(value), matched_text(suffix)
    return text is not None and end is not None and text.endswith(end)


def matched_text(value: Any) -> str | None:
    """What the text operators look at: a text, or a number in its shortest form."""
    if type(value) is str:
        return value
    return number_text(value) if type(value) is Decimal else None
