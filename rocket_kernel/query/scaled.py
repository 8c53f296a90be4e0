"""Comparing decimals of fixed precision as integers, where the database has no decimals of its own.

A column with p fraction digits is compared as the integer 10^p times its value. A bound that has more digits than
the column is moved to the next integer on the side that keeps the answer exact.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Context

# Columns hold at most 18 digits, so a bound beyond these is beyond every value, and still fits a 64-bit integer.
_LOWEST, _HIGHEST = -(10**18), 10**18
_EXACT = Context(prec=120)

_ROUNDING = {"gt": ROUND_FLOOR, "lte": ROUND_FLOOR, "gte": ROUND_CEILING, "lt": ROUND_CEILING}


def scaled_bound(operator: str, operand: str, precision: int) -> int | None:
    """The integer that an ordering operator compares with.

    For eq, neq and in: None when no value of the column can be equal.
    """
    exact = _EXACT.scaleb(_EXACT.create_decimal(operand), precision)
    rounding = _ROUNDING.get(operator)
    if rounding is None:
        whole = exact.to_integral_value()
        return int(whole) if whole == exact and _LOWEST < whole < _HIGHEST else None
    return max(_LOWEST, min(_HIGHEST, int(exact.to_integral_value(rounding=rounding))))
