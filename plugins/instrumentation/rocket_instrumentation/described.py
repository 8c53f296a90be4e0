"""What the routes of the plugin do, for the API description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rocket_instrumentation.audit_table import AUDIT
from rocket_instrumentation.audit_table import SHOWN as SHOWN_CHANGE
from rocket_instrumentation.tables import EVENTS, SHOWN
from rocket_kernel import (
    PAGE,
    EntityView,
    Operation,
    Parameter,
    Success,
    answers_data,
    answers_page,
    answers_text,
    array_of,
    nullable,
    object_of,
    row_schema,
)

Schema = Mapping[str, Any]

_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "number"}
_INTEGER: Schema = {"type": "integer"}
_UUID: Schema = {"type": "string", "format": "uuid"}
_TIMESTAMP: Schema = {"type": "string", "format": "date-time"}
_OBJECT: Schema = {"type": "object"}
_EVENT: Schema = {**row_schema(EVENTS, SHOWN, metadata=_OBJECT), "additionalProperties": True}
_RANGE = (Parameter(name="from", schema=_TIMESTAMP), Parameter(name="to", schema=_TIMESTAMP))
_TEXTS = tuple(Parameter(name=name) for name in ("source", "component", "action", "entity", "event_type", "status"))
_IDS = tuple(Parameter(name=name, schema=_UUID) for name in ("trace_id", "user_id"))
_SORT = Parameter(name="sort", schema={"enum": ["created_at", "-created_at"]})
_COUNTS = object_of({"page": _INTEGER, "per_page": _INTEGER, "total": _INTEGER})
_PAGED = object_of(
    {
        "data": array_of(_EVENT),
        "meta": object_of(dict.fromkeys(("page", "per_page", "total", "total_pages"), _INTEGER)),
        "pagination": _COUNTS,
    }
)
_SOURCE = object_of(
    {
        "source": _TEXT,
        "count": _INTEGER,
        "avg_duration_ms": nullable(_NUMBER),
        "p95_duration_ms": nullable(_NUMBER),
        "error_count": _INTEGER,
    }
)

EMIT = Operation(
    summary="Tell of a business event",
    description="May start workflows.",
    tag="events",
    body={
        "type": "object",
        "required": ["action"],
        "properties": {
            "action": {"type": "string", "minLength": 1},
            "entity": {"type": ["string", "null"]},
            "record_id": {"type": ["string", "null"]},
            "metadata": {"type": ["object", "null"]},
        },
    },
    answers=answers_data(_EVENT, status=201),
)
LIST = Operation(
    summary="List events",
    tag="events",
    parameters=(*_TEXTS, *_IDS, *_RANGE, _SORT, *PAGE),
    answers={200: Success(schema=_PAGED)},
)
TRACE = Operation(
    summary="Get a trace",
    tag="events",
    answers=answers_data(
        object_of({"trace_id": _UUID, "root_span": _OBJECT, "spans": array_of(_EVENT), "total_duration_ms": _NUMBER})
    ),
)
STATS = Operation(
    summary="Count events and measure them",
    tag="events",
    parameters=(*_RANGE, Parameter(name="entity")),
    answers=answers_data(
        object_of(
            {
                "total_events": _INTEGER,
                "avg_latency_ms": nullable(_NUMBER),
                "p95_latency_ms": nullable(_NUMBER),
                "error_rate": _NUMBER,
                "by_source": array_of(_SOURCE),
            }
        )
    ),
)
METRICS = Operation(
    summary="Get metrics",
    tag="metrics",
    answers=answers_text("In the text format of Prometheus."),
    refusals=frozenset({401, 403}),
)

_CHANGE = row_schema(AUDIT, SHOWN_CHANGE, changes=_OBJECT)


def describe_history(view: EntityView) -> Operation | None:
    """Only where a history is kept."""
    if not view.rights.reads or not view.entity.audit:
        return None
    return Operation(
        summary=f"List what has become of a {view.entity.name} record",
        parameters=PAGE,
        answers=answers_page(_CHANGE),
        refusals=frozenset({403}),
    )
