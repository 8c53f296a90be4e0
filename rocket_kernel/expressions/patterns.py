"""Patterns of users, on RE2: time grows with the length of the text, whatever the pattern.

RE2 searches with a deterministic automaton, which takes a few nanoseconds a byte. Where that would need too much memory
it falls back to one that takes some 110 ns a byte and 1.4 ns for each instruction of the pattern: linear still, but a
megabyte takes tenths of a second. So texts that are searched by a pattern that can fall back are limited in length.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import re2

MAX_PATTERN = 4096
MAX_SEARCH = 32_000_000
"""Bytes of a text times `OVERHEAD` and the instructions of a pattern: 50 ms at the slowest."""
OVERHEAD = 80
FEW_POSITIONS = 20
"""A pattern of so many positions has so few states that it never falls back: 2^13 of `(a|b)*a(a|b){12}c` fit well."""
_QUICK = 4
_MEMORY = 4 << 20


class PatternError(ValueError):
    """The pattern cannot be used; the text says why."""


class Pattern:
    """A compiled pattern. Not anchored; never a back-reference or a look-around."""

    __slots__ = ("_ascii", "_full", "source", "unlimited")

    def __init__(self, source: str) -> None:
        if len(source) > MAX_PATTERN:
            raise PatternError(f"longer than {MAX_PATTERN} characters")
        self.source = source
        try:
            encoded = source.encode()
        except UnicodeEncodeError:
            raise PatternError("not valid text") from None
        self._full = _compiled(encoded, re2.Options.Encoding.UTF8)
        # A class such as \pL is hundreds of instructions in UTF-8 and a dozen for text of single bytes.
        self._ascii = _compiled(encoded, re2.Options.Encoding.LATIN1) if source.isascii() else self._full
        self.unlimited: bool = self._ascii.programsize <= FEW_POSITIONS
        """It never falls back, so texts may be of any length."""

    def search_size(self, text: str) -> int:
        """How much work a search is at the slowest, in the unit of `MAX_SEARCH`."""
        if self.unlimited:
            return len(text) * _QUICK
        program = self._ascii if text.isascii() else self._full
        return len(text) * (OVERHEAD + int(program.programsize))

    def found_in(self, text: str) -> bool:
        """Whether some part of the text fits. Raises PatternError for a text too long for the pattern."""
        program = self._ascii if text.isascii() else self._full
        encoded = text.encode(errors="surrogatepass")
        if not self.unlimited and len(encoded) * (OVERHEAD + program.programsize) > MAX_SEARCH:
            raise PatternError("text too long for the pattern")
        return program.search(encoded) is not None


@lru_cache(maxsize=256)
def compile_pattern(source: str) -> Pattern:
    """Raises PatternError."""
    return Pattern(source)


def _compiled(source: bytes, encoding: Any) -> Any:
    options = re2.Options()
    options.never_capture = True
    options.log_errors = False
    options.max_mem = _MEMORY
    options.encoding = encoding
    try:
        return re2.compile(source, options)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise PatternError(text) from error
