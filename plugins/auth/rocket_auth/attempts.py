"""How often a password may be tried, over all processes (contract §10.1).

What counts is what an attempt lets the caller learn. An attempt looks at its account's row with the row locked, after
the password was judged and before the judgement is told: however many run at once, no more than the allowed number
are told that they were wrong, and one that comes later is told nothing, even if it was right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from math import ceil

from rocket_auth.accounts import LONGEST_EMAIL
from rocket_auth.realm import Realm
from rocket_kernel import Comparison, Conflict, RateLimited, Session, Transaction, timestamp_text

_TRIES = 20


@dataclass(frozen=True, slots=True)
class Attempt:
    """Who tries, from where, and when."""

    account: str
    address: str
    now: datetime

    @property
    def key(self) -> dict[str, object]:
        return {"account": self.account, "address": self.address}


def account_name(email: str) -> str:
    """What stands for an account in the table; also for what no address can be, and no column may hold."""
    if "\x00" in email or len(email.encode()) > LONGEST_EMAIL:
        return sha256(email.encode()).hexdigest()
    return email


@dataclass(frozen=True, slots=True)
class AttemptLimit:
    attempts: int
    window_s: int
    _tidied: dict[str, datetime] = field(default_factory=dict)
    """When this process last removed old rows, by realm."""

    async def require_open(self, realm: Realm, session: Session, attempt: Attempt) -> None:
        """Spare the work of judging a password that may not be tried. Raises RateLimited."""
        row = await realm.tables.login_failures.first(session, attempt.key)
        if row is not None:
            self._require_open(self._recent(row["recent"], attempt.now), attempt.now)

    async def enter(self, realm: Realm, tx: Transaction, attempt: Attempt) -> list[str]:
        """The times of recent failures, with the account's row locked. Raises RateLimited."""
        failures = realm.tables.login_failures
        for _ in range(_TRIES):
            await failures.try_insert(tx, {**attempt.key, "failed_at": timestamp_text(attempt.now), "recent": []})
            row = await failures.first(tx, attempt.key, lock=True)
            if row is not None:  # else somebody succeeded and removed it in between
                recent = self._recent(row["recent"], attempt.now)
                self._require_open(recent, attempt.now)
                return recent
        raise Conflict

    async def failed(self, realm: Realm, tx: Transaction, attempt: Attempt, recent: Sequence[str]) -> None:
        now = timestamp_text(attempt.now)
        values = {"failed_at": now, "recent": [*recent, now]}
        await realm.tables.login_failures.update(tx, attempt.key, values)

    async def succeeded(self, realm: Realm, tx: Transaction, attempt: Attempt) -> None:
        await realm.tables.login_failures.delete(tx, attempt.key)

    async def tidy(self, realm: Realm, now: datetime) -> None:
        """Remove rows that count no longer, now and then; in a transaction of its own, which waits for nobody long."""
        window = timedelta(seconds=self.window_s)
        if now - self._tidied.get(realm.name, now - window) < window:
            return
        self._tidied[realm.name] = now
        async with realm.writing() as tx:
            old = Comparison("<", timestamp_text(now - window))
            await realm.tables.login_failures.delete(tx, {"failed_at": old})

    def _recent(self, times: Sequence[str], now: datetime) -> list[str]:
        since = timestamp_text(now - timedelta(seconds=self.window_s))
        return [time for time in times if time > since]

    def _require_open(self, recent: Sequence[str], now: datetime) -> None:
        if len(recent) < self.attempts:
            return
        opens = datetime.fromisoformat(recent[-self.attempts]) + timedelta(seconds=self.window_s)
        raise RateLimited(retry_after=max(1, ceil((opens - now).total_seconds())))
