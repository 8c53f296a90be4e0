"""What an administrator does with a webhook beside defining it: test, new secret, replay (contract §11.6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from rocket_kernel import (
    FullAccess,
    NotFound,
    Of,
    Registry,
    Request,
    Response,
    Session,
    SortKey,
    Stored,
    Transaction,
    ValidationFailed,
    Within,
    data,
    fetch_records,
    parse_timestamp,
    timestamp_text,
)
from rocket_webhooks.definition import AFTER_DELETE, AFTER_WRITE, Webhook
from rocket_webhooks.firing import arm
from rocket_webhooks.judging import Judges, tried_once
from rocket_webhooks.kind import NAME, NOUN
from rocket_webhooks.logs import read_id
from rocket_webhooks.masking import shown_log
from rocket_webhooks.outbox import Row, outbox_row
from rocket_webhooks.payload import sample_body, user_value
from rocket_webhooks.queue import ENDED, FILED
from rocket_webhooks.signing import new_secret
from rocket_webhooks.tables import FAILED, LOGS, RETRYING, STATUSES, UNSORTED

OVERLAP = timedelta(hours=24)
"""How long the former secret signs beside a new one."""


async def rotate_secret(request: Request) -> Response:
    async with request.app.changing() as catalog:
        stored = _found(catalog.model.of(NAME), request.params["id"])
        expires = timestamp_text(datetime.fromisoformat(request.now) + OVERLAP)
        values = {
            "secret": new_secret(),
            "previous_secret": stored.row["secret"],
            "previous_secret_expires_at": expires,
        }
        kind = catalog.kinds.named(NAME)
        if kind is None:
            raise NotFound
        await catalog.change_columns(kind, stored.key, values)
    return data({"id": stored.key, "secret": values["secret"], "previous_secret_expires_at": expires})


async def replay(request: Request, wake: Callable[[str], None]) -> Response:
    """Deliveries that have ended, or not, are due again; with their body and key."""
    window, status = _replay_order(request.body)
    async with request.app.writing(request.actor) as (tx, registry):
        stored = _found(registry.model.of(NAME), request.params["id"])
        queued = await _requeue(tx, stored, window, status, request.now)
    wake(request.app.name)
    return data({"queued": queued})


def _replay_order(body: Mapping[str, Any]) -> tuple[Mapping[str, str], str]:
    window: dict[str, str] = {}
    for name in ("from", "to"):
        given = body.get(name)
        if given is None:
            continue
        try:
            window[name] = parse_timestamp(given if isinstance(given, str) else "")
        except ValueError:
            raise ValidationFailed(f"{name} must be a valid timestamp") from None
    status = FAILED if body.get("status") is None else body["status"]
    if status not in STATUSES:
        raise ValidationFailed(f"status must be one of: {', '.join(STATUSES)}")
    return window, status


async def _requeue(tx: Transaction, stored: Stored[Webhook], window: Mapping[str, str], status: str, now: str) -> int:
    """Not what judges answered, or tests, nor what is on its way just now."""
    where: dict[str, Any] = {
        "created_at": Within(window.get("from"), window.get("to")),
        "status": status,
        "hook": [AFTER_WRITE, AFTER_DELETE],
        "is_test": False,
        "claim": None,
    }
    values = {
        "status": RETRYING,
        "lane": stored.key,
        "due_at": now,
        "next_retry_at": now,
        "order_key": Of("record_id") if stored.item.order == "record" else None,
        "max_attempts": Of("attempt", plus=stored.item.max_attempts),
        "updated_at": now,
    }
    new = {"lane": UNSORTED, "new_for": stored.key}
    queued = await LOGS.update(tx, {**where, **new}, {**values, **FILED})
    return queued + await LOGS.update(tx, {**where, "webhook_id": stored.key}, values)


async def send_test(request: Request, judges: Judges) -> Response:
    """One attempt at once; what the receiver says stands in the row that is answered."""
    async with request.app.reading(request.actor) as (session, registry):
        stored = _found(registry.model.of(NAME), request.params["id"])
        record = await _newest(session, registry, stored.item.entity)
    row = _test_row(request, stored, registry, record)
    outcome, logged = await judges.call(row, stored.row)
    done = {**row, **logged, **tried_once(outcome), "updated_at": timestamp_text(judges.crew.now())}
    async with request.app.writing(request.actor) as (tx, registry):
        _found(registry.model.of(NAME), stored.key)
        kept = await LOGS.insert(tx, done)
    return data(shown_log(kept, registry.model))


def _test_row(request: Request, stored: Stored[Webhook], registry: Registry, record: Mapping[str, Any]) -> Row:
    one = arm(stored.key, stored.item, registry.model)
    row = outbox_row(request.now, {**one.columns, **ENDED})
    entity = registry.model.entities[stored.item.entity]
    body = sample_body(
        hook=stored.item.hook,
        entity=entity.name,
        record=record,
        user=user_value(request.actor),
        now=request.now,
        key=row["idempotency_key"],
    )
    key = record[entity.primary_key.field]
    return {
        **row,
        "request_body": body if one.has_body else "",
        "record_id": "" if key is None else str(key),
        "trace_id": request.trace_id,
        "max_attempts": 1,
        "is_test": True,
    }


async def _newest(session: Session, registry: Registry, name: str) -> Mapping[str, Any]:
    """The newest record as far as its fields tell: by a time of creation, else by key. Without records all null."""
    entity = registry.model.entities[name]
    created = next((field.name for field in entity.fields.values() if field.auto == "create"), None)
    by = entity.primary_key.field if created is None else created
    newest_first = SortKey((), entity.fields[by], descending=True)
    rows = await fetch_records(session, registry, name, FullAccess(), sort=[newest_first], limit=1)
    return rows[0] if rows else dict.fromkeys(entity.fields)


def _found(webhooks: Mapping[str, Stored[Webhook]], id: str) -> Stored[Webhook]:
    key = read_id(id)
    stored = webhooks.get(key) if key is not None else None
    if stored is None:
        raise NotFound(f"{NOUN} not found: {id}")
    return stored
