"""What a write costs: one for each record of the request, taken in one go and in the writer's transaction."""

from __future__ import annotations

from typing import cast

from rocket_kernel import Transaction, Write
from rocket_quota.errors import QuotaExceeded
from rocket_quota.settings import QuotaSettings
from rocket_quota.use import caller_of, claim, seconds_until, used_in, window_at

_SPENT = "quota:spent"


async def spend(write: Write, settings: QuotaSettings) -> None:
    """Called for each record; the first one pays for all. Raises QuotaExceeded."""
    run = write.run
    limit = settings.limit_of(run.actor)
    if limit is None or run.stash.get(_SPENT):
        return
    run.stash[_SPENT] = True
    wanted = _records(write)
    window = window_at(run.now, settings.window_s)
    if run.in_transaction:
        enough = await claim(cast("Transaction", run.session), run.actor, window, limit=limit, wanted=wanted)
    else:
        # The outside world is about to judge, then all of this runs again. Nothing is written yet.
        enough = await used_in(run.session, caller_of(run.actor), window) + wanted <= limit
    if not enough:
        raise QuotaExceeded(retry_after=seconds_until(window.ends_at, run.now))


def _records(write: Write) -> int:
    """All of the request, however deep: created, updated, deleted. Those that only an `on_delete` changes cost nothing."""
    top = write
    while top.parent is not None:
        top = top.parent
    return sum(1 for each in top.tree() if not each.by_engine)
