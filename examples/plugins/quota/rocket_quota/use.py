"""What callers have used of their quotas: one row each, for the window that it names."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from typing import Any

from rocket_kernel import (
    Actor,
    Column,
    ColumnType,
    Comparison,
    Increment,
    Session,
    Storage,
    Table,
    TableRows,
    Transaction,
    timestamp_text,
)

_INTEGER = ColumnType(Storage.INTEGER)
_TIMESTAMP = ColumnType(Storage.TIMESTAMP)

USE = Table(
    name="_quota_use",
    columns=(
        Column("caller", ColumnType(Storage.TEXT), nullable=False),
        Column("email", ColumnType(Storage.TEXT)),
        Column("began_at", _TIMESTAMP, nullable=False),
        Column("ends_at", _TIMESTAMP, nullable=False),
        Column("used", _INTEGER, nullable=False),
        Column("allowed", _INTEGER, nullable=False),
    ),
    primary_key=("caller",),
)
ANONYMOUS = "-"
"""The caller without an id."""

_ROWS = TableRows(USE)
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time, as timestamps' wire values: it begins with the first and ends before the second."""

    began_at: str
    ends_at: str


def window_at(now: str, length_s: int) -> Window:
    seconds = int(datetime.fromisoformat(now).timestamp())
    began = seconds - seconds % length_s
    return Window(*(timestamp_text(datetime.fromtimestamp(at, UTC)) for at in (began, began + length_s)))


def seconds_until(then: str, now: str) -> int:
    """Whole seconds, rounded up, at least one."""
    left = datetime.fromisoformat(then) - datetime.fromisoformat(now)
    return max(1, ceil(left.total_seconds()))


def caller_of(actor: Actor) -> str:
    """Platform users have ids of their own, and none of them is a user of the app."""
    name = ANONYMOUS if actor.id is None else actor.id
    return f"platform:{name}" if actor.platform else name


async def claim(tx: Transaction, actor: Actor, window: Window, *, limit: int, wanted: int) -> bool:
    """Take `wanted` of a caller's quota; False, and nothing is taken, where less is left.

    Each try is one conditional update, so however many transactions ask at once, no more is taken than there is. It
    commits or vanishes with the transaction.
    """
    caller = caller_of(actor)
    if wanted > limit:
        return False
    fresh = {"began_at": window.began_at, "ends_at": window.ends_at, "used": wanted}
    known = {"email": actor.email, "allowed": limit}
    for _ in range(_TRIES):
        # Another process may be in the next window already; then this one is, too.
        here = Comparison(">=", window.began_at)
        room = {"caller": caller, "began_at": here, "used": Comparison("<=", limit - wanted)}
        if await _ROWS.update(tx, room, {"used": Increment(wanted), **known}):
            return True
        former = {"caller": caller, "began_at": Comparison("<", window.began_at)}
        if await _ROWS.update(tx, former, {**fresh, **known}):
            return True
        if await _ROWS.try_insert(tx, {"caller": caller, **fresh, **known}):
            return True
        if await used_in(tx, caller, window) + wanted > limit:
            return False
    return False


async def used_in(session: Session, caller: str, window: Window) -> int:
    row = await _ROWS.first(session, {"caller": caller})
    return int(row["used"]) if row is not None and row["began_at"] >= window.began_at else 0


async def all_use(session: Session, now: str) -> list[dict[str, Any]]:
    """The rows of windows that have not ended, by caller."""
    return await _ROWS.select(session, {"ends_at": Comparison(">", now)}, order_by=["caller"])


async def reset(tx: Transaction, caller: str) -> bool:
    """Whether there was anything to forget."""
    return bool(await _ROWS.delete(tx, {"caller": caller}))
