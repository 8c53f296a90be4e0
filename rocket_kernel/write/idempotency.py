"""Creates that may be sent twice: one Idempotency-Key, one record, one answer (contract §5.10).

The unique index over scope and key is the claim. It is inserted before the record, in the same transaction, so a
request that fails leaves nothing. A second request meets the first in one of three ways:

- it is over: its answer is given again;
- it runs in this process: 409 at once, no connection is taken;
- it runs in another process: where writers queue, the second one's turn comes after the first; elsewhere inserting the
  key waits for the other transaction to end. Then there is an answer to give again, or the key is free. Such a wait
  holds one connection for each key and process at most, no longer than the other transaction takes, because nothing
  outside the database is waited for in one, and no longer than the time limit of locks; after that it is 409.

What an answer showed once is not shown for ever: `replay` measures it against the permissions the caller has now.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, cast

from rocket_kernel import json_text
from rocket_kernel.actor import Actor
from rocket_kernel.apps.system_tables import IDEMPOTENCY
from rocket_kernel.clock import timestamp_text
from rocket_kernel.errors import Conflict, IdempotencyConflict, InvalidPayload, StoreBusy, TransactionConflict
from rocket_kernel.json_text import JsonFloat
from rocket_kernel.metadata.entity import DELETED_AT
from rocket_kernel.query.records import Record
from rocket_kernel.store import canonical_json
from rocket_kernel.store.protocol import Session, Transaction
from rocket_kernel.store.table_rows import Comparison, TableRows
from rocket_kernel.write.context import Write
from rocket_kernel.write.run_stage import run_stage
from rocket_kernel.write.stages import Stage
from rocket_kernel.write.view import Written, key_alone, row_tag, visible_part

KEPT_FOR = timedelta(hours=24)

_LONGEST = 255
_LONGEST_EXPONENT = 20
_STILL_RUNNING = "A request with the same Idempotency-Key is still running"
_CLAIMS = 3
_RUNNING = "kernel:running_keys"
_SINCE_PURGE = "kernel:claims_since_purge"
_PURGE_EVERY = 50
_PURGED_AT_MOST = 500
"""Ten times as many as can have been added since the last time, so that the table shrinks however busy the app is."""

_ROWS = TableRows(IDEMPOTENCY)


@dataclass(frozen=True, slots=True)
class Ticket:
    """What tells one create from another: `scope` is caller and route, `request_hash` the meaning of the body."""

    key: str
    scope: str
    request_hash: str

    @property
    def place(self) -> dict[str, object]:
        return {"scope": self.scope, "key": self.key}


def read_ticket(key: str, actor: Actor, entity: str, body: Mapping[str, Any]) -> Ticket:
    """Raises InvalidPayload for a key that is not 1 to 255 visible ASCII characters."""
    if not 0 < len(key) <= _LONGEST or not all("!" <= character <= "~" for character in key):
        raise InvalidPayload("Invalid Idempotency-Key")
    realm = "platform" if actor.platform else "app"
    return Ticket(key, f"{realm}:{actor.id or ''}:{entity}", sha256(_canonical(body).encode()).hexdigest())


@contextmanager
def only_one(stash: dict[Any, Any], ticket: Ticket) -> Iterator[None]:
    """Raises Conflict while another request of this process runs with the ticket. `stash` is the app's."""
    running: set[tuple[str, str]] = stash.setdefault(_RUNNING, set())
    place = (ticket.scope, ticket.key)
    if place in running:
        raise Conflict(_STILL_RUNNING)
    running.add(place)
    try:
        yield
    finally:
        running.discard(place)


async def known_answer(session: Session, ticket: Ticket, now: str) -> Record | None:
    """The row of a request that is over; None when there is none, or its time is up."""
    row = await _ROWS.first(session, ticket.place)
    return row if row is not None and row["expires_at"] > now else None


async def claim(tx: Transaction, ticket: Ticket, now: str, stash: dict[Any, Any]) -> Record | None:
    """Make the key this transaction's own and return None, or return the row of the request that had it before.

    `stash` is the app's. Removes some expired rows now and then. Raises Conflict when another transaction holds the
    key for too long.
    """
    fresh = {"request_hash": ticket.request_hash, "status": None, "response": None, "expires_at": _expiry(now)}
    try:
        for _ in range(_CLAIMS):
            if await _ROWS.try_insert(tx, {**ticket.place, **fresh}):
                await _purge(tx, now, stash)
                return None
            row = await _ROWS.first(tx, ticket.place)
            if row is None:
                continue  # removed in between
            if row["expires_at"] > now:
                return row
            if await _ROWS.update(tx, {**ticket.place, "expires_at": row["expires_at"]}, fresh):
                return None
    except TransactionConflict:
        raise
    except StoreBusy as busy:
        raise Conflict(_STILL_RUNNING) from busy
    raise Conflict(_STILL_RUNNING)


async def keep(tx: Transaction, ticket: Ticket, root: Write, written: Written) -> None:
    """Store the answer beside the claim: its text as sent, and what `replay` needs to judge it later."""
    response = {
        "text": written.text.decode(),
        "tag": written.tag,
        "hidden": {name: value for name, value in root.record.items() if name not in written.record},
    }
    await _ROWS.update(tx, ticket.place, {"status": 201, "response": response})


async def replay(root: Write, ticket: Ticket, row: Record) -> Written:
    """The answer of an earlier request once more, for a create that has not begun.

    The caller must still be allowed to create, and of the record as it was then sees what it may read now: whoever
    has lost a right since gets the rest of the answer, not a refusal, because the record does exist and its key is
    what a retry is after. As long as no right was lost, text and tag are those sent before, whatever has become of
    the record. Raises Forbidden, and IdempotencyConflict for another body.
    """
    await run_stage([root], Stage.AUTHORIZE)
    if row["request_hash"] != ticket.request_hash:
        raise IdempotencyConflict
    run, entity, kept = root.run, root.entity, row["response"]
    text: bytes = kept["text"].encode()
    sent = cast(Record, canonical_json.loads(text))
    then = {**dict.fromkeys(entity.fields), **kept["hidden"], **sent}
    visible = await visible_part(run, entity, {name: then[name] for name in entity.fields})
    readable = key_alone(entity, then) if visible is None else visible
    shown = {name: value for name, value in sent.items() if name in readable or name == DELETED_AT}
    if shown == sent:
        return Written(sent, text, kept["tag"], replayed=True)
    return Written(shown, json_text.encode(shown), row_tag(entity, then, visible), replayed=True)


def _canonical(value: Any) -> str:
    """Equal for equal JSON, whatever the order of members and the notation of numbers."""
    match value:
        case dict():
            members = (f"{_text(name)}:{_canonical(item)}" for name, item in sorted(value.items()))
            return f"{{{','.join(members)}}}"
        case list():
            return f"[{','.join(map(_canonical, value))}]"
        case JsonFloat():
            return _number(value.text)
        case int() if not isinstance(value, bool):
            return _number(str(value))
        case _:
            return _text(value)


def _text(value: Any) -> str:
    return json_text.encode(value).decode()


def _number(text: str) -> str:
    """The digits without zeros around them, and the power of ten they are multiplied by."""
    mantissa, _, exponent = text.lower().partition("e")
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = (whole + fraction).lstrip("0")
    kept = digits.rstrip("0")
    if not kept:
        return "0"
    if len(exponent) > _LONGEST_EXPONENT:
        return text  # no field takes it, so its notation may count
    power = int(exponent or 0) - len(fraction) + len(digits) - len(kept)
    return f"{'-' if mantissa.startswith('-') else ''}{kept}e{power}"


def _expiry(now: str) -> str:
    return timestamp_text(datetime.fromisoformat(now) + KEPT_FOR)


async def _purge(tx: Transaction, now: str, stash: dict[Any, Any]) -> None:
    """Remove the oldest expired rows: not with every claim, because transactions that do so wait for each other."""
    claims: int = stash.get(_SINCE_PURGE, 0)
    stash[_SINCE_PURGE] = (claims + 1) % _PURGE_EVERY
    if claims:
        return
    expired = {"expires_at": Comparison("<=", now)}
    last = await _ROWS.select(tx, expired, order_by=("expires_at",), limit=1, offset=_PURGED_AT_MOST - 1)
    await _ROWS.delete(tx, {"expires_at": Comparison("<=", last[0]["expires_at"])} if last else expired)
