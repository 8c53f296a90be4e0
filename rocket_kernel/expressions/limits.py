"""The bounds of the language: contract §7.7. Nothing a source or its values hold can go beyond them."""

from __future__ import annotations

MAX_SOURCE_BYTES = 4096
MAX_NESTING = 64
MAX_NODES = 1000
MAX_STEPS = 100_000
MAX_TEXT = 100_000
"""Characters of a text that an expression makes."""
MAX_LIST = 10_000
"""Elements of a list that an expression makes or walks through."""
MAX_EXPONENT = 6000
DIGITS = 34
MAX_VALUE_DEPTH = 150
"""How deep values are compared and printed; requests nest to 64, and an expression adds 64 at most."""
