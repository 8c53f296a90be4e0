"""Business events: what clients and actions say has happened. Their rows commit with whatever sends them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rocket_instrumentation.events_row import business_row
from rocket_instrumentation.tables import EVENT_ROWS
from rocket_kernel import (
    Call,
    Event,
    InvalidPayload,
    Registry,
    Request,
    Response,
    Transaction,
    ValidationFailed,
    current_span,
    data,
    emit_event,
    plain_json,
)

MOST_CHARACTERS = 255
"""Of an action, and of the name of an entity: both stand in an index, whose entries are limited."""


async def store_event(event: Event, session: Transaction, registry: Registry, call: Call) -> None:
    """In the transaction of whoever sends it."""
    parent = current_span()
    row = business_row(event, call, None if parent is None else parent.span_id, registry.model)
    await EVENT_ROWS.insert_many(session, [{**row, "kept_at": row["created_at"]}])


async def post_event(request: Request) -> Response:
    """Contract §16.3: stored, and what waits for it started, before the answer."""
    event, call = parse_event(request.body), request.call
    parent = current_span()
    async with request.app.writing(request.actor) as (tx, registry):
        await emit_event(event, tx, registry, call)
    row = business_row(event, call, None if parent is None else parent.span_id, registry.model)
    return data({"status": "ok", **row}, 201)


def parse_event(body: Mapping[str, Any]) -> Event:
    """Raises ValidationFailed with the contract's text, and InvalidPayload for U+0000."""
    action = body.get("action")
    if action is None or action == "":
        raise ValidationFailed("action is required")
    metadata = body.get("metadata")
    if metadata is None:
        metadata = {}
    if not isinstance(metadata, Mapping):
        raise ValidationFailed("metadata must be an object")
    return Event(
        action=_text("action", action),
        entity=_text("entity", body.get("entity")),
        record_id=_text("record_id", body.get("record_id")),
        payload=plain_json(metadata),
    )


def _text(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name == "record_id" and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise ValidationFailed(f"{name} must be a string")
    if "\x00" in value:
        raise InvalidPayload
    if len(value) > MOST_CHARACTERS:
        raise ValidationFailed(f"{name} must be at most {MOST_CHARACTERS} characters")
    return value
