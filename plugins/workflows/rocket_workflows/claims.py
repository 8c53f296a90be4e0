"""Which worker has which instance: claimed by moving `due_at` to the end of a lease.

An instance that is due has its time in `due_at`. A worker claims it by writing the end of its lease there and a mark of
its own into `claim`. Everything it then stores asks that the mark still stands, in the transaction that stores it. When
the worker dies, the lease runs out, the instance is due again and the next worker puts another mark.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

from rocket_kernel import AppContext, Clock, Comparison, Transaction, timestamp_text
from rocket_workflows.instance import RUNNING
from rocket_workflows.tables import INSTANCE_ROWS

_HELD = 0.9
"""Of the time a takeover may take, what a lease lasts: the rest is for the others' next look."""


class LostClaim(Exception):
    """Somebody else has the instance by now, or has ended it: what was about to be stored must not be."""


@dataclass(slots=True, eq=False)
class Claim:
    """One instance in the hands of one worker. `row` is its state as last stored."""

    app: AppContext
    row: dict[str, Any]
    ended: bool = False
    """The worker has nothing more to do with it."""

    @property
    def id(self) -> str:
        return str(self.row["id"])


@dataclass(frozen=True, slots=True)
class Leases:
    """Claims and keeps instances. All times are the clock's."""

    clock: Clock
    lease_s: float
    new_mark: Callable[[], str] = lambda: str(uuid4())

    @property
    def held_s(self) -> float:
        return self.lease_s * _HELD

    def now(self) -> str:
        return timestamp_text(self.clock.now())

    def end(self) -> str:
        return timestamp_text(self.clock.now() + timedelta(seconds=self.held_s))

    async def claim_due(self, app: AppContext, limit: int) -> list[Claim]:
        """Up to `limit` instances that were due and now belong to the caller, the longest waiting first."""
        due = {"due_at": Comparison("<=", self.now())}
        async with app.reading() as (session, _):
            if not await INSTANCE_ROWS.select(session, due, order_by=("due_at",), limit=1):
                return []
        async with app.writing() as (tx, _):
            rows = await INSTANCE_ROWS.claim(
                tx, due, {"claim": self.new_mark(), "due_at": self.end()}, order_by=("due_at",), limit=limit
            )
        return [Claim(app, row) for row in rows]

    async def renew(self, claim: Claim) -> bool:
        """Whether the worker still has it."""
        async with claim.app.writing() as (tx, _):
            # Wherever its worker has brought it meanwhile: it is still the worker's.
            held = {"id": claim.row["id"], "claim": claim.row["claim"]}
            kept = await INSTANCE_ROWS.update(tx, held, {"due_at": self.end()})
        return kept == 1

    async def store(self, tx: Transaction, claim: Claim, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Store a change of the instance, if the worker still has it; what was stored. Raises LostClaim.

        When there is more to do at once, the worker keeps it with a fresh lease, otherwise it is free for others.
        """
        now = self.now()
        more = values.get("status", RUNNING) == RUNNING and values.get("due_at", now) <= now
        held = {"claim": claim.row["claim"], "due_at": self.end()} if more else {"claim": None}
        stored = {**values, **held, "updated_at": now}
        if await INSTANCE_ROWS.update(tx, _mine(claim), stored) != 1:
            raise LostClaim
        return stored

    async def give_back(self, claim: Claim, due_at: str | None = None, **values: Any) -> None:
        """Free it for whoever comes next, at once or when it is due. Raises LostClaim."""
        freed = {**values, "claim": None, "due_at": due_at or self.now()}
        async with claim.app.writing() as (tx, _):
            if await INSTANCE_ROWS.update(tx, _mine(claim), freed) != 1:
                raise LostClaim
        claim.ended = True


def keep(claim: Claim, stored: Mapping[str, Any]) -> None:
    """What was stored is committed: the worker goes on from there, or has no more to do with it."""
    claim.ended = stored["claim"] is None
    claim.row.update(stored)


def _mine(claim: Claim) -> dict[str, Any]:
    """The instance as the worker knows it. A commit that nobody heard of may have moved it on under the same mark."""
    known = ("id", "claim", "current_step", "visit", "position")
    return {**{name: claim.row[name] for name in known}, "status": RUNNING}
