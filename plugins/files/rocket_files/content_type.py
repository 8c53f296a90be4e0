"""What a file is: by its first bytes, and by what its sender says only where these leave it open."""

from __future__ import annotations

import codecs

import filetype

HEAD_BYTES = 8192
"""How much of a file is looked at."""
UNKNOWN = "application/octet-stream"
PLAIN_TEXT = "text/plain"

_LONGEST = 127
_SVG = "image/svg+xml"
_SIGNS = frozenset("!#$&-^_.+")
# Their signatures are two or three letters, which ordinary text may well begin with.
_SHORT_SIGNATURES = frozenset(
    {"image/bmp", "audio/mpeg", "application/x-msdownload", "application/x-shockwave-flash", "application/x-compress"}
)
_TEXT_CONTROLS = frozenset("\t\n\r\f\x1b")


def decide_type(head: bytes, declared: str | None) -> str:
    """The mime type to keep, without parameters. `head` is the first HEAD_BYTES, `declared` what the sender says.

    A declared type that browsers show in place must be borne out by the bytes.
    """
    text = is_text(head)
    found = filetype.guess_mime(head) if head else None
    if isinstance(found, str) and not (text and found in _SHORT_SIGNATURES):
        return found
    wanted = clean_type(declared)
    if wanted is None or (wanted == PLAIN_TEXT and not text):
        return UNKNOWN
    return UNKNOWN if is_inline(wanted) and wanted != PLAIN_TEXT else wanted


def clean_type(declared: str | None) -> str | None:
    """`type/subtype` in lower case; None for what is none."""
    text = (declared or "").partition(";")[0].strip().lower()
    kind, slash, subtype = text.partition("/")
    if not slash or len(text) > _LONGEST or not (_is_name(kind) and _is_name(subtype)):
        return None
    return text


def is_inline(mime_type: str) -> bool:
    """Whether browsers may show it in place: nothing in it can run as a script of the server's origin."""
    if mime_type in ("application/pdf", PLAIN_TEXT):
        return True
    return mime_type.partition("/")[0] in ("image", "audio", "video") and mime_type != _SVG


def is_text(head: bytes) -> bool:
    """UTF-8 without control characters; the last character may be cut off."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return all(sign.isprintable() or sign >= "\x80" or sign in _TEXT_CONTROLS for sign in text)


def _is_name(part: str) -> bool:
    return part.isascii() and bool(part) and all(sign.isalnum() or sign in _SIGNS for sign in part)
