"""Numbers: decimals of 34 significant digits, rounded half to even; contract §7.2."""

from __future__ import annotations

from decimal import (
    ROUND_CEILING,
    ROUND_DOWN,
    ROUND_FLOOR,
    ROUND_HALF_EVEN,
    ROUND_HALF_UP,
    Context,
    Decimal,
    DecimalException,
    DivisionByZero,
    InvalidOperation,
    Overflow,
    Subnormal,
    Underflow,
)

from rocket_kernel.expressions.errors import Fault
from rocket_kernel.expressions.limits import DIGITS, MAX_EXPONENT
from rocket_kernel.json_text import JsonFloat

_TRAPS = [InvalidOperation, DivisionByZero, Overflow, Underflow, Subnormal]
CONTEXT = Context(DIGITS, ROUND_HALF_EVEN, Emin=-MAX_EXPONENT, Emax=MAX_EXPONENT, clamp=0, traps=_TRAPS)
_WIDE = Context(prec=4 * DIGITS, Emin=-4 * MAX_EXPONENT, Emax=4 * MAX_EXPONENT, traps=_TRAPS)

OUT_OF_RANGE = "number out of range"
ZERO, ONE = Decimal(0), Decimal(1)
EXACT_BITS = 112
"""Integers of so many bits have 34 digits at most."""

_LONGEST_TEXT = 2 * MAX_EXPONENT + DIGITS + 2
_PLAIN_FROM, _PLAIN_TO = -7, DIGITS

ADD, SUBTRACT, MULTIPLY, DIVIDE = CONTEXT.add, CONTEXT.subtract, CONTEXT.multiply, CONTEXT.divide
SIGNALS = DecimalException


def read_literal(text: str) -> Decimal:
    """Digits, fraction and exponent as a source writes them. Raises Fault."""
    mantissa, mark, exponent = text.lower().partition("e")
    if mark and len(exponent.lstrip("+-0")) > len(str(MAX_EXPONENT)):
        raise Fault(OUT_OF_RANGE)
    return rounded(mantissa + mark + exponent)


def rounded(value: str | int | Decimal) -> Decimal:
    """To 34 digits. Raises Fault beyond the range."""
    try:
        number = CONTEXT.create_decimal(value)
    except SIGNALS:
        raise Fault(OUT_OF_RANGE) from None
    if not number.is_finite():
        raise Fault(OUT_OF_RANGE)
    return number


def of_int(value: int) -> Decimal:
    if value.bit_length() <= EXACT_BITS:
        return Decimal(value)
    if value.bit_length() > 4 * MAX_EXPONENT:
        raise Fault(OUT_OF_RANGE)
    return rounded(value)


def of_float(value: float) -> Decimal:
    """By the shortest text that reads back as the same float; a JsonFloat by its own text."""
    return rounded(value.text if isinstance(value, JsonFloat) else repr(value))


def is_numeric(text: str) -> bool:
    """Numeric text: `^-?\\d+(\\.\\d+)?$`."""
    whole, point, fraction = text.removeprefix("-").partition(".")
    if not (whole.isascii() and whole.isdigit()):
        return False
    return not point or (fraction.isascii() and fraction.isdigit())


def exact(text: str) -> Decimal:
    """Numeric text with all its digits, for comparisons. Raises Fault beyond the range."""
    if len(text) > _LONGEST_TEXT:
        raise Fault(OUT_OF_RANGE)
    return Decimal(text)


def divide(left: Decimal, right: Decimal) -> Decimal:
    if not right:
        raise Fault("division by zero")
    try:
        return DIVIDE(left, right)
    except SIGNALS:
        raise Fault(OUT_OF_RANGE) from None


def remainder(left: Decimal, right: Decimal) -> Decimal:
    """With the sign of the left side, however far apart the two are."""
    if not right:
        raise Fault("division by zero")
    if left.adjusted() < right.adjusted():
        return rounded(left)
    # In integers of the smaller exponent, the power reduced by the divisor: 1e6000 % 7 is small work too.
    left_digits, left_exponent = _parts(left)
    right_digits, right_exponent = _parts(right)
    exponent = min(left_exponent, right_exponent)
    divisor = right_digits * 10 ** (right_exponent - exponent)
    power = pow(10, left_exponent - exponent, divisor)
    rest = left_digits * power % divisor
    return rounded(Decimal(rest).scaleb(exponent, _WIDE).copy_sign(left))


def _parts(number: Decimal) -> tuple[int, int]:
    """All digits as one integer, and the exponent."""
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int):
        raise Fault(OUT_OF_RANGE)
    return int(number.copy_abs().scaleb(-exponent, _WIDE)), exponent


def floor(number: Decimal) -> Decimal:
    return rounded(number.to_integral_value(ROUND_FLOOR))


def ceiling(number: Decimal) -> Decimal:
    return rounded(number.to_integral_value(ROUND_CEILING))


def truncate(number: Decimal) -> Decimal:
    return rounded(number.to_integral_value(ROUND_DOWN))


def round_half_away(number: Decimal, digits: int = 0) -> Decimal:
    """To `digits` after the point, or before it when negative."""
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or exponent >= -digits:
        return number
    if number.adjusted() < -digits - 1:
        return ZERO
    return rounded(number.quantize(Decimal((0, (1,), -digits)), ROUND_HALF_UP, _WIDE))


def whole(number: Decimal, low: int, high: int) -> int | None:
    """The number as an int when it is integral and within the bounds."""
    if number != number.to_integral_value() or not low <= number <= high:
        return None
    return int(number)


def number_text(number: Decimal) -> str:
    """The shortest form: no zeros at the end of a fraction, an exponent only for the very large and small."""
    if not number:
        return "0"
    short = number.normalize(_WIDE)
    adjusted = short.adjusted()
    if _PLAIN_FROM <= adjusted < _PLAIN_TO:
        return format(short, "f")
    sign, digits, _ = short.as_tuple()
    first, *rest = map(str, digits)
    fraction = f".{''.join(rest)}" if rest else ""
    return f"{'-' if sign else ''}{first}{fraction}e{adjusted}"


def absolute(number: Decimal) -> Decimal:
    return rounded(number.copy_abs())
