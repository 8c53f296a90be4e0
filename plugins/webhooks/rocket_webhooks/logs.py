"""The log of deliveries: contract §11.6."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from rocket_kernel import (
    NotFound,
    Request,
    Response,
    Session,
    ValidationFailed,
    data,
    json_response,
    parse_count,
)
from rocket_webhooks.definition import BEFORE_HOOKS
from rocket_webhooks.described import RETRIED
from rocket_webhooks.kind import NAME
from rocket_webhooks.masking import shown_log
from rocket_webhooks.outbox import Row
from rocket_webhooks.queue import reopened
from rocket_webhooks.tables import FAILED, LOGS, RETRYING, UNSORTED, filed

MOST_PER_PAGE = 200
_MOST_PAGES = 10**9
_NEWEST_FIRST = ("-id",)
_CANNOT_RETRY = "Can only retry failed or retrying webhook logs"


async def list_logs(request: Request) -> Response:
    """Newest first."""
    given = request.parameters
    page = parse_count(given.get("page"), default=1, maximum=_MOST_PAGES)
    per_page = parse_count(given.get("per_page"), default=MOST_PER_PAGE, maximum=MOST_PER_PAGE)
    where: dict[str, Any] = {name: given[name] for name in ("status", "entity") if given.get(name)}
    if given.get("webhook_id"):
        where["webhook_id"] = read_id(given["webhook_id"])
        if where["webhook_id"] is None:
            return _page([], page, per_page, 0)
    at = (page - 1) * per_page
    async with request.app.reading(request.actor) as (session, registry):
        total = await LOGS.count(session, where)
        new = {**where, "lane": UNSORTED, "new_for": where["webhook_id"]} if "webhook_id" in where else None
        if new is not None:
            del new["webhook_id"]
            unsorted = await LOGS.count(session, new)
            total += unsorted
            if unsorted and at < total:
                where = {"id": await _merged(session, (new, where), at, per_page)}
                at = 0
        rows: list[Row] = []
        if at < total:
            # Ids begin with the time.
            rows = await LOGS.select(session, where, order_by=_NEWEST_FIRST, limit=per_page, offset=at)
    return _page([shown_log(filed(row), registry.model) for row in rows], page, per_page, total)


async def _merged(session: Session, parts: Sequence[Mapping[str, Any]], at: int, count: int) -> list[str]:
    """The ids of a page of several conditions together."""
    found = [
        await LOGS.select_values(session, part, columns=("id",), order_by=_NEWEST_FIRST, limit=at + count)
        for part in parts
    ]
    return sorted((id for rows in found for (id,) in rows), reverse=True)[at : at + count]


async def get_log(request: Request) -> Response:
    async with request.app.reading(request.actor) as (session, registry):
        row = await found_log(session, request.params["id"])
    return data(shown_log(row, registry.model))


async def retry_log(request: Request, wake: Any) -> Response:
    """Due at once, with one attempt more where all were made. `wake` is told the app."""
    id = request.params["id"]
    async with request.app.writing(request.actor) as (tx, registry):
        row = await found_log(tx, id, lock=True)
        if row["status"] not in (FAILED, RETRYING) or row["hook"] in BEFORE_HOOKS or row["is_test"]:
            raise ValidationFailed(_CANNOT_RETRY)
        webhook = registry.model.of(NAME).get(row["webhook_id"])
        values = {
            **reopened(row, request.now, in_line=webhook is not None and webhook.item.order == "record"),
            "max_attempts": max(row["max_attempts"], row["attempt"] + 1),
            "updated_at": request.now,
        }
        await LOGS.update(tx, {"id": row["id"]}, values)
    wake(request.app.name)
    shown = {**row, **values}
    return data({name: shown[name] for name in RETRIED})


async def found_log(session: Session, id: str, *, lock: bool = False) -> Row:
    """Raises NotFound."""
    key = read_id(id)
    row = await LOGS.first(session, {"id": key}, lock=lock) if key is not None else None
    if row is None:
        raise NotFound(f"Webhook log not found: {id}")
    return filed(row)


def read_id(text: str) -> str | None:
    """A UUID with hyphens, in any case; None for anything else."""
    lowered = text.lower()
    try:
        return lowered if str(UUID(lowered)) == lowered else None
    except ValueError:
        return None


def _page(rows: list[dict[str, Any]], page: int, per_page: int, total: int) -> Response:
    meta = {"page": page, "per_page": per_page, "total": total, "total_pages": -(-total // per_page)}
    return json_response({"data": rows, "meta": meta})
