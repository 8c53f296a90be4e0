"""The workers of one process: they look at every app now and then, and at once when something has been started."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from time import monotonic

from rocket_kernel import AppContext, Kernel, RocketError
from rocket_workflows.claims import Claim, Leases
from rocket_workflows.kind import stored_workflows
from rocket_workflows.schedule import start_due
from rocket_workflows.starting import Starter
from rocket_workflows.worker import Worker

logger = logging.getLogger(__name__)

TICK_S = 1.0
"""How often every app is looked at: what other processes have left to do, and what time has made due."""
IDLE_TICKS = 10
"""Of so many looks one is at apps without workflows, as far as this process knows: another one may have defined some."""
SLOTS = 4
"""Instances of one app that one process works on at a time. An app's pool has five connections by default, and requests
need one too."""
_SOON_S = 0.02
_PATIENCE_S = 20.0


@dataclass(slots=True, eq=False)
class Engine:
    """`start` begins to look, `stop` ends it. `run_due` is one look that ends when nothing is due."""

    kernel: Kernel
    leases: Leases
    starter: Starter
    worker: Worker
    tick_s: float = TICK_S
    _stopping: bool = False
    _woken: set[str] = field(default_factory=set)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _loop: asyncio.Task[None] | None = None
    _at_work: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    """One task for each app that has something due."""
    _again: set[str] = field(default_factory=set)
    """Apps that got more to do while they were at work."""

    def start(self) -> None:
        self._stopping = False
        if self._loop is None:
            self._loop = asyncio.create_task(self._look_until_stopped(), name="rocket workflows")

    async def stop(self, *, patience_s: float = _PATIENCE_S) -> None:
        """Let steps under way end, for a while; what is cut off is taken over when its lease is over."""
        self._stopping = True
        self._wake.set()
        tasks = [task for task in (self._loop, *self._at_work.values()) if task is not None]
        self._loop = None
        if tasks:
            _done, late = await asyncio.wait(tasks, timeout=patience_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self._at_work.clear()

    def wake(self, app: str | None) -> None:
        """Look at an app at once, or soon at all of them: the transaction that gives them work may not be over yet."""
        if self._loop is None:
            return
        if app is None:
            asyncio.get_running_loop().call_later(_SOON_S, self._wake_all)
        else:
            self._woken.add(app)
            self._wake.set()

    async def run_due(self, app: AppContext) -> int:
        """Do everything that is due in an app, one after another; how many schedules and instances that were."""
        done = await start_due(app, self.leases.clock, self.starter)
        while claims := await self.leases.claim_due(app, 1):
            for claim in claims:
                await self.worker.run(claim)
            done += len(claims)
        return done

    def _wake_all(self) -> None:
        self._woken.update(app.name for app in self.kernel.apps.opened)
        self._wake.set()

    async def _look_until_stopped(self) -> None:
        next_round, rounds = 0.0, count()
        while not self._stopping:
            self._wake.clear()
            woken, self._woken = self._woken, set()
            try:
                if monotonic() >= next_round:
                    next_round = monotonic() + self.tick_s
                    everywhere = next(rounds) % IDLE_TICKS == 0
                    self._look_at(app for app in await self._every_app() if everywhere or has_workflows(app))
                else:
                    self._look_at(app for app in self.kernel.apps.opened if app.name in woken)
            except RocketError as error:
                logger.warning("workflows wait: %s", error.message)
            except Exception:
                logger.exception("looking for due workflow instances failed")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), max(next_round - monotonic(), 0.0))

    async def _every_app(self) -> tuple[AppContext, ...]:
        """Those that no request of this process has used yet are opened: their instances must go on after a restart."""
        for row in await self.kernel.apps.rows():
            if row["status"] == "active":
                with suppress(RocketError):
                    await self.kernel.apps.app(row["name"])
        return self.kernel.apps.opened

    def _look_at(self, apps: Iterable[AppContext]) -> None:
        for app in apps:
            if app.name in self._at_work:
                self._again.add(app.name)
            else:
                work = self._serve(app)
                self._at_work[app.name] = asyncio.create_task(work, name=f"rocket workflows of {app.name}")

    async def _serve(self, app: AppContext) -> None:
        """Work on an app until nothing in it is due."""
        running: set[asyncio.Task[None]] = set()
        try:
            await start_due(app, self.leases.clock, self.starter)
            while not self._stopping:
                self._again.discard(app.name)
                if len(running) < SLOTS:
                    claims = await self.leases.claim_due(app, SLOTS - len(running))
                    running |= {asyncio.create_task(self._run(claim)) for claim in claims}
                if running:
                    _, running = await asyncio.wait(running, timeout=self.tick_s, return_when=asyncio.FIRST_COMPLETED)
                elif app.name not in self._again:
                    break
        except asyncio.CancelledError:
            await _cut_off(running)
            raise
        except RocketError as error:
            logger.warning("workflows of app %s wait: %s", app.name, error.message)
        except Exception:
            logger.exception("workflows of app %s failed", app.name)
        finally:
            try:
                await _let_end(running)
            finally:
                # No await between the last look and this: whoever wakes the app from now on gets a new task.
                self._at_work.pop(app.name, None)

    async def _run(self, claim: Claim) -> None:
        """Run an instance and renew its lease for as long as that takes."""
        work = asyncio.create_task(self.worker.run(claim, stopping=lambda: self._stopping))
        try:
            while not work.done():
                await asyncio.wait([work], timeout=self.leases.held_s / 3)
                if not work.done() and not await self._kept(claim):
                    break  # it is over, or somebody else's; the worker finds out when it has something to store
            await asyncio.wait([work])
        except asyncio.CancelledError:
            await _cut_off({work})
            raise

    async def _kept(self, claim: Claim) -> bool:
        try:
            return await self.leases.renew(claim)
        except RocketError:
            return True  # nobody can take it over while the database is away either


async def _let_end(tasks: set[asyncio.Task[None]]) -> None:
    """Let go of no instance before its step has ended; cancelled, of none at all."""
    try:
        if tasks:
            await asyncio.wait(tasks)
    except asyncio.CancelledError:
        await _cut_off(tasks)
        raise


async def _cut_off(tasks: set[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def has_workflows(app: AppContext) -> bool:
    """As far as this process knows."""
    return bool(stored_workflows(app.registry.model))
