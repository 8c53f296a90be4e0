"""Which names are allowed. Checked without a pattern engine, because the text is a client's."""

from __future__ import annotations

import string

_FIRST = frozenset(string.ascii_lowercase)
_REST = frozenset(string.ascii_lowercase + string.digits + "_")
_APP_REST = _REST | {"-"}

MAX_IDENTIFIER = 63
MAX_APP_NAME = 56


def is_identifier(name: object) -> bool:
    """Names of entities, tables, fields, relations and join columns: `^[a-z][a-z0-9_]{0,62}$`."""
    return (
        isinstance(name, str)
        and 0 < len(name) <= MAX_IDENTIFIER
        and name[0] in _FIRST
        and all(character in _REST for character in name)
    )


def is_app_name(name: str) -> bool:
    """`^[a-z][a-z0-9_-]*$`; the length is checked apart because it has a message of its own."""
    return bool(name) and name[0] in _FIRST and all(character in _APP_REST for character in name)
