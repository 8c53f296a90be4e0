"""Rows of `_webhook_logs` as they begin. Pure but for ids; they are inserted in the transaction of the writer."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from rocket_webhooks.tables import FAILED

Row = dict[str, Any]

KEY_PREFIX = "wh_"

_LAST = 2**48 - 1


def new_id(now: str) -> str:
    """A UUID of version 7: it begins with the time, so that rows are added at the end of their indexes."""
    return new_ids(now, 1)[0]


def new_ids(now: str, count: int) -> list[str]:
    """As `new_id`; after the first, which is random, they count up (RFC 9562, 6.2: monotonic random)."""
    random = os.urandom(10)
    head, tail = random[:4].hex(), int.from_bytes(random[4:])
    start = f"{_beginning(now)}{head[:3]}-{'89ab'[random[2] & 3]}{head[4:7]}-"
    return [f"{start}{(tail + number) & _LAST:012x}" for number in range(count)]


def first_id(now: str) -> str:
    """All ids made before this time are less, and all others are not."""
    return f"{_beginning(now)}000-8000-000000000000"


def _beginning(now: str) -> str:
    """Milliseconds since 1970 as twelve hexadecimal digits, and the version."""
    at = f"{_second(now[:19]) + int(now[20:23]):012x}"
    return f"{at[:8]}-{at[8:]}-7"


@lru_cache(maxsize=16)
def _second(text: str) -> int:
    """In milliseconds since 1970."""
    return int(datetime.fromisoformat(f"{text}Z").timestamp()) * 1000


def new_token() -> str:
    """What only its maker knows."""
    return os.urandom(16).hex()


def outbox_row(now: str, values: Mapping[str, Any]) -> Row:
    """Due at once in the lane that `values` name, with all else that is its own; other columns have their defaults."""
    id = new_id(now)
    key = KEY_PREFIX + id
    return {"id": id, "idempotency_key": key, "created_at": now, "updated_at": now, "due_at": now, **values}


def failed_before_sending(row: Row, error: str) -> Row:
    """A dead letter: nothing was sent, and nothing will be."""
    return {**row, "status": FAILED, "error": error, "lane": None, "due_at": None}


def same_columns(rows: list[Row]) -> list[list[Row]]:
    """Rows in groups that bring the same columns each, as statements want them."""
    groups: list[list[Row]] = []
    for row in rows:
        # Most often all are alike.
        found = next((group for group in groups if group[0].keys() == row.keys()), None)
        if found is None:
            groups.append([row])
        else:
            found.append(row)
    return groups


def action_lane(url: str) -> str:
    """Actions that call one server wait with each other."""
    parts = urlsplit(url)
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}"


def shown_url(url: str) -> str:
    """Scheme, host and path: what stands behind a `?` is often a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


def described(row: Row) -> dict[str, Any]:
    """Of a complete row, for explain."""
    return {
        "plugin": "webhooks",
        "webhook_id": row["webhook_id"],
        "hook": row["hook"],
        "entity": row["entity"],
        "record_id": row["record_id"],
        "method": row["method"],
        "url": shown_url(row["url"]),
        "status": row["status"],
    }
