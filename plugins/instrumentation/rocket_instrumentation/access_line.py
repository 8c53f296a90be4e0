"""One request -> one line of the access log. Pure, and safe to print: nothing a client sends can end a line or colour it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii as quoted

from rocket_kernel import timestamp_text

MOST_PATH = 1024
"""Characters of a path that are kept."""
_SHORT_PATH = 200
MOST_BYTES = 4096
"""A line, its end included. Pieces of up to so many bytes reach a pipe whole, whoever else writes into it."""


@dataclass(slots=True, eq=False)
class Entry:
    """What a line says of a request."""

    at: float
    """Seconds since 1970."""
    method: str
    path: str
    status: int
    seconds: float
    sent: int
    trace_id: str
    app: str | None
    user_id: str | None
    peer: str | None


Line = Callable[[Entry], bytes]


def json_line(entry: Entry) -> bytes:
    fields = {
        "time": quoted(_instant(entry.at)),
        "trace_id": quoted(entry.trace_id),
        "method": quoted(entry.method),
        "path": quoted(entry.path),
        "status": entry.status,
        "duration_ms": round(entry.seconds * 1000, 3),
        "bytes": entry.sent,
        "app": _or_null(entry.app),
        "user_id": _or_null(entry.user_id),
        "peer": _or_null(entry.peer),
    }
    return ("{" + ",".join([f'"{name}":{value}' for name, value in fields.items()]) + "}\n").encode("ascii")


def text_line(entry: Entry) -> bytes:
    """For people. What is not there is `-`; what holds anything but plain characters stands in quotes."""
    parts = [
        _instant(entry.at),
        str(entry.status),
        _plain(entry.method),
        _plain(entry.path),
        f"{entry.seconds * 1000:.1f}ms",
        f"{entry.sent}B",
        f"app={_plain(entry.app)}",
        f"user={_plain(entry.user_id)}",
        f"peer={_plain(entry.peer)}",
        f"trace={entry.trace_id}",
    ]
    return (" ".join(parts) + "\n").encode("ascii")


def bounded(line: Line) -> Line:
    """A line that would be too long, because what is in it had to be escaped, is made once more with less of it."""

    def short_enough(entry: Entry) -> bytes:
        made = line(entry)
        if len(made) <= MOST_BYTES:
            return made
        entry.path, entry.method = entry.path[:_SHORT_PATH], entry.method[:_SHORT_PATH]
        entry.user_id = None if entry.user_id is None else entry.user_id[:_SHORT_PATH]
        return line(entry)

    return short_enough


LINES = {"json": bounded(json_line), "text": bounded(text_line)}


def _instant(at: float) -> str:
    milliseconds = int(at * 1000)
    return timestamp_text(
        datetime.fromtimestamp(milliseconds // 1000, UTC).replace(microsecond=milliseconds % 1000 * 1000)
    )


def _or_null(text: str | None) -> str:
    return "null" if text is None else quoted(text)


def _plain(text: str | None) -> str:
    if not text:
        return "-"
    plain = text.isascii() and text.isprintable() and not any(mark in text for mark in ' "\\')
    return text if plain else quoted(text)
