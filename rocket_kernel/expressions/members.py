"""Taking values out of values: `.name` and `[…]`, contract §7.2."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from rocket_kernel.expressions import numbers
from rocket_kernel.expressions.compare import matched_text
from rocket_kernel.expressions.values import RecordMap, is_list, value_of

LENGTH = "length"


def member(value: Any, name: str) -> Any:
    """Null for a missing key, and on null and values without members. A map's own key wins over a property."""
    kind = type(value)
    if kind is RecordMap:
        return value.get(name) if name in value.entity.fields or name != LENGTH else Decimal(len(value))
    if isinstance(value, Mapping):
        found = value.get(name)
        if found is None and name == LENGTH and name not in value:
            return Decimal(len(value))
        return value_of(found)
    if name == LENGTH and (kind is str or is_list(value)):
        return Decimal(len(value))
    return None


def element(value: Any, index: Any) -> Any:
    """Null out of range, and for an index that does not fit."""
    if isinstance(value, Mapping):
        key = matched_text(index)
        return None if key is None else value_of(value.get(key))
    if type(index) is not Decimal or not (type(value) is str or is_list(value)):
        return None
    position = numbers.whole(index, 0, len(value) - 1)
    return None if position is None else value_of(value[position])
