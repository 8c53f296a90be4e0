"""The bare loop that Rocket is held against on Postgres: the very same statements, the very same bytes, nothing else.

No HTTP, no metadata, no permissions, no limits: what a hand-written endpoint would do between its route and its answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import msgspec
from asyncpg.pool import PoolConnectionProxy

if TYPE_CHECKING:
    import asyncpg

    Pool = asyncpg.Pool[asyncpg.Record]

_encode = msgspec.json.Encoder().encode
NAMES = ("id", "title", "category", "price", "qty", "active", "note", "supplier_id", "shelf_id", "created")


@dataclass(frozen=True, slots=True)
class Statement:
    text: str
    arguments: tuple[object, ...]


async def recorded(work: Awaitable[object]) -> list[Statement]:
    """The statements that the driver is given while `work` runs."""
    found: list[Statement] = []
    fetch = PoolConnectionProxy.fetch

    async def recording(connection: Any, text: str, *arguments: object, **options: Any) -> Any:
        found.append(Statement(text, arguments))
        return await fetch(connection, text, *arguments, **options)

    with patch.object(PoolConnectionProxy, "fetch", recording):
        await work
    return found


def raw_get(pool: Pool, statement: Statement, keys: Sequence[str]) -> Callable[[int], Awaitable[bytes]]:
    """By number, the record of each key in turn. The statement's one argument is the key."""
    text, skipped = statement.text, 0

    async def call(number: int) -> bytes:
        nonlocal skipped
        async with pool.acquire() as connection:
            rows = await connection.fetch(text, keys[number % len(keys)])
        skipped = skipped or len(rows[0]) - len(NAMES)
        return _encode({"data": _record(rows[0], skipped)})

    return call


def raw_list(pool: Pool, statements: Sequence[Statement], per_page: int) -> Callable[[int], Awaitable[bytes]]:
    """The first page with its total. The total is the last column of the first statement."""
    counted, paged = statements

    async def call(_number: int) -> bytes:
        async with pool.acquire() as connection:
            total = (await connection.fetch(counted.text, *counted.arguments))[0][-1]
            rows = await connection.fetch(paged.text, *paged.arguments)
        meta = {"page": 1, "per_page": per_page, "total": total, "total_pages": -(-total // per_page)}
        return _encode({"data": [_record(row, 0) for row in rows], "meta": meta})

    return call


def _record(row: Any, skipped: int) -> dict[str, Any]:
    record = dict(zip(NAMES, row[skipped:] if skipped else row, strict=True))
    for name in ("id", "supplier_id", "shelf_id"):
        record[name] = str(record[name])
    created: datetime = record["created"]
    record["created"] = f"{created:%Y-%m-%dT%H:%M:%S}.{created.microsecond // 1000:03}Z"
    return record
