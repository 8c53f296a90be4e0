"""Rows of `_events`: what they hold and how answers show them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rocket_instrumentation.tables import SHOWN
from rocket_kernel import Call, Event, Model

SYSTEM = "system"
BUSINESS = "business"
SPAN_COLUMNS = SHOWN
SpanRow = tuple[Any, ...]
_CREATED_AT = SHOWN.index("created_at")
_SOURCE = SHOWN.index("source")
_ENTITY = SHOWN.index("entity")
_STATUS = SHOWN.index("status")
_DURATION = SHOWN.index("duration_ms")


def business_row(event: Event, call: Call, parent_span_id: str | None, model: Model) -> dict[str, Any]:
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
        "metadata": event.shown_payload(model),
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
