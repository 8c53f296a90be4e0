"""The header `Range`: RFC 9110 §14, for one range of bytes."""

from __future__ import annotations

from dataclasses import dataclass

from rocket_kernel import RangeNotSatisfiable

_MOST_DIGITS = 19


@dataclass(frozen=True, slots=True)
class ByteRange:
    start: int
    length: int

    def content_range(self, size: int) -> str:
        return f"bytes {self.start}-{self.start + self.length - 1}/{size}"


def parse_range(header: str, size: int) -> ByteRange | None:
    """None for what is no single range of bytes: the whole file answers then. Raises RangeNotSatisfiable."""
    unit, equals, text = header.partition("=")
    if not equals or unit.strip().lower() != "bytes" or "," in text:
        return None
    first, dash, last = text.strip().partition("-")
    first, last = first.strip(), last.strip()
    if not dash or not (_is_number(first) or not first) or not (_is_number(last) or not last) or not (first or last):
        return None
    if not first:
        length = min(int(last), size)
        return _satisfiable(size - length, length, size)
    start, end = int(first), int(last) if last else size - 1
    if last and end < start:
        return None
    return _satisfiable(start, min(end, size - 1) - start + 1, size)


def _satisfiable(start: int, length: int, size: int) -> ByteRange:
    if length <= 0 or start >= size:
        raise RangeNotSatisfiable(size)
    return ByteRange(start, length)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
