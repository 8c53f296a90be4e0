"""Patterns of users, on RE2: time grows with the length of pattern times text, whatever the pattern."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import re2

MAX_PATTERN = 4096
_MAX_PROGRAM = 5000
_MEMORY = 4 << 20
MAX_PATTERN_WORK: Final = 32_000_000
"""Instructions of a pattern times bytes of a text. At its slowest RE2 takes 1.4 ns for one, so a search ends within
50 ms: a megabyte for a pattern of 30 instructions, a hundred kilobytes for one of 300.
"""


class PatternError(ValueError):
    """The pattern cannot be used; the text says why."""


class Pattern:
    """A compiled pattern. Not anchored; never a back-reference or a look-around."""

    __slots__ = ("_search", "size", "source")

    def __init__(self, source: str) -> None:
        if len(source) > MAX_PATTERN:
            raise PatternError(f"longer than {MAX_PATTERN} characters")
        try:
            compiled = re2.compile(source.encode(), _options())
        except (re2.error, UnicodeEncodeError) as error:
            raise PatternError(_reason(error)) from error
        self.source = source
        self.size = int(compiled.programsize)
        if self.size > _MAX_PROGRAM:
            raise PatternError("pattern too large")
        self._search = compiled.search

    def found_in(self, text: str) -> bool:
        """Whether some part of the text fits. Raises PatternError for a text too long for the pattern."""
        encoded = text.encode(errors="surrogatepass")
        if len(encoded) * self.size > MAX_PATTERN_WORK:
            raise PatternError("text too long for the pattern")
        return self._search(encoded) is not None


@lru_cache(maxsize=256)
def compile_pattern(source: str) -> Pattern:
    """Raises PatternError."""
    return Pattern(source)


def _options() -> re2.Options:
    options = re2.Options()
    options.never_capture = True
    options.log_errors = False
    options.max_mem = _MEMORY
    return options


def _reason(error: Exception) -> str:
    reason = error.args[0] if error.args else ""
    if isinstance(reason, bytes):
        return reason.decode(errors="replace")
    return str(reason) if isinstance(error, re2.error) else "not valid text"
