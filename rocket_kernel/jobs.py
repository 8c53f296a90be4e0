"""Background jobs with leases: each run happens once over all processes, and a dead process's run is taken over.

A job is a row of `_jobs` in its app's database. A process claims a due row by one conditional UPDATE and holds it by
a lease it renews while it works; when the process dies the lease runs out and another one claims the row. So a run
may start a second time after a crash: what it does must bear that, or be guarded in the transaction that does it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid4, uuid5

from rocket_kernel.clock import timestamp_text
from rocket_kernel.errors import AppNotFound, RocketError, Unavailable
from rocket_kernel.store.columns import Column, ColumnType, Index, Storage, Table
from rocket_kernel.store.protocol import Transaction
from rocket_kernel.store.table_rows import Comparison, TableRows

if TYPE_CHECKING:
    from rocket_kernel.apps.context import AppContext
    from rocket_kernel.apps.directory import AppDirectory

logger = logging.getLogger(__name__)

_FREE = "1970-01-01T00:00:00.000Z"
"""`lease_until` of a row that nobody holds: a time, so that one comparison finds free and abandoned rows."""
_BATCH = 20
_MOST_ATTEMPTS = 5
_LONGEST_PAUSE_S = 3600.0
TICK_S = 1.0

JOBS = Table(
    name="_jobs",
    columns=(
        Column("id", ColumnType(Storage.UUID), nullable=False),
        Column("name", ColumnType(Storage.TEXT), nullable=False),
        Column("payload", ColumnType(Storage.DOCUMENT), nullable=False),
        Column("run_at", ColumnType(Storage.TIMESTAMP), nullable=False),
        Column("lease_owner", ColumnType(Storage.TEXT)),
        Column("lease_until", ColumnType(Storage.TIMESTAMP), nullable=False, default=_FREE),
        Column("attempt", ColumnType(Storage.INTEGER), nullable=False, default=0),
    ),
    primary_key=("id",),
    indexes=(Index("idx__jobs_run_at", ("run_at",)),),
)

_ROWS = TableRows(JOBS)


@dataclass(frozen=True, slots=True)
class JobRun:
    """One run of a job in one app. `attempt` counts from 1."""

    app: AppContext
    payload: Mapping[str, Any]
    attempt: int
    now: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a plugin returns from `register_jobs`. `name` reads `plugin:what`.

    With `every_s` it runs again and again in every app, that long after the former run has ended. Without, it runs
    for each row that `enqueue` puts in. `run` is called outside any transaction. A run that raises is tried again
    after 1, 2, 4 … seconds; one from `enqueue` at most five times.
    """

    name: str
    run: Callable[[JobRun], Awaitable[None]]
    every_s: float | None = None
    lease_s: float = 30.0
    opens_apps: bool = False
    """Runs also in apps that no request of this process has used yet."""


async def enqueue(tx: Transaction, job: str, payload: Mapping[str, Any], run_at: str) -> str:
    """Put one run of a job into the caller's transaction: no commit, no run. The id of its row."""
    id = str(uuid4())
    await _ROWS.insert(tx, {"id": id, "name": job, "payload": dict(payload), "run_at": run_at})
    return id


@dataclass(slots=True, eq=False)
class JobRunner:
    """The jobs of one process. `run_due` is one look at every app; `start` does so again and again."""

    jobs: Mapping[str, Job]
    apps: AppDirectory
    now: Callable[[], datetime]
    owner: str = field(default_factory=lambda: str(uuid4()))
    tick_s: float = TICK_S
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _stopping: bool = False
    _loop: asyncio.Task[None] | None = None
    _prepared: set[str] = field(default_factory=set)
    """Identities of apps: names come back, and so do addresses of objects."""

    def start(self) -> None:
        if self.jobs and self._loop is None:
            self._loop = asyncio.create_task(self._run_until_stopped(), name="rocket jobs")

    def wake(self) -> None:
        """Look at once instead of at the next tick."""
        self._wake.set()

    async def stop(self, *, patience_s: float = 20.0) -> None:
        """Let running jobs end, for a while; what is cut off is taken over when its lease is over."""
        self._stopping = True
        self._wake.set()
        if self._loop is not None:
            with suppress(TimeoutError, asyncio.CancelledError):
                await asyncio.wait_for(self._loop, patience_s)
            self._loop = None

    async def pause(self) -> None:
        """Nothing but `run_due` runs jobs from now on, until `start`: for tests, which must not race with the loop."""
        await self.stop()
        self._stopping = False

    async def run_due(self) -> int:
        """Run everything that is due in the apps in reach; how many runs this process did."""
        done = 0
        for app in await self._reachable():
            try:
                await self._prepare(app)
                done += await self._run_app(app)
            except AppNotFound:
                await self.apps.forget(app)  # it was deleted, and another may have its name
            except RocketError as error:
                await self._put_off(app, error)
        return done

    async def _put_off(self, app: AppContext, error: RocketError) -> None:
        """To the next look, unless there is nothing to look at any more."""
        with suppress(Unavailable):
            if isinstance(error, Unavailable) and await self.apps.is_gone(app):
                return
        logger.warning("jobs of app %s wait: %s", app.name, error.message)

    async def _run_until_stopped(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                await self.run_due()
            except Exception:
                logger.exception("looking for due jobs failed")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self.tick_s)

    async def _reachable(self) -> list[AppContext]:
        if any(job.opens_apps for job in self.jobs.values()):
            for row in await self.apps.rows():
                if row["status"] == "active":
                    with suppress(RocketError):
                        await self.apps.app(row["name"])
        return list(self.apps.opened)

    async def _prepare(self, app: AppContext) -> None:
        """See to it that every recurring job has its one row."""
        if app.identity in self._prepared:
            return
        async with app.writing() as (tx, _):
            for job in self.jobs.values():
                if job.every_s is not None:
                    row = {"id": _recurring_id(job), "name": job.name, "payload": {}, "run_at": self._text()}
                    await _ROWS.try_insert(tx, row)
        self._prepared.add(app.identity)

    async def _run_app(self, app: AppContext) -> int:
        now = self._text()
        due = {"run_at": Comparison("<=", now), "lease_until": Comparison("<=", now)}
        async with app.reading() as (session, _):
            rows = await _ROWS.select(session, due, order_by=("run_at", "id"), limit=_BATCH)
        done = 0
        for row in rows:
            job = self.jobs.get(row["name"])
            if job is None or self._stopping:
                continue
            if await self._claim(app, row, job):
                await self._run_claimed(app, row, job)
                done += 1
        return done

    async def _claim(self, app: AppContext, row: Mapping[str, Any], job: Job) -> bool:
        """Of all processes that saw the row due, the one whose UPDATE still finds it so has it."""
        seen = {name: row[name] for name in ("id", "run_at", "lease_until")}
        async with app.writing() as (tx, _):
            claimed = await _ROWS.update(
                tx,
                seen,
                {
                    "lease_owner": self.owner,
                    "lease_until": self._text(job.lease_s),
                    "attempt": row["attempt"] + 1,
                },
            )
        return claimed == 1

    async def _run_claimed(self, app: AppContext, row: Mapping[str, Any], job: Job) -> None:
        attempt = row["attempt"] + 1
        run = JobRun(app, row["payload"], attempt, self._text())
        work = asyncio.ensure_future(job.run(run))
        keeper = asyncio.create_task(self._keep_lease(app, row["id"], job, work))
        try:
            await work
        except asyncio.CancelledError:
            if not keeper.done():
                raise
            logger.warning("job %s lost its lease in app %s", job.name, app.name)
            return
        except Exception as error:
            if isinstance(error, AppNotFound) and error.app == app.name:
                raise
            logger.exception("job %s failed in app %s, attempt %d", job.name, app.name, attempt)
            await self._finish(app, row, job, attempt, failed=True)
        else:
            await self._finish(app, row, job, attempt, failed=False)
        finally:
            keeper.cancel()
            with suppress(asyncio.CancelledError):
                await keeper

    async def _keep_lease(self, app: AppContext, id: str, job: Job, work: asyncio.Future[None]) -> None:
        """Renew the lease while the job works; cancel the work once another process has the row."""
        while True:
            await asyncio.sleep(job.lease_s / 3)
            try:
                async with app.writing() as (tx, _):
                    mine = {"id": id, "lease_owner": self.owner}
                    kept = await _ROWS.update(tx, mine, {"lease_until": self._text(job.lease_s)})
            except AppNotFound:
                kept = 0
            except RocketError:
                continue
            if kept != 1:
                work.cancel()
                return

    async def _finish(self, app: AppContext, row: Mapping[str, Any], job: Job, attempt: int, *, failed: bool) -> None:
        mine = {"id": row["id"], "lease_owner": self.owner}
        async with app.writing() as (tx, _):
            if job.every_s is None and (not failed or attempt >= _MOST_ATTEMPTS):
                await _ROWS.delete(tx, mine)
                return
            pause = retry_pause_s(attempt) if failed else job.every_s or 0.0
            await _ROWS.update(
                tx,
                mine,
                {
                    "run_at": self._text(pause),
                    "lease_owner": None,
                    "lease_until": _FREE,
                    "attempt": attempt if failed else 0,
                },
            )

    def _text(self, plus_s: float = 0.0) -> str:
        return timestamp_text(self.now() + timedelta(seconds=plus_s))


def retry_pause_s(attempt: int) -> float:
    """Seconds to wait after the given failed attempt, which counts from 1."""
    return float(min(2.0 ** min(attempt - 1, 20), _LONGEST_PAUSE_S))


def _recurring_id(job: Job) -> str:
    return str(uuid5(NAMESPACE_URL, f"rocket job {job.name}"))
