"""Arithmetic over numbers inside a stored value, for the operators that field types bring.

A formula is one tree. It compiles to SQL (`query/formula.py`) and is worked out in memory, by the same steps in the same
order. Sums, differences and products of binary floats are defined to the last bit, so every database and Python come to
the same answer; quotients, roots and sines are left out because there they may not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

LARGEST_PART = 10**16 - 1
"""A part beyond it counts as absent: sixteen digits always become a binary float without an error."""
_LARGEST_CONSTANT = 1e100
"""Products of a few of these still are finite; one of the databases raises an error where one is not."""


class Term:
    """A number: `+`, `-` and `*` make further terms, comparing makes a Truth."""

    __slots__ = ()

    def __add__(self, other: Term | float) -> Term:
        return Arithmetic("+", self, _term(other))

    def __sub__(self, other: Term | float) -> Term:
        return Arithmetic("-", self, _term(other))

    def __mul__(self, other: Term | float) -> Term:
        return Arithmetic("*", self, _term(other))

    def __lt__(self, other: Term | float) -> Truth:
        return Comparison("<", self, _term(other))

    def __le__(self, other: Term | float) -> Truth:
        return Comparison("<=", self, _term(other))

    def __gt__(self, other: Term | float) -> Truth:
        return Comparison(">", self, _term(other))

    def __ge__(self, other: Term | float) -> Truth:
        return Comparison(">=", self, _term(other))

    def equals(self, other: Term | float) -> Truth:
        return Comparison("=", self, _term(other))

    def differs(self, other: Term | float) -> Truth:
        return Comparison("<>", self, _term(other))

    def between(self, low: float, high: float) -> Truth:
        """Both bounds included. On an indexed part this is what an index answers."""
        return (self >= low) & (self <= high)


@dataclass(frozen=True, slots=True)
class Part(Term):
    """A member of the stored object: a whole number of at most sixteen digits; anything else counts as absent."""

    name: str


@dataclass(frozen=True, slots=True)
class Constant(Term):
    value: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.value) or abs(self.value) > _LARGEST_CONSTANT:
            raise ValueError("a number of ordinary size expected")


@dataclass(frozen=True, slots=True)
class Arithmetic(Term):
    operator: Literal["+", "-", "*"]
    left: Term
    right: Term


class Truth:
    """True, false, or unknown where a part is absent; unknown is not fulfilled. `&` and `|` join two."""

    __slots__ = ()

    def __and__(self, other: Truth) -> Truth:
        return Joined("AND", self, other)

    def __or__(self, other: Truth) -> Truth:
        return Joined("OR", self, other)


@dataclass(frozen=True, slots=True)
class Comparison(Truth):
    operator: Literal["<", "<=", ">", ">=", "=", "<>"]
    left: Term
    right: Term


@dataclass(frozen=True, slots=True)
class Joined(Truth):
    glue: Literal["AND", "OR"]
    left: Truth
    right: Truth


def number_of(term: Term, stored: Any) -> float | None:
    """The value of a term for a stored object; None where a part that it needs is absent."""
    match term:
        case Part(name):
            value = stored.get(name) if isinstance(stored, Mapping) else None
            return float(value) if type(value) is int and abs(value) <= LARGEST_PART else None
        case Constant(value):
            return float(value)
        case Arithmetic(operator, left, right):
            first, second = number_of(left, stored), number_of(right, stored)
            return None if first is None or second is None else _calculated(operator, first, second)
    raise TypeError(f"{type(term).__name__} is no term")


def is_true(truth: Truth, stored: Any) -> bool | None:
    """Whether a stored object satisfies a condition; None is unknown, as in SQL."""
    match truth:
        case Comparison(operator, left, right):
            first, second = number_of(left, stored), number_of(right, stored)
            return None if first is None or second is None else _compared(operator, first, second)
        case Joined(glue, left, right):
            decisive = glue == "OR"
            found = is_true(left, stored), is_true(right, stored)
            if decisive in found:
                return decisive
            return None if None in found else not decisive
    raise TypeError(f"{type(truth).__name__} is no condition")


def _term(value: Term | float) -> Term:
    return value if isinstance(value, Term) else Constant(float(value))


def _calculated(operator: str, first: float, second: float) -> float:
    if operator == "+":
        return first + second
    return first - second if operator == "-" else first * second


def _compared(operator: str, first: float, second: float) -> bool:
    if operator in ("=", "<>"):
        return (first == second) is (operator == "=")
    if operator[0] == ">":
        return first > second or (operator == ">=" and first == second)
    return first < second or (operator == "<=" and first == second)
