"""Who delivers a row, and what becomes of it. Every function works inside a transaction of its caller's.

A row waits in a lane until it is due. Claiming it moves its `due_at` to the end of a lease, by one conditional UPDATE,
so that nobody else finds it due; when its process dies, the lease runs out and the row is due again. An outcome is
stored only by whoever still holds the claim.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from rocket_kernel import Comparison, Of, TableRows, Then, Transaction, enqueue, timestamp_text
from rocket_webhooks.outbox import Row, action_lane, new_token
from rocket_webhooks.retry import Outcome, Verdict
from rocket_webhooks.tables import LOGS, RETRYING, UNSORTED, WEBHOOKS

_BLOCKED = timedelta(seconds=1)
"""A delivery that was found out of turn is not looked at again for so long, unless the one before it ends."""
_LOOKS = 50
_AT_ONCE = 500
_HOOKS = TableRows(WEBHOOKS)

FILED: Mapping[str, Any] = {"webhook_id": Of("new_for"), "new_for": None}
"""Column values of a row that was new, and has a lane of its own or none from now on."""
ENDED: Mapping[str, Any] = {"lane": None, "due_at": None, "claim": None, "order_key": None, "next_retry_at": None}
"""Column values of a delivery that is over: it is in no index of those that wait."""


async def sort_new(tx: Transaction, *, limit: int) -> Mapping[str, int]:
    """Put new rows, the oldest first, into the lanes of their webhooks; these lanes, and how many rows each got.

    Rows that another process sorts at this moment are left to it. Those of a webhook that was deleted while they were
    written are deleted too. Raises ForeignKeyViolation when one is deleted at this moment; then they wait for another try.
    """
    rows = await LOGS.select_values(
        tx, {"lane": UNSORTED}, columns=("id", "new_for"), order_by=("due_at", "seq"), limit=limit, lock="skip"
    )
    if not rows:
        return {}
    by_webhook: dict[str, list[str]] = {}
    for id, webhook_id in rows:
        by_webhook.setdefault(webhook_id, []).append(id)
    there = await _HOOKS.select_values(tx, {"id": list(by_webhook)}, columns=("id",))
    for webhook_id in by_webhook.keys() - {id for (id,) in there}:
        await LOGS.delete(tx, {"id": by_webhook[webhook_id]})
    await LOGS.update(tx, {"id": [id for id, _ in rows]}, {**FILED, "lane": Of("new_for")})
    return {webhook_id: len(ids) for webhook_id, ids in by_webhook.items()}


async def forget_new(tx: Transaction, webhook_id: str) -> None:
    """The new rows of a webhook that has just been deleted. Waits for nobody: what somebody sorts just now cannot be filed
    under the webhook any more, and is deleted by the next who tries."""
    new = {"lane": UNSORTED, "new_for": webhook_id}
    while rows := await LOGS.select_values(tx, new, columns=("id",), limit=_AT_ONCE, lock="skip"):
        await LOGS.delete(tx, {"id": [id for (id,) in rows]})


async def claim(tx: Transaction, lane: str, *, now: str, until: str, limit: int) -> list[Row]:
    """Rows of a lane that are due and that nobody else has; they are the caller's until the lease is over."""
    ready: list[Row] = []
    for _ in range(_LOOKS):
        due = {"lane": lane, "due_at": Comparison("<=", now)}
        values = {"claim": new_token(), "due_at": until}
        rows = await LOGS.claim(tx, due, values, order_by=("due_at", "seq"), limit=limit - len(ready))
        for row in rows:
            if row["order_key"] is None or await _is_first(tx, row, now, until):
                ready.append(row)
        if not rows or len(ready) >= limit:
            break
    return ready


async def _is_first(tx: Transaction, row: Row, now: str, until: str) -> bool:
    """Whether no earlier delivery of the record is open. All behind the first one are put off until it can end."""
    first = await _first_open(tx, row)
    if first is None or first["id"] == row["id"]:
        await _put_off(tx, row, until)
        return True
    later = max(first["due_at"], timestamp_text(_instant(now) + _BLOCKED))
    await LOGS.update(tx, {"id": row["id"]}, {"claim": None, "due_at": later})
    await _put_off(tx, first, later)
    return False


async def _first_open(tx: Transaction, row: Row) -> Row | None:
    line = {"order_key": row["order_key"], "lane": row["lane"]}
    rows = await LOGS.select(tx, line, order_by=("seq",), limit=1)
    return rows[0] if rows else None


async def _put_off(tx: Transaction, row: Row, until: str) -> None:
    """Those behind a row, for the same record."""
    behind = {
        "order_key": row["order_key"],
        "lane": row["lane"],
        "seq": Comparison(">", row["seq"]),
        "due_at": Comparison("<", until),
        "claim": None,
    }
    await LOGS.update(tx, behind, {"due_at": until})


async def next_in_line(tx: Transaction, order_key: str, lane: str) -> int:
    """The number of a new delivery of a record. Writers of one record follow each other, so no two get the same."""
    line = {"order_key": order_key, "lane": lane}
    rows = await LOGS.select(tx, line, order_by=("-seq",), limit=1)
    return rows[0]["seq"] + 1 if rows else 0


async def settle(
    tx: Transaction, row: Row, outcome: Outcome, verdict: Verdict, sent: Mapping[str, Any], now: str
) -> bool:
    """Store what an attempt brought. False when the row is somebody else's by now, or gone; then nothing is stored."""
    values: Row = {
        **sent,
        "response_status": outcome.status,
        "response_body": outcome.body,
        "status": verdict.status,
        "attempt": row["attempt"] + 1,
        "error": outcome.error,
        "updated_at": now,
    }
    if verdict.next_retry_at is None:
        values |= ENDED
    else:
        again = timestamp_text(verdict.next_retry_at)
        values |= {"due_at": again, "next_retry_at": again, "claim": None}
    if await LOGS.update(tx, {"id": row["id"], "claim": row["claim"]}, values) != 1:
        return False
    if row["order_key"] is not None:
        await _move_line(tx, row, values["next_retry_at"], now)
    if verdict.next_retry_at is None:
        await _tell_ended(tx, row, ok=verdict.status == "delivered", error=outcome.error, now=now)
    return True


async def _move_line(tx: Transaction, row: Row, again: str | None, now: str) -> None:
    """Let the next delivery of the record go, or make all of them wait as long as this one does."""
    if again is not None:
        await _put_off(tx, row, again)
        return
    following = await _first_open(tx, row)
    if following is not None:
        await LOGS.update(tx, {"id": following["id"], "claim": None}, {"due_at": now})


async def _tell_ended(tx: Transaction, row: Row, *, ok: bool, error: str, now: str) -> None:
    """Whoever started an action learns of its end, in the transaction that stores it."""
    if row["then_job"] is not None:
        then = Then(row["then_job"], row["then_payload"] or {})
        await enqueue(tx, then.job, then.ended(ok=ok, error=error or None, attempts=row["attempt"] + 1), now)


async def give_up_lane(tx: Transaction, lane: str, error: str, now: str) -> int:
    """Everything that waits in a lane becomes a dead letter, but for what is on its way just now."""
    given_up = {**ENDED, "status": "failed", "error": error, "updated_at": now}
    unsorted = await LOGS.update(tx, {"lane": UNSORTED, "new_for": lane}, {**given_up, **FILED})
    return unsorted + await LOGS.update(tx, {"lane": lane, "claim": None}, given_up)


def reopened(row: Row, now: str, *, in_line: bool) -> Row:
    """Column values of a delivery that is due once more; `in_line`, its webhook keeps the order of each record.

    One that is on its way just now stays with its worker.
    """
    values: Row = {"status": RETRYING, "next_retry_at": now}
    if row["claim"] is not None:
        return values
    lane = row["webhook_id"] or action_lane(row["url"])
    return {**values, "lane": lane, "due_at": now, "order_key": row["record_id"] if in_line else None}


async def give_back(tx: Transaction, row: Row) -> None:
    """Of a claimed row that cannot be sent yet: somebody may claim it a moment later."""
    values = {"claim": None, "due_at": row["updated_at"]}
    await LOGS.update(tx, {"id": row["id"], "claim": row["claim"]}, values)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
