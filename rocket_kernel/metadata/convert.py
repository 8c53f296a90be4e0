"""Values of clients -> wire values, one function a type. All raise ValueError; none touches a database.

A wire value is what answers show and what travels through the pipeline: see `rocket_kernel.store.columns.Storage`.
"""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any

from rocket_kernel import json_text
from rocket_kernel.errors import InvalidPayload
from rocket_kernel.json_text import JsonFloat
from rocket_kernel.metadata.instants import parse_date, parse_timestamp

INT_MIN, INT_MAX = -(2**31), 2**31 - 1
BIGINT_MIN, BIGINT_MAX = -(2**63), 2**63 - 1
DIGITS_WITH_PRECISION = 18
DIGITS_WITHOUT_PRECISION = 38

# Python refuses to print integers of more than 4300 digits; JSON columns keep clear of that limit.
_JSON_INTEGER_BITS = 13_000
_WIDE = Context(prec=200, rounding=ROUND_HALF_UP)
_NUMBER_CHARACTERS = frozenset("0123456789+-.eE")
_TRUE = frozenset({"true", "1", "t", "y", "yes", "on"})
_FALSE = frozenset({"false", "0", "f", "n", "no", "off"})
_HEX = frozenset("0123456789abcdef-")


def to_text(value: Any) -> str:
    match value:
        case str():
            text = value
        case bool():
            text = "true" if value else "false"
        case JsonFloat():
            text = value.text
        case int():
            text = str(value)
        case float():
            text = json_text.encode(value).decode()
        case list() | dict():
            text = json_text.encode(_plain(value)).decode()
        case _:
            raise ValueError("no text form")
    if "\x00" in text:
        raise ValueError("U+0000 is not storable")
    return text


def to_int(value: Any) -> int:
    return _integer(value, INT_MIN, INT_MAX)


def to_bigint(value: Any) -> str:
    return str(_integer(value, BIGINT_MIN, BIGINT_MAX))


def to_float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError("number expected")
    if isinstance(value, str):
        _require_number_characters(value)
    try:
        number = float(value)
    except OverflowError as error:
        raise ValueError("out of range") from error
    if not math.isfinite(number):
        raise ValueError("out of range")
    return number + 0.0  # -0.0 + 0.0 is 0.0: one of the databases does not keep the sign of zero


def to_decimal(value: Any, precision: int | None) -> str:
    """Read digit by digit, rounded half away from zero to `precision` when there is one."""
    number = _decimal(value)
    if number.adjusted() > DIGITS_WITHOUT_PRECISION:
        raise ValueError("too many digits")
    if precision is None:
        if -number_exponent(number) > DIGITS_WITHOUT_PRECISION:
            raise ValueError("too many digits")
        text = format(number, "f")
        limit = DIGITS_WITHOUT_PRECISION
    else:
        text = format(number.quantize(Decimal(1).scaleb(-precision), context=_WIDE), "f")
        limit = DIGITS_WITH_PRECISION
    digits = text.lstrip("-").replace(".", "")
    if len(digits.lstrip("0")) > limit or len(digits) > limit + 1:
        raise ValueError("too many digits")
    return text.lstrip("-") if not digits.strip("0") else text


def to_boolean(value: Any) -> bool:
    match value:
        case bool():
            return value
        case int() if value in (0, 1):
            return value == 1
        case str():
            lowered = value.lower()
            if lowered in _TRUE:
                return True
            if lowered in _FALSE:
                return False
    raise ValueError("boolean expected")


def filter_boolean(text: str) -> bool:
    if text in ("true", "1"):
        return True
    if text in ("false", "0"):
        return False
    raise ValueError("true, false, 1 or 0 expected")


def to_uuid(value: Any) -> str:
    if not isinstance(value, str) or len(value) != 36:
        raise ValueError("hyphenated UUID expected")
    text = value.lower()
    if not (text[8] == text[13] == text[18] == text[23] == "-" and _HEX.issuperset(text) and text.count("-") == 4):
        raise ValueError("hyphenated UUID expected")
    return text


def to_timestamp(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("ISO 8601 text expected")
    return parse_timestamp(value)


def to_date(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("ISO 8601 text expected")
    return parse_date(value)


def to_json(value: Any) -> Any:
    """Any JSON value; text of a JSON object or array is taken as that object or array."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            value = json_text.decode(value)
        except json_text.InvalidJson:
            return _plain(value)
    return _plain(value)


def number_exponent(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int):
        raise ValueError("not a finite number")
    return exponent


def _plain(value: Any) -> Any:
    try:
        plain = json_text.plain(value)
    except InvalidPayload as error:
        raise ValueError("not storable as JSON") from error
    return _canonical(plain)


def _canonical(value: Any) -> Any:
    """One form on every database: members sorted by name, integral floats beyond 2^53 as integers, no -0.0."""
    match value:
        case dict():
            return {key: _canonical(value[key]) for key in sorted(value)}
        case list():
            return [_canonical(item) for item in value]
        case float():
            return int(value) if abs(value) >= 1e16 else value + 0.0
        case int() if not isinstance(value, bool) and value.bit_length() > _JSON_INTEGER_BITS:
            raise ValueError("too many digits")
    return value


def _integer(value: Any, low: int, high: int) -> int:
    match value:
        case bool():
            raise ValueError("number expected")
        case int():
            number = value
        case JsonFloat() | float():
            exact = _decimal(value)
            if exact.adjusted() > 20 or exact != exact.to_integral_value():
                raise ValueError("integral number expected")
            number = int(exact)
        case str():
            digits = value.removeprefix("-")
            if not (digits.isascii() and digits.isdigit() and len(digits) <= 40):
                raise ValueError("digits expected")
            number = int(value)
        case _:
            raise ValueError("number expected")
    if not low <= number <= high:
        raise ValueError("out of range")
    return number


def _decimal(value: Any) -> Decimal:
    match value:
        case bool():
            raise ValueError("number expected")
        case int():
            if value.bit_length() > 256:
                raise ValueError("too many digits")
            return Decimal(value)
        case JsonFloat():
            text = value.text
        case float():
            text = repr(value)
        case str():
            text = value
        case _:
            raise ValueError("number expected")
    _require_number_characters(text)
    try:
        return _finite(Decimal(text))
    except InvalidOperation as error:
        raise ValueError("number expected") from error


def _finite(number: Decimal) -> Decimal:
    if not number.is_finite():
        raise ValueError("out of range")
    # Digits beyond this can reach neither of the limits and would make rounding slow.
    if len(number.as_tuple().digits) > 1000:
        raise ValueError("too many digits")
    return number


def _require_number_characters(text: str) -> None:
    # float() and Decimal() also read underscores, blanks, other scripts' digits, "inf" and "nan".
    if not text or len(text) > 2000 or not _NUMBER_CHARACTERS.issuperset(text):
        raise ValueError("number expected")
