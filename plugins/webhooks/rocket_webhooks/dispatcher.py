"""The delivering half of the plugin in one process: a desk for each open app, and what they share."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from rocket_kernel import AppContext
from rocket_webhooks.client import OutboundClient
from rocket_webhooks.desk import Desk
from rocket_webhooks.metrics import Tally

TICK_S = 1.0
"""How often each app is looked at: retries that come due, and what was left by a process that died."""
SORTED_PER_TICK = 5
"""Times 200 new rows that are sorted even while nobody could send them: then few stand before those of a webhook that is
idle, unless more than a thousand a second come for receivers that are down."""
MOST_UNDER_WAY = 200
LEASE_MARGIN_S = 5.0
"""On top of the longest attempt: for storing what came of it."""
PATIENCE_S = 5.0


@dataclass(slots=True, eq=False, kw_only=True)
class Crew:
    """What all deliveries of a process share."""

    client: OutboundClient
    now: Callable[[], datetime]
    timeout_s: float
    env_prefix: str
    environ: Mapping[str, str]
    tally: Tally = field(default_factory=Tally)
    wake_jobs: Callable[[], None] = lambda: None
    random: Callable[[], float] = random.random
    most: int = MOST_UNDER_WAY
    under_way: int = 0
    stopping: bool = False
    """What is on its way may arrive; nothing else is claimed."""

    @property
    def lease_s(self) -> float:
        return self.timeout_s + LEASE_MARGIN_S

    @property
    def room(self) -> int:
        return max(self.most - self.under_way, 0)


@dataclass(slots=True, eq=False)
class Dispatcher:
    """`start` keeps looking; `run_due` does it once, for whoever wants to see the end."""

    crew: Crew
    desks: dict[str, Desk] = field(default_factory=dict)
    tick_s: float = TICK_S
    _ticking: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.crew.stopping = False
        if self._ticking is None:
            self._ticking = asyncio.create_task(self._tick(), name="rocket webhooks")

    def open(self, app: AppContext) -> None:
        self.desks[app.name] = Desk(app, self.crew)
        self.wake(app.name)

    async def close(self, app: AppContext) -> None:
        """The app's connections are about to be closed."""
        desk = self.desks.get(app.name)
        if desk is not None and desk.app is app:
            del self.desks[app.name]
            await desk.close()

    def wake(self, app: str, lanes: Iterable[str] | None = None) -> None:
        """Something has just been committed that is due at once, in these lanes or in any."""
        desk = self.desks.get(app)
        if desk is not None and self._ticking is not None:
            desk.nudge(lanes)

    async def run_due(self) -> int:
        """Deliver everything that is due now, and wait until nothing is under way; how many deliveries were begun."""
        begun, stopping = 0, self.crew.stopping
        self.crew.stopping = False
        while True:
            found = 0
            for desk in list(self.desks.values()):
                found += await desk.look()
                await desk.idle()
            if not found:
                self.crew.stopping = stopping
                return begun
            begun += found

    async def stop(self, *, patience_s: float = PATIENCE_S) -> None:
        self.crew.stopping = True
        await self._end_ticking()
        await asyncio.gather(*(desk.close(patience_s=patience_s) for desk in self.desks.values()))
        self.desks.clear()

    async def pause(self) -> None:
        """Nothing but `run_due` delivers from now on, until `start`: for tests, which do not wait for time to pass."""
        self.crew.stopping = True
        await self._end_ticking()
        for desk in list(self.desks.values()):
            await desk.idle()

    async def _end_ticking(self) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
            with suppress(asyncio.CancelledError):
                await self._ticking
            self._ticking = None

    async def _tick(self) -> None:
        while True:
            for desk in list(self.desks.values()):
                desk.nudge(sorting=SORTED_PER_TICK)
            await asyncio.sleep(self.tick_s)
