"""Closures of the operators. Operands of the usual kinds take a short way; all else is decided by kind."""

from __future__ import annotations

import operator as python
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from rocket_kernel.expressions import compare, functions, numbers
from rocket_kernel.expressions.arithmetic import calculate, negate
from rocket_kernel.expressions.errors import Fault
from rocket_kernel.expressions.values import truthy
from rocket_kernel.expressions.work import Frame, Work

Run = Callable[[Frame], Any]

_QUICK: Mapping[str, Callable[[Decimal, Decimal], Decimal]] = {
    "+": numbers.ADD,
    "-": numbers.SUBTRACT,
    "*": numbers.MULTIPLY,
    "/": numbers.divide,
    "%": numbers.remainder,
}
_ORDERINGS: Mapping[str, Callable[[Any, Any], Any]] = {
    "<": python.lt,
    "<=": python.le,
    ">": python.gt,
    ">=": python.ge,
}
_SAME = frozenset({Decimal, bool, datetime, type(None)})
_SHORT = 1024


def unary(sign: str, operand: Run, at: int) -> Run:
    def deny(frame: Frame) -> bool:
        return not truthy(operand(frame))

    def turn(frame: Frame) -> Any:
        value = operand(frame)
        try:
            return negate(value, frame.work)
        except Fault as fault:
            raise fault.placed(at) from None

    return turn if sign == "-" else deny


def chain(first: Run, rest: Sequence[tuple[str, Run, int]]) -> Run:
    """Operators of one level."""
    operator = rest[0][0]
    runs = (first, *(run for _, run, _ in rest))
    match operator:
        case "and":
            return _until(runs, stop_at=False)
        case "or":
            return _until(runs, stop_at=True)
        case "??":
            return _first_value(runs)
    if len(rest) == 1:
        return _calculation(first, *rest[0])
    steps = tuple(rest)

    def run(frame: Frame) -> Any:
        value = first(frame)
        for sign, right, at in steps:
            operand = right(frame)
            try:
                value = calculate(sign, value, operand, frame.work)
            except Fault as fault:
                raise fault.placed(at) from None
        return value

    return run


def _calculation(left: Run, sign: str, right: Run, at: int) -> Run:
    quick = _QUICK[sign]

    def run(frame: Frame) -> Any:
        a, b = left(frame), right(frame)
        try:
            if type(a) is Decimal and type(b) is Decimal:
                return quick(a, b)
            return calculate(sign, a, b, frame.work)
        except Fault as fault:
            raise fault.placed(at) from None
        except numbers.SIGNALS:
            raise Fault(numbers.OUT_OF_RANGE, at) from None

    return run


def _until(runs: tuple[Run, ...], *, stop_at: bool) -> Run:
    *earlier, last = runs

    def run(frame: Frame) -> Any:
        for part in earlier:
            value = part(frame)
            if truthy(value) is stop_at:
                return value
        return last(frame)

    return run


def _first_value(runs: tuple[Run, ...]) -> Run:
    def run(frame: Frame) -> Any:
        for part in runs:
            value = part(frame)
            if value is not None:
                return value
        return None

    return run


def conditional(branches: Sequence[tuple[Run, Run]], otherwise: Run) -> Run:
    cases = tuple(branches)

    def run(frame: Frame) -> Any:
        for test, value in cases:
            if truthy(test(frame)):
                return value(frame)
        return otherwise(frame)

    return run


def comparison(operator: str, left: Run, right: Run, at: int) -> Run:
    if operator in ("==", "!="):
        return _equality(left, right, at, wanted=operator == "==")
    if operator in _ORDERINGS:
        return _order(_ORDERINGS[operator], left, right, at)
    decide = _DECISIONS[operator]

    def run(frame: Frame) -> bool:
        a, b = left(frame), right(frame)
        try:
            return decide(frame.work, a, b)
        except Fault as fault:
            raise fault.placed(at) from None

    return run


def _equality(left: Run, right: Run, at: int, *, wanted: bool) -> Run:
    def run(frame: Frame) -> bool:
        a, b = left(frame), right(frame)
        kind = type(a)
        if kind is type(b) and (kind in _SAME or (kind is str and len(a) < _SHORT)):
            return (a == b) is wanted
        try:
            return compare.equals(a, b, frame.work) is wanted
        except Fault as fault:
            raise fault.placed(at) from None

    return run


def _order(holds: Callable[[Any, Any], Any], left: Run, right: Run, at: int) -> Run:
    def run(frame: Frame) -> bool:
        a, b = left(frame), right(frame)
        if type(a) is Decimal and type(b) is Decimal:
            return bool(holds(a, b))
        try:
            pair = compare.ordered(a, b, frame.work)
        except Fault as fault:
            raise fault.placed(at) from None
        return pair is not None and bool(holds(*pair))

    return run


def _in(work: Work, item: Any, container: Any) -> bool:
    return compare.is_in(item, container, work)


def _not_in(work: Work, item: Any, container: Any) -> bool:
    return not compare.is_in(item, container, work)


_DECISIONS: Mapping[str, Callable[[Work, Any, Any], bool]] = {
    "in": _in,
    "not in": _not_in,
    "contains": functions.contains,
    "startsWith": functions.starts_with,
    "endsWith": functions.ends_with,
    "matches": functions.matches,
}
