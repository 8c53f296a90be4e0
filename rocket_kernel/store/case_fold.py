"""Lower case by Unicode's simple mapping: one character to one, whatever stands around it.

`str.lower` writes a sigma at the end of a word as a final one and makes two characters of a dotted capital I; a
database's simple mapping does neither, and both sides of a comparison must be folded alike.
"""

from __future__ import annotations

_DOTTED_CAPITAL_I = 0x130


class _SimpleLower(dict[int, str]):
    """Filled as characters are met; most programs meet a few hundred."""

    def __missing__(self, code: int) -> str:
        lower = self[code] = "i" if code == _DOTTED_CAPITAL_I else chr(code).lower()
        return lower


_table = _SimpleLower()


def simple_lower(text: str) -> str:
    return text.lower() if text.isascii() else text.translate(_table)
