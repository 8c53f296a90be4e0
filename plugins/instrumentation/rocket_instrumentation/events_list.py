"""GET `_events`: contract §16.3."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from rocket_instrumentation.events_row import BUSINESS, shown_event
from rocket_instrumentation.tables import EVENT_ROWS
from rocket_kernel import (
    NOT_NULL,
    InvalidPayload,
    Registry,
    Request,
    Response,
    Session,
    Within,
    json_response,
    parse_count,
    parse_timestamp,
    timestamp_text,
)

MOST_PER_PAGE = 100
_PER_PAGE = 50
_LAST_PAGE = 10**9
_TEXTS = ("source", "component", "action", "entity", "event_type", "status")
_IDS = ("trace_id", "user_id")
_SORTS = ("created_at", "-created_at")


async def list_events(request: Request) -> Response:
    given = request.parameters
    page = parse_count(given.get("page"), default=1, maximum=_LAST_PAGE)
    per_page = parse_count(given.get("per_page"), default=_PER_PAGE, maximum=MOST_PER_PAGE)
    where, order = parse_condition(given), parse_sort(given)

    async def work(session: Session, _registry: Registry) -> Response:
        total = await EVENT_ROWS.count(session, where)
        rows, at = [], (page - 1) * per_page
        if at < total:
            rows = await EVENT_ROWS.select(session, where, order_by=order, limit=per_page, offset=at)
        short = {"page": page, "per_page": per_page, "total": total}
        meta = {**short, "total_pages": -(-total // per_page)}
        return json_response({"data": [shown_event(row) for row in rows], "meta": meta, "pagination": short})

    return await request.app.read(work, request.actor)


def parse_condition(given: Mapping[str, str]) -> dict[str, object]:
    """Raises InvalidPayload."""
    where: dict[str, object] = {name: given[name] for name in _TEXTS if given.get(name)}
    for name in _IDS:
        if given.get(name):
            where[name] = parse_id(name, given[name])
    span_of_time = parse_range(given)
    business = where.get("event_type") == BUSINESS
    if span_of_time is not None or business:
        # Business events have an index of their own.
        where["kept_at" if business else "created_at"] = span_of_time or NOT_NULL
    return where


def parse_sort(given: Mapping[str, str]) -> tuple[str, str]:
    """Raises InvalidPayload."""
    wanted = given.get("sort") or _SORTS[1]
    if wanted not in _SORTS:
        raise InvalidPayload(f"Unknown sort field: {wanted.removeprefix('-')}")
    column = "kept_at" if given.get("event_type") == BUSINESS else "created_at"
    return (f"-{column}", "-id") if wanted.startswith("-") else (column, "id")


def parse_id(name: str, text: str) -> str:
    """A UUID with hyphens, in any case. Raises InvalidPayload."""
    lowered = text.lower()
    try:
        if str(UUID(lowered)) == lowered:
            return lowered
    except ValueError:
        pass
    raise _invalid(name, text)


def parse_range(given: Mapping[str, str]) -> Within | None:
    """From `from` to `to`, both included. Raises InvalidPayload."""
    start, end = (_instant(name, given[name]) if given.get(name) else None for name in ("from", "to"))
    if start is None and end is None:
        return None
    return Within(start, None if end is None else _next_millisecond(end))


def _instant(name: str, text: str) -> str:
    try:
        # A plus sign that was not encoded arrives as a space.
        return parse_timestamp(text.replace(" ", "+") if "T" in text else text)
    except ValueError as error:
        raise _invalid(name, text) from error


def _next_millisecond(instant: str) -> str | None:
    try:
        return timestamp_text(datetime.fromisoformat(instant) + timedelta(milliseconds=1))
    except OverflowError:
        return None


def _invalid(name: str, text: str) -> InvalidPayload:
    return InvalidPayload(f"Invalid filter value for {name}: {text}")
