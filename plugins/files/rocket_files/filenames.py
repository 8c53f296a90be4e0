"""Names of files: text to show to people, never part of a path."""

from __future__ import annotations

import unicodedata
from urllib.parse import quote

MAX_BYTES = 255
_LONGEST_ENDING = 20
_FALLBACK = "file"
# Signs that turn the direction of text can make `exe.jpg` look like `gpj.exe`.
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_CONTROLS = frozenset({"Cc", "Cs", "Zl", "Zp"})
_ATTRIBUTE_SIGNS = "!#$&+-.^_`|~"
"""What RFC 8187 lets stand in `filename*` beside letters and digits."""


def display_name(given: str | None) -> str:
    """What a client calls the file -> the text that is kept of it: the last segment of a path, cut to 255 bytes."""
    last = (given or "").replace("\\", "/").rpartition("/")[2]
    name = "".join(sign for sign in last if not _is_control(sign)).strip()
    if not name.strip("."):
        return _FALLBACK
    return _cut(name) or _FALLBACK


def _is_control(sign: str) -> bool:
    return sign in _TURNING or unicodedata.category(sign) in _CONTROLS


def _cut(name: str) -> str:
    """At most 255 bytes, with the ending kept: it is what systems know the kind of a file by."""
    if len(name.encode()) <= MAX_BYTES:
        return name
    stem, dot, ending = name.rpartition(".")
    if not stem or len(ending.encode()) > _LONGEST_ENDING:
        return _shortened(name, MAX_BYTES)
    tail = dot + ending
    return _shortened(stem, MAX_BYTES - len(tail.encode())) + tail


def _shortened(text: str, limit: int) -> str:
    return text.encode()[:limit].decode(errors="ignore")


def content_disposition(name: str, *, inline: bool) -> str:
    """The header's value: ASCII with quotes escaped, and the whole name as UTF-8 where that differs."""
    kind = "inline" if inline else "attachment"
    plain = name.encode("ascii", "replace").decode().replace("?", "_") if not name.isascii() else name
    quoted = plain.replace("\\", "\\\\").replace('"', '\\"')
    value = f'{kind}; filename="{quoted}"'
    return value if name.isascii() else f"{value}; filename*=UTF-8''{quote(name, safe=_ATTRIBUTE_SIGNS)}"
