"""`+ - * / %` of two values: contract §7.2. Each is null when a side is null."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from rocket_kernel.expressions import numbers
from rocket_kernel.expressions.errors import Fault
from rocket_kernel.expressions.numbers import OUT_OF_RANGE, SIGNALS
from rocket_kernel.expressions.values import as_number, kind_name, milliseconds, moved, text_of
from rocket_kernel.expressions.work import Work

_VERBS = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide", "%": "take the remainder of"}


def calculate(operator: str, left: Any, right: Any, work: Work) -> Any:
    if left is None or right is None:
        return None
    if type(left) is Decimal and type(right) is Decimal:
        return _of_numbers(operator, left, right)
    if operator == "+" and (type(left) is str or type(right) is str):
        joined = _joined(left, right, work)
        if joined is not None:
            return joined
    if type(left) is datetime or type(right) is datetime:
        found = _of_instants(operator, left, right, work)
        if found is not None:
            return found
    first, second = as_number(left, work), as_number(right, work)
    if first is None or second is None:
        raise Fault(f"cannot {_VERBS[operator]} {kind_name(left)} and {kind_name(right)}")
    return _of_numbers(operator, first, second)


def _of_numbers(operator: str, left: Decimal, right: Decimal) -> Decimal:
    try:
        match operator:
            case "+":
                return numbers.ADD(left, right)
            case "-":
                return numbers.SUBTRACT(left, right)
            case "*":
                return numbers.MULTIPLY(left, right)
            case "/":
                return numbers.divide(left, right)
    except SIGNALS:
        raise Fault(OUT_OF_RANGE) from None
    return numbers.remainder(left, right)


def _joined(left: Any, right: Any, work: Work) -> str | None:
    """The texts joined, when a side is text that is not numeric."""
    for side in (left, right):
        if type(side) is str and as_number(side, work) is None:
            first, second = text_of(left, work), text_of(right, work)
            work.makes(len(first) + len(second))
            return first + second
    return None


def _of_instants(operator: str, left: Any, right: Any, work: Work) -> Any:
    """None when the two do not go together."""
    if operator == "-" and type(left) is datetime:
        if type(right) is datetime:
            return milliseconds(left) - milliseconds(right)
        by = as_number(right, work)
        return None if by is None else moved(left, -by)
    if operator == "+":
        instant, other = (left, right) if type(left) is datetime else (right, left)
        by = as_number(other, work)
        return None if by is None else moved(instant, by)
    return None


def negate(value: Any, work: Work) -> Decimal | None:
    if value is None:
        return None
    number = as_number(value, work)
    if number is None:
        raise Fault(f"cannot negate {kind_name(value)}")
    return numbers.SUBTRACT(numbers.ZERO, number)
