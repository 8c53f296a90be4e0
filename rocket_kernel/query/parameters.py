"""The query string of a request -> names and texts. Strict UTF-8, last one counts."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl

from rocket_kernel.errors import InvalidPayload

MAX_PARAMETERS = 1000
MAX_PAGE = 10**9

# float() also reads underscores, other scripts' digits, "inf" and "nan".
_NUMBER_CHARACTERS = frozenset("0123456789+-.eE ")


def parse_parameters(query_string: str) -> dict[str, str]:
    """Raises InvalidPayload for text that is not UTF-8, for U+0000, and for too many parameters."""
    if not query_string:
        return {}
    try:
        pairs = parse_qsl(
            query_string,
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=MAX_PARAMETERS,
        )
    except ValueError as error:
        raise InvalidPayload("Invalid query string") from error
    if "%00" in query_string or "\x00" in query_string:
        raise InvalidPayload("Invalid query string")
    found: dict[str, str] = {}
    for name, value in pairs:
        found.pop(name, None)  # the last one counts for its place too: two names can be one key
        found[name] = value
    return found


def filter_keys(parameters: Mapping[str, str]) -> dict[str, str]:
    """`filter[a.b]` and `filter[a][b]` -> `a.b`; names are trimmed."""
    found: dict[str, str] = {}
    for name, value in parameters.items():
        if name.startswith("filter[") and name.endswith("]"):
            key = name[len("filter[") : -1].replace("][", ".")
            found[".".join(part.strip() for part in key.split("."))] = value
    return found


def parse_count(text: str | None, *, default: int, maximum: int) -> int:
    """A page number or size: a missing, unreadable or non-positive one is the default, a large one the maximum."""
    if text is None or not _NUMBER_CHARACTERS.issuperset(text):
        return default
    try:
        number = float(text)
    except ValueError:
        return default
    if number < 1:
        return default
    return maximum if number >= maximum else int(number)


def names(text: str | None) -> list[str]:
    """A comma-separated list; an empty one is ignored, an empty element is kept as an unknown name."""
    if text is None or not text.strip():
        return []
    return [part.strip() for part in text.split(",")]
