"""Decimals as text whose binary order is the order of the numbers.

A database without exact decimals keeps them as text; indexes and comparisons use this key. `1.0` and `1.00` share
one key, and no digit is lost however many there are.
"""

from __future__ import annotations

# The exponent is written with five digits around this middle: far beyond any number of digits that is stored.
_EXPONENT_ZERO = 50_000
_EXPONENT_LAST = 99_999
_COMPLEMENT = str.maketrans("0123456789", "9876543210")


def decimal_key(text: str) -> str:
    """The key of a decimal such as `-12.50`. Text that is no decimal sorts after all numbers, by itself."""
    unsigned = text.lstrip("+-")
    whole, _, fraction = unsigned.partition(".")
    if not (whole + fraction).isdigit() or not text.isascii():
        return "3" + text
    whole = whole.lstrip("0")
    digits = (whole + fraction).strip("0")
    if not digits:
        return "1"
    exponent = _EXPONENT_ZERO + (len(whole) or len(fraction.lstrip("0")) - len(fraction))
    if text[0] != "-":
        return f"2{exponent:05d}{digits}"
    # The closing mark is greater than any digit: of two negatives the one with more digits is the smaller.
    return f"0{_EXPONENT_LAST - exponent:05d}{digits.translate(_COMPLEMENT)}~"
