"""Deliveries in traces: their span, and what receivers are told of it."""

from __future__ import annotations

import os

from rocket_kernel import Span, current_span, w3c_span_id
from rocket_webhooks.definition import AFTER_WRITE
from rocket_webhooks.outbox import Row
from rocket_webhooks.retry import Outcome

DISPATCH = ("webhook", "dispatcher", "webhook.dispatch")


def causing_span_id() -> str:
    """The span that causes a new row; "" where nobody listens."""
    found = current_span()
    return "" if found is None else found.span_id


def span_of(noted: Span | None) -> str:
    """The span id of W3C trace context under which a request goes out: 16 hexadecimal digits, not all of them 0."""
    if noted is not None:
        return w3c_span_id(noted.span_id)
    return f"{int.from_bytes(os.urandom(8)) or 1:016x}"


def note_dispatch(noted: Span | None, row: Row, outcome: Outcome) -> None:
    if noted is None:
        return
    noted.entity, noted.record_id = row["entity"], row.get("record_id") or None
    noted.metadata.update(
        webhook_id=row["webhook_id"],
        hook=row.get("hook", AFTER_WRITE),
        attempt=row.get("attempt", 0) + 1,
        status_code=outcome.status or None,
    )
    if not outcome.delivered:
        noted.status = "error"
