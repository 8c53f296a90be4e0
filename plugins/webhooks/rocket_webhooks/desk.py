"""Deliveries of one app in this process: what is due is claimed, sent and settled, lane by lane.

A lane is a webhook, or a server that actions call. Each has workers of its own, so a receiver that is slow or down
holds up nobody else. No connection to the database is held while a receiver is waited for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Mapping
from contextvars import Context
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING, Any

from rocket_kernel import (
    NOT_NULL,
    AppContext,
    AppNotFound,
    Registry,
    RocketError,
    Transaction,
    timestamp_text,
    traced_work,
)
from rocket_webhooks.attempt import attempt, prepare
from rocket_webhooks.definition import BEFORE_HOOKS
from rocket_webhooks.kind import NAME
from rocket_webhooks.outbox import Row
from rocket_webhooks.pace import Lane
from rocket_webhooks.queue import claim, give_back, give_up_lane, settle, sort_new
from rocket_webhooks.retry import GONE, Outcome, Verdict, judge
from rocket_webhooks.tables import LOGS, UNSORTED
from rocket_webhooks.tracing import DISPATCH, note_dispatch, span_of

if TYPE_CHECKING:
    from rocket_webhooks.dispatcher import Crew

logger = logging.getLogger(__name__)

_LANES_AT_ONCE = 50
"""Lanes from which one transaction claims."""
_SORTED_AT_ONCE = 200
"""New rows that one transaction puts into their lanes."""
_STORE_TRIES = 5
_STORE_PAUSE_S = 0.2
_DEACTIVATED = "webhook deactivated: its receiver answered HTTP 410"


@dataclass(frozen=True, slots=True)
class Claimed:
    row: Row
    webhook: Mapping[str, Any] | None
    """The row of `_webhooks` in force when it was claimed; None for an action."""


@dataclass(slots=True, eq=False)
class Desk:
    app: AppContext
    crew: Crew
    lanes: dict[str, Lane] = field(default_factory=dict)
    gone: bool = False
    """The app is being deleted."""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _looking: asyncio.Task[None] | None = None
    _again: bool = False
    _sorting: int = 0
    """Of the look that was asked for last."""

    def nudge(self, lanes: Iterable[str] | None = None, *, sorting: int = 0) -> None:
        """Look for what is due, soon. Lanes whose workers are all busy need no look: these go on by themselves.

        `sorting` as for `look`.
        """
        self._sorting = max(self._sorting, sorting)
        if self.gone or self.crew.stopping or (lanes is not None and not self._any_free(lanes)):
            return
        if self._looking is not None and not self._looking.done():
            self._again = True
        else:
            self._looking = self._spawn(self._look_while_asked())

    async def idle(self) -> None:
        """Until nothing is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self, *, patience_s: float = 0.0) -> None:
        """Let what is on its way arrive, for a while; what is cut off is sent again when its lease is over."""
        self.gone = True
        waiting = self._tasks - {asyncio.current_task()}
        if waiting and patience_s:
            await asyncio.wait(waiting, timeout=patience_s)
        # A look that was under way may have begun others.
        while waiting := self._tasks - {asyncio.current_task()}:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def look(self, *, sorting: int = 0) -> int:
        """Claim what is due, as far as there are workers for it, and start them; how many deliveries were begun.

        New rows are sorted first, so many times 200 at least, and on as long as there are as many and somebody could send
        them: a row may stand behind those of others.
        """
        begun = 0
        while not (self.gone or self.crew.stopping):
            now = self.crew.now()
            heads = await self.app.read(lambda session, _registry: LOGS.heads(session, "lane", "due_at"))
            text = timestamp_text(now)
            due = sorted((due_at, lane) for lane, due_at in heads if lane != UNSORTED and due_at and due_at <= text)
            self._forget_idle({lane for lane, _ in heads})
            for at in range(0, len(due), _LANES_AT_ONCE):
                wanted = [lane for _, lane in due[at : at + _LANES_AT_ONCE] if self._free(lane) > 0]
                begun += (await self._staff(wanted))[0] if wanted else 0
            if all(lane != UNSORTED for lane, _ in heads):
                break
            if sorting <= 0 and not self._could_send():
                # Whoever ends finds nothing more in its lane, and has to look here.
                self._ask_busy()
                break
            more, found = await self._staff([], sorting=_SORTED_AT_ONCE)
            begun += more
            sorting -= 1
            if found < _SORTED_AT_ONCE:
                break  # those that come from now on bring a look of their own
        return begun

    async def deliver_now(self, ids: list[str]) -> None:
        """First attempts of deliveries whose request waits for them; they were claimed when they were stored."""
        async with self.app.reading() as (session, registry):
            rows = await LOGS.select(session, {"id": ids, "claim": NOT_NULL})
        webhooks = registry.model.of(NAME)
        claimed = [Claimed(row, webhooks[row["webhook_id"]].row) for row in rows if row["webhook_id"] in webhooks]
        await asyncio.gather(*(self._deliver(item, None) for item in claimed))

    async def _look_while_asked(self) -> None:
        self._again = True
        while self._again and not self.crew.stopping:
            self._again = False
            sorting, self._sorting = self._sorting, 0
            try:
                await self.look(sorting=sorting)
            except AppNotFound:
                self.gone = True
            except RocketError as error:
                # A database that is away: the next look will tell.
                logger.warning("deliveries of app %s wait: %s", self.app.name, error.message)

    async def _staff(self, lanes: list[str], *, sorting: int = 0) -> tuple[int, int]:
        """Claim in one transaction what the workers that are free can send, and send them off.

        Before that, so many new rows at most are sorted into lanes, and these looked at too. How many deliveries were
        begun, and how many new rows were found.
        """
        now = self.crew.now()
        until = timestamp_text(now + timedelta(seconds=self.crew.lease_s))
        claimed: list[tuple[str, Claimed]] = []
        async with self.app.writing() as (tx, registry):
            found = await sort_new(tx, limit=sorting) if sorting else {}
            for lane in [*lanes, *found]:
                free = self._free(lane, but=len(claimed))
                if free > 0 and not (self.gone or self.crew.stopping):
                    rows = await claim(tx, lane, now=timestamp_text(now), until=until, limit=free)
                    claimed += [(lane, item) for item in await _ready(tx, rows, registry)]
        for lane, item in claimed:
            self._lane(lane).running += 1
            self.crew.under_way += 1
            _ = self._spawn(self._work(lane, item))
        return len(claimed), sum(found.values())

    async def _work(self, name: str, first: Claimed) -> None:
        lane, item = self._lane(name), first
        try:
            while True:
                following = await self._deliver(item, lane)
                if following is None:
                    return
                item = following
                if lane.wants_more:
                    self.nudge()
        except Exception:
            logger.exception("a delivery of app %s failed", self.app.name)
        finally:
            lane.running -= 1
            self.crew.under_way -= 1
            if lane.asked:
                lane.asked = False
                self.nudge()

    async def _deliver(self, item: Claimed, lane: Lane | None) -> Claimed | None:
        """One attempt and its end; the next delivery of the lane, claimed with it."""
        crew = self.crew
        row = item.row
        began = monotonic()
        with traced_work(self.app, *DISPATCH, trace_id=row["trace_id"], parent_span_id=row["span_id"] or None) as noted:
            shipment = prepare(
                row, item.webhook, environ=crew.environ, env_prefix=crew.env_prefix, now=crew.now(), span=span_of(noted)
            )
            outcome = await attempt(crew.client, shipment)
            note_dispatch(noted, row, outcome)
        took_s = monotonic() - began
        crew.tally.took(took_s)
        if lane is not None:
            lane.note(outcome.delivered, took_s)
        return await self._keep(item, outcome, shipment.logged, lane)

    async def _keep(
        self, item: Claimed, outcome: Outcome, logged: Mapping[str, Any], lane: Lane | None
    ) -> Claimed | None:
        """Store the outcome, trying for a while: a database that was away for a moment must not cost a repetition."""
        verdict = judge(
            outcome,
            attempt=item.row["attempt"] + 1,
            max_attempts=item.row["max_attempts"],
            backoff=item.row["backoff"],
            now=self.crew.now(),
            random=self.crew.random(),
        )
        self.crew.tally.ended(self.app.name, verdict.status)
        if verdict.status == "failed":
            logger.warning("webhook delivery %s of app %s failed: %s", item.row["id"], self.app.name, outcome.error)
        for number in range(_STORE_TRIES):
            try:
                return await self._store(item, outcome, verdict, logged, lane)
            except AppNotFound:
                self.gone = True
                return None
            except RocketError as error:
                logger.warning("the outcome of a delivery of app %s waits: %s", self.app.name, error.message)
                await asyncio.sleep(_STORE_PAUSE_S * 2**number)
        return None

    async def _store(
        self, item: Claimed, outcome: Outcome, verdict: Verdict, logged: Mapping[str, Any], lane: Lane | None
    ) -> Claimed | None:
        now = timestamp_text(self.crew.now())
        if outcome.status == GONE and item.webhook is not None and item.row["hook"] not in BEFORE_HOOKS:
            await self._deactivate(item, outcome, verdict, logged, now)
            return None
        following: Claimed | None = None
        async with self.app.writing() as (tx, registry):
            await settle(tx, item.row, outcome, verdict, logged, now)
            if lane is not None and not self.crew.stopping and lane.running <= lane.limit:
                until = timestamp_text(self.crew.now() + timedelta(seconds=self.crew.lease_s))
                rows = await claim(tx, item.row["lane"], now=now, until=until, limit=1)
                following = next(iter(await _ready(tx, rows, registry)), None)
        if item.row["then_job"] is not None:
            self.crew.wake_jobs()
        return following

    async def _deactivate(
        self, item: Claimed, outcome: Outcome, verdict: Verdict, logged: Mapping[str, Any], now: str
    ) -> None:
        """The receiver is gone for good: every process learns of it, and what waits for it is a dead letter."""
        id = item.row["webhook_id"]
        async with self.app.changing() as catalog:
            if not await settle(catalog.tx, item.row, outcome, verdict, logged, now):
                return
            kind = catalog.kinds.named(NAME)
            if kind is not None and id in catalog.model.of(NAME):
                await catalog.change_columns(kind, id, {"active": False})
            ended = await give_up_lane(catalog.tx, id, _DEACTIVATED, now)
        logger.warning("webhook %s of app %s answered 410: deactivated, %d given up", id, self.app.name, ended)

    def _could_send(self) -> bool:
        """Whether some webhook has a worker free, or none is left whose rows would wait for one."""
        webhooks = self.app.registry.model.of(NAME)
        return not webhooks or any(self._free(name) > 0 for name in webhooks)

    def _ask_busy(self) -> None:
        for lane in self.lanes.values():
            lane.asked = lane.asked or lane.running > 0

    def _any_free(self, names: Iterable[str]) -> bool:
        found = False
        for lane in map(self._lane, names):
            lane.asked = lane.asked or not lane.wants_more
            found = found or lane.wants_more
        return found

    def _lane(self, name: str) -> Lane:
        lane = self.lanes.get(name)
        if lane is None:
            lane = self.lanes[name] = Lane()
        return lane

    def _free(self, name: str, *, but: int = 0) -> int:
        """Workers that a lane may still have. One is never denied, so that no lane starves for the sake of others.

        `but` so many of all that were free are spoken for.
        """
        lane = self._lane(name)
        room = max(self.crew.room - but, 0 if lane.running else 1)
        return min(lane.limit - lane.running, room)

    def _forget_idle(self, open_lanes: set[str]) -> None:
        for name in [name for name, lane in self.lanes.items() if not lane.running and name not in open_lanes]:
            del self.lanes[name]

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        # In a context of its own: whoever gives cause for it, a request for one, does not do it.
        task = asyncio.create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _ready(tx: Transaction, rows: list[Row], registry: Registry) -> list[Claimed]:
    """Each row with its webhook. One that was made since the registry was read waits for the next look."""
    webhooks = registry.model.of(NAME)
    ready: list[Claimed] = []
    for row in rows:
        if row["webhook_id"] is None:
            ready.append(Claimed(row, None))
        elif row["webhook_id"] in webhooks:
            ready.append(Claimed(row, webhooks[row["webhook_id"]].row))
        else:
            await give_back(tx, row)
    return ready
