"""GET `_events/trace/:traceId`: the waterfall of contract §16.3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rocket_instrumentation.events_list import parse_id
from rocket_instrumentation.events_row import chronological, shown_event
from rocket_instrumentation.tables import EVENT_ROWS
from rocket_kernel import InvalidPayload, NotFound, Registry, Request, Response, Session, data

MOST_ROWS = 10_000
"""Of one trace, the first ones: clients may give one trace id to as many requests as they like."""


async def get_trace(request: Request) -> Response:
    given = request.params["traceId"]
    try:
        trace_id = parse_id("trace_id", given)
    except InvalidPayload as error:
        raise _not_found(given) from error

    async def work(session: Session, _registry: Registry) -> list[dict[str, Any]]:
        return await EVENT_ROWS.select(session, {"trace_id": trace_id}, order_by=("id",), limit=MOST_ROWS)

    rows = await request.app.read(work, request.actor)
    if not rows:
        raise _not_found(given)
    return data(waterfall(trace_id, [shown_event(row) for row in chronological(rows)]))


def waterfall(trace_id: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """`rows` are chronological and not empty.

    A trace may have several roots, such as those of two requests with one trace id, and spans whose parents are not
    stored: they stand under the first root, so that nothing is left out.
    """
    nodes = {row["span_id"]: {**row, "children": []} for row in rows}
    first = next((row for row in rows if row["parent_span_id"] is None), rows[0])
    root = nodes[first["span_id"]]
    for row in rows:
        node = nodes[row["span_id"]]
        if node is not root:
            parent = nodes.get(row["parent_span_id"] or "", root)
            (root if parent is node else parent)["children"].append(node)
    return {"trace_id": trace_id, "root_span": root, "spans": list(rows), "total_duration_ms": total_ms(rows)}


def total_ms(rows: Sequence[Mapping[str, Any]]) -> float:
    """From the beginning of the first span to the end of the last."""
    began = [datetime.fromisoformat(row["created_at"]) for row in rows]
    first = min(began)
    ends = [
        (at - first).total_seconds() * 1000 + (row["duration_ms"] or 0.0) for at, row in zip(began, rows, strict=True)
    ]
    return round(max(ends), 3)


def _not_found(given: str) -> NotFound:
    return NotFound(f"Trace not found: {given}")
