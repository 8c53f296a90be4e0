"""When a delivery is tried again: contract §11.5. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Literal

FIRST_PAUSE_S = 30
LONGEST_ASKED = timedelta(hours=24)
"""No receiver can put a delivery off for longer."""
JITTER = 0.1
"""Added to a pause at most, as a share of it, so that deliveries that failed together do not come back together."""
MOST_ATTEMPTS = 20
GONE = 410

Backoff = Literal["exponential", "linear"]
Status = Literal["delivered", "retrying", "failed"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one attempt brought: a status, or an error without one."""

    status: int = 0
    """0 when no answer came."""
    error: str = ""
    """Empty when it was delivered."""
    body: str = ""
    retry_after: str | None = None
    """The header."""

    @property
    def delivered(self) -> bool:
        return 200 <= self.status <= 299


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a delivery after an attempt."""

    status: Status
    next_retry_at: datetime | None = None


def judge(outcome: Outcome, *, attempt: int, max_attempts: int, backoff: str, now: datetime, random: float) -> Verdict:
    """`attempt` is the number of attempts made, this one included; `random` is from 0 to 1."""
    if outcome.delivered:
        return Verdict("delivered")
    if outcome.status == GONE or attempt >= max_attempts:
        return Verdict("failed")
    earliest = now + timedelta(seconds=pause_s(attempt, backoff) * (1 + JITTER * random))
    asked = parse_retry_after(outcome.retry_after, now)
    return Verdict("retrying", earliest if asked is None else max(earliest, asked))


def pause_s(attempt: int, backoff: str) -> float:
    """Seconds between attempt number `attempt`, counted from 1, and the next one, without jitter."""
    return float(FIRST_PAUSE_S * (attempt if backoff == "linear" else 2 ** (attempt - 1)))


def parse_retry_after(text: str | None, now: datetime) -> datetime | None:
    """Seconds or an HTTP date, at most 24 hours ahead; None for none, the past, and what cannot be read."""
    if text is None:
        return None
    text = text.strip()
    try:
        if text.isascii() and text.isdigit():
            at = now + min(timedelta(seconds=int(text[:9])), LONGEST_ASKED)
        else:
            at = parsedate_to_datetime(text)
            at = at.replace(tzinfo=now.tzinfo) if at.tzinfo is None else at.astimezone(now.tzinfo)
    except (ValueError, OverflowError):
        return None
    return min(at, now + LONGEST_ASKED) if at > now else None
