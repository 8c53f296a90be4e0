"""Entity tags: one text for what a caller may read of one row, and what `If-Match` says about it (contract §5.9).

A tag is made from the visible part of the row alone, so it changes with every column the caller may read and tells
nothing of the others. Equal content has an equal tag on every database and in every process.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from rocket_kernel import json_text

_DIGITS = 32


def record_tag(visible: Mapping[str, Any]) -> str:
    """The strong tag of a row, from all its fields in wire values that the caller may read, quotes included."""
    return text_tag(json_text.encode(visible))


def text_tag(text: bytes) -> str:
    """As `record_tag`, from the JSON text of the same fields."""
    # Processors compute this hash in hardware; blake2b takes twice the time for a record of usual size.
    return f'"{sha256(text).hexdigest()[:_DIGITS]}"'


def matches(if_match: str, tag: str) -> bool:
    """Whether the header's value is `*` or a list that names the tag; `W/` prefixes are ignored.

    A value that is neither matches nothing. Splitting at commas is exact, because no tag of ours holds one.
    """
    if if_match.strip() == "*":
        return True
    return any(item.strip().removeprefix("W/") == tag for item in if_match.split(","))
