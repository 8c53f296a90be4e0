"""One request -> one line of the access log. Pure, and safe to print: nothing a client sends can end a line or colour it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from json.encoder import encode_basestring_ascii as quoted
from typing import NamedTuple

from rocket_kernel import timestamp_text

MOST_PATH = 1024
"""Characters of a path that are kept."""
_SHORT = 200
MOST_BYTES = 4096
"""A line, its end included. Pieces of up to so many bytes reach a pipe whole, whoever else writes into it."""


class Entry(NamedTuple):
    """What a line says of a request."""

    at: datetime
    method: str
    path: str
    status: int
    seconds: float
    sent: int
    trace_id: str
    """UUID text, whatever the client sent."""
    app: str | None
    user_id: str | None
    peer: str | None


Line = Callable[[Entry], bytes]


def json_line(entry: Entry) -> bytes:
    at, method, path, status, seconds, sent, trace_id, app, user_id, peer = entry
    text = (
        f'{{"time":"{timestamp_text(at)}","trace_id":"{trace_id}","method":{quoted(method)},"path":{quoted(path)},'
        f'"status":{status},"duration_ms":{seconds * 1000:.3f},"bytes":{sent},"app":{_or_null(app)},'
        f'"user_id":{_or_null(user_id)},"peer":{_or_null(peer)}}}\n'
    )
    return text.encode("ascii")


def text_line(entry: Entry) -> bytes:
    """For people. What is not there is `-`; what holds anything but plain characters stands in quotes."""
    parts = [
        timestamp_text(entry.at),
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
        user_id = None if entry.user_id is None else entry.user_id[:_SHORT]
        return line(entry._replace(path=entry.path[:_SHORT], method=entry.method[:_SHORT], user_id=user_id))

    return short_enough


LINES = {"json": bounded(json_line), "text": bounded(text_line)}


def _or_null(text: str | None) -> str:
    return "null" if text is None else quoted(text)


def _plain(text: str | None) -> str:
    if not text:
        return "-"
    plain = text.isascii() and text.isprintable() and not any(mark in text for mark in ' "\\')
    return text if plain else quoted(text)
