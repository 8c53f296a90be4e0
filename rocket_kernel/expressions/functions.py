"""Functions: how a plugin declares one, and those of the language that are plain functions of their values.

Those that take an `e`, and those that know the time, are built in `forms.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from rocket_kernel.expressions import compare, numbers
from rocket_kernel.expressions.errors import Fault
from rocket_kernel.expressions.limits import MAX_EXPONENT, MAX_STEPS
from rocket_kernel.expressions.patterns import MAX_SEARCH, PatternError, compile_pattern
from rocket_kernel.expressions.values import (
    EPOCH,
    as_instant,
    as_number,
    is_list,
    kind_name,
    milliseconds,
    moved,
    text_of,
)
from rocket_kernel.expressions.work import Work

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function that expressions may call.

    `call` is pure and quick and gets values of the language: None, bool, Decimal, str, datetime in UTC, tuple, and a
    read-only mapping. It returns such a value or a JSON value. What it raises becomes a runtime error of the
    expression; the text of a ValueError is shown as the reason.
    """

    name: str
    call: Callable[..., Any]
    least: int
    """Fewest arguments."""
    most: int | None = None
    """Most arguments; None takes any number from `least` on."""


@dataclass(frozen=True, slots=True)
class Native:
    """A function of the language: gets the work of the evaluation before its values."""

    call: Callable[..., Any]
    least: int
    most: int


def _length(work: Work, value: Any) -> Decimal:
    if value is None:
        return numbers.ZERO
    if isinstance(value, (str, list, tuple, Mapping)):
        return Decimal(len(value))
    raise Fault(f"{kind_name(value)} has no length")


def number_of(name: str, value: Any, work: Work) -> Decimal | None:
    """An argument that must be a number; null stays null."""
    if value is None:
        return None
    number = as_number(value, work)
    if number is None:
        raise Fault(f"{name} needs a number, not {kind_name(value)}")
    return number


def _of_number(name: str, change: Callable[[Decimal], Decimal]) -> Native:
    def call(work: Work, value: Any) -> Any:
        number = number_of(name, value, work)
        return None if number is None else change(number)

    return Native(call, 1, 1)


def _round(work: Work, value: Any, digits: Any = numbers.ZERO) -> Any:
    number, places = number_of("round", value, work), number_of("round", digits, work)
    if number is None or places is None:
        return None
    count = numbers.whole(places, -MAX_EXPONENT, MAX_EXPONENT)
    if count is None:
        raise Fault("round needs a whole number of digits")
    return numbers.round_half_away(number, count)


def text_argument(name: str, value: Any) -> str | None:
    """An argument that must be text, or a number as text; null stays null."""
    if value is None:
        return None
    text = compare.matched_text(value)
    if text is None:
        raise Fault(f"{name} needs a text, not {kind_name(value)}")
    return text


def _of_text(name: str, change: Callable[[str], str]) -> Native:
    def call(work: Work, value: Any) -> Any:
        text = text_argument(name, value)
        if text is None:
            return None
        work.makes(len(text))
        changed = change(text)
        # One character can become three: the German sharp s is two, some Greek ones three.
        work.makes(len(changed))
        return changed

    return Native(call, 1, 1)


def contains(work: Work, container: Any, item: Any) -> bool:
    return compare.is_in(item, container, work)


def starts_with(work: Work, value: Any, prefix: Any) -> bool:
    return compare.starts_with(value, prefix)


def ends_with(work: Work, value: Any, suffix: Any) -> bool:
    return compare.ends_with(value, suffix)


def matches(work: Work, value: Any, pattern: Any) -> bool:
    text, source = compare.matched_text(value), compare.matched_text(pattern)
    if text is None or source is None:
        return False
    # Compiling takes up to a few milliseconds, and is remembered for the latest patterns only.
    work.spend(len(source))
    return found(source, text, work)


def found(pattern: str, text: str, work: Work) -> bool:
    """Whether a pattern is found in a text, both within the limits. Raises Fault."""
    try:
        compiled = compile_pattern(pattern)
        work.spend(compiled.search_size(text) // _SEARCH_A_STEP)
        return compiled.found_in(text)
    except PatternError as error:
        raise Fault(f"invalid pattern: {error}") from None


# All steps together are as much work as one search may be.
_SEARCH_A_STEP = MAX_SEARCH // MAX_STEPS


def to_instant(work: Work, value: Any) -> datetime | None:
    """ISO text, an instant, or milliseconds since 1970; None for what is none of them."""
    found = as_instant(value)
    if found is not None:
        return found
    number = as_number(value, work)
    if number is None:
        return None
    try:
        return moved(EPOCH, number)
    except Fault:
        return None


def _days_between(work: Work, begin: Any, end: Any) -> Decimal | None:
    first, last = _instant_argument(begin), _instant_argument(end)
    if first is None or last is None:
        return None
    days = abs(last - first) // _DAY
    return Decimal(days if last >= first else -days)


def _instant_argument(value: Any) -> datetime | None:
    if value is None:
        return None
    instant = as_instant(value)
    if instant is None:
        raise Fault(f"days_between needs an instant, not {kind_name(value)}")
    return instant


def _string(work: Work, value: Any) -> str | None:
    return None if value is None else text_of(value, work)


def to_number(work: Work, value: Any) -> Decimal | None:
    """Null for what is no number."""
    match value:
        case bool():
            return numbers.ONE if value else numbers.ZERO
        case datetime():
            return milliseconds(value)
    number = as_number(value, work)
    return None if number is None else numbers.rounded(number)


def _int(work: Work, value: Any) -> Decimal | None:
    number = to_number(work, value)
    return None if number is None else numbers.truncate(number)


NATIVE: Mapping[str, Native] = {
    "len": Native(_length, 1, 1),
    "length": Native(_length, 1, 1),
    "count": Native(_length, 1, 1),
    "abs": _of_number("abs", numbers.absolute),
    "floor": _of_number("floor", numbers.floor),
    "ceil": _of_number("ceil", numbers.ceiling),
    "round": Native(_round, 1, 2),
    "lower": _of_text("lower", str.lower),
    "upper": _of_text("upper", str.upper),
    "trim": _of_text("trim", str.strip),
    "contains": Native(contains, 2, 2),
    "startsWith": Native(starts_with, 2, 2),
    "endsWith": Native(ends_with, 2, 2),
    "matches": Native(matches, 2, 2),
    "date": Native(to_instant, 1, 1),
    "days_between": Native(_days_between, 2, 2),
    "string": Native(_string, 1, 1),
    "number": Native(to_number, 1, 1),
    "float": Native(to_number, 1, 1),
    "int": Native(_int, 1, 1),
}

FORMS = frozenset({"sum", "avg", "min", "max", "any", "all", "filter", "map", "now", "today", "new Date"})
"""Functions that are built by hand."""

MATH = frozenset({"abs", "min", "max", "round", "floor", "ceil"})
"""May be called as `Math.…` too."""

BUILT_IN = frozenset(NATIVE) | FORMS
"""Names no plugin may take."""


# -- methods --


def _get_time(work: Work, value: Any) -> Decimal:
    instant = as_instant(value)
    if instant is None:
        raise Fault(f"getTime needs an instant, not {kind_name(value)}")
    return milliseconds(instant)


METHODS: Mapping[str, tuple[Callable[..., Any], int]] = {
    "includes": (contains, 1),
    "contains": (contains, 1),
    "startsWith": (starts_with, 1),
    "endsWith": (ends_with, 1),
    "toLowerCase": (NATIVE["lower"].call, 0),
    "toUpperCase": (NATIVE["upper"].call, 0),
    "trim": (NATIVE["trim"].call, 0),
    "getTime": (_get_time, 0),
}
"""By name, with the number of arguments. On null each gives null."""


def require_count(name: str, given: int, least: int, most: int | None, at: int) -> None:
    """Raises Fault for too few or too many arguments."""
    if given >= least and (most is None or given <= most):
        return
    expected = str(least) if least == most else f"at least {least}" if most is None else f"{least} to {most}"
    raise Fault(f"wrong number of arguments for {name}: {expected} expected, {given} given", at)


def require_list(name: str, value: Any) -> Any:
    """A list argument; null counts as the empty list."""
    if value is None:
        return ()
    if not is_list(value):
        raise Fault(f"{name} needs a list, not {kind_name(value)}")
    return value
