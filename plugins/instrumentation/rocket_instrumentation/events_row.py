"""Spans and business events -> rows of `_events`. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from rocket_instrumentation.tables import SHOWN
from rocket_kernel import Call, Event, Span

SYSTEM = "system"
BUSINESS = "business"
SPAN_COLUMNS = SHOWN
SpanRow = tuple[Any, ...]
_CREATED_AT = SHOWN.index("created_at")
_SOURCE = SHOWN.index("source")
_ENTITY = SHOWN.index("entity")
_STATUS = SHOWN.index("status")
_DURATION = SHOWN.index("duration_ms")
_MOST_BYTES = 8192
"""Of the metadata of one span; more is left out, and said to be."""

_encode = msgspec.json.Encoder().encode


def span_row(span: Span) -> SpanRow:
    """Wire values in the order of `SPAN_COLUMNS`. Raises what unusual metadata raises."""
    id = span.span_id
    statement = span.statement
    if statement is None:
        metadata = encoded_metadata(span.metadata) if span.has_metadata else None
    else:
        metadata = _statement_metadata(*statement)
    duration = span.duration_ms
    return (
        id,
        span.trace_id,
        id,
        span.parent_span_id,
        SYSTEM,
        span.source,
        span.component,
        span.action,
        span.entity,
        span.record_id,
        span.user_id,
        None if duration is None else round(duration, 3),
        span.status,
        metadata,
        span.started_at,
    )


def encoded_metadata(metadata: Mapping[str, Any]) -> msgspec.Raw:
    try:
        text = _encode(metadata)
    except (UnicodeEncodeError, TypeError, ValueError, RecursionError):
        text = _encode(_readable(metadata))
    return msgspec.Raw(text if len(text) <= _MOST_BYTES else b'{"left_out":true}')


@lru_cache(maxsize=4096)
def _statement_metadata(fingerprint: str, rows: int | None) -> msgspec.Raw:
    return encoded_metadata(
        {"fingerprint": fingerprint} if rows is None else {"fingerprint": fingerprint, "rows": rows}
    )


def _readable(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Texts of paths may hold what is no Unicode; of values that are no JSON the type is told."""
    return {str(name): _readable_value(value) for name, value in metadata.items()}


def _readable_value(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return type(value).__name__


def business_row(event: Event, call: Call, parent_span_id: str | None) -> dict[str, Any]:
    """The row of contract §16.2, in its order."""
    return {
        "id": event.id,
        "trace_id": call.trace_id,
        "span_id": event.id,
        "parent_span_id": parent_span_id,
        "event_type": BUSINESS,
        "source": event.source,
        "component": event.component,
        "action": event.action,
        "entity": event.entity,
        "record_id": event.record_id,
        "user_id": call.actor.id,
        "duration_ms": None,
        "status": "ok",
        "metadata": dict(event.payload),
        "created_at": call.now,
    }


def created_at(row: SpanRow) -> str:
    return str(row[_CREATED_AT])


def measures(row: SpanRow) -> tuple[str, str, bool, float | None]:
    """Source, entity ("" for none), whether it failed, and its duration in milliseconds."""
    return row[_SOURCE], row[_ENTITY] or "", row[_STATUS] == "error", row[_DURATION]


def shown_event(row: Mapping[str, Any]) -> dict[str, Any]:
    """A stored row as answers show it."""
    shown = {name: row[name] for name in SHOWN}
    if shown["metadata"] is None:
        shown["metadata"] = {}
    return shown


def chronological(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Ids of spans that one process began in one millisecond are in the order in which they began."""
    return sorted(rows, key=lambda row: (row["created_at"], row["id"]))
