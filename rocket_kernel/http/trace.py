"""The trace id of a request: contract §16.1."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from rocket_kernel.metadata.convert import to_uuid
from rocket_kernel.trace_ids import new_trace_id

_HEX = frozenset("0123456789abcdef")


def trace_id(headers: Mapping[str, str], now: datetime) -> str:
    """`X-Trace-ID` when it is a UUID, else the trace id of a valid `traceparent` as a UUID, else a new one."""
    given = headers.get("x-trace-id")
    if given is not None:
        try:
            return to_uuid(given.strip())
        except ValueError:
            pass
    parent = headers.get("traceparent")
    return (_from_traceparent(parent) if parent is not None else None) or new_trace_id(now)


def _from_traceparent(text: str) -> str | None:
    parts = text.strip().split("-")
    if [len(part) for part in parts[:4]] != [2, 32, 16, 2] or (parts[0] == "00" and len(parts) != 4):
        return None
    version, trace, parent, flags = parts[:4]
    if not all(_HEX.issuperset(part) for part in (version, trace, parent, flags)):
        return None
    if version == "ff" or not trace.strip("0") or not parent.strip("0"):
        return None
    return f"{trace[:8]}-{trace[8:12]}-{trace[12:16]}-{trace[16:20]}-{trace[20:]}"
