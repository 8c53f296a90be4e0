"""Background jobs with leases: each run happens once over all processes, and a dead process's run is taken over.

A job is a row of `_jobs` in its app's database. A process claims a due row by one conditional UPDATE and holds it by
a lease it renews while it works; when the process dies the lease runs out and another one claims the row. So a run
may start a second time after a crash: what it does must bear that, or be guarded in the transaction that does it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import NAMESPACE_URL, uuid4, uuid5

from rocket_kernel.clock import timestamp_text
from rocket_kernel.errors import AppNotFound, RocketError, Unavailable
from rocket_kernel.lanes import Lanes
from rocket_kernel.store.columns import Column, ColumnType, Index, Storage, Table
from rocket_kernel.store.protocol import Session, Transaction
from rocket_kernel.store.table_rows import Comparison, TableRows
from rocket_kernel.stray import is_asked_for
from rocket_kernel.tracing import annotate, traced_work

if TYPE_CHECKING:
    from rocket_kernel.apps.context import AppContext
    from rocket_kernel.apps.directory import AppDirectory

logger = logging.getLogger(__name__)

T = TypeVar("T")

_FREE = "1970-01-01T00:00:00.000Z"
"""`lease_until` of a row that nobody holds: a time, so that one comparison finds free and abandoned rows."""
_BATCH = 20
_MOST_ATTEMPTS = 5
_LONGEST_PAUSE_S = 3600.0
_MOST_LOOKS = 32
"""Apps that are looked at side by side."""
_MOST_LANES = 64
"""Apps in which a job runs side by side: one that never ends in some of them goes on in the others."""
_OPENING_S = 5.0
"""How long a look waits for apps to open."""
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
    ended: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Runs of this process by job and outcome: done, failed or lost."""
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _stopping: bool = False
    _loop: asyncio.Task[None] | None = None
    _lanes: Lanes = field(default_factory=Lanes)
    """By identity of the app and name of the job; with None in the place of the name, the look at the app."""
    _looking: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_MOST_LOOKS))
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
            await self._loop
            self._loop = None
        await self._lanes.let_end(patience_s)

    async def pause(self) -> None:
        """Nothing but `run_due` runs jobs from now on, until `start`: for tests, which must not race with the loop."""
        await self.stop()
        self._stopping = False

    async def run_due(self) -> int:
        """Run everything that is due in the apps in reach, and wait for it; how many runs this process did."""
        looks = await asyncio.gather(*await self._begin_looks())
        return sum(await asyncio.gather(*(run for runs in looks for run in runs)))

    async def _begin_looks(self) -> list[asyncio.Task[list[asyncio.Task[int]]]]:
        """One for each app, so that a database that does not answer is waited for by its own app alone."""
        nothing: list[asyncio.Task[int]] = []
        looks = [
            self._lanes.begin((app.identity, None), partial(self._guarded, app, partial(self._look_at, app), nothing))
            for app in await self._reachable()
        ]
        return [look for look in looks if look is not None]

    async def _look_at(self, app: AppContext) -> list[asyncio.Task[int]]:
        """Begin what is due in an app: each job on a lane of its own, its runs one after the other."""
        async with self._looking:
            await self._prepare(app)
            runs: list[asyncio.Task[int]] = []
            # Rows of a job that is under way, or whose plugin is absent, must not hide those of others behind them.
            free = [name for name in self.jobs if self._is_free(app, name)]
            rows = await self._due_rows(app, free)
            while rows:
                for name in dict.fromkeys(row["name"] for row in rows):
                    free.remove(name)
                    own = [row for row in rows if row["name"] == name]
                    work = partial(self._run_rows, app, self.jobs[name], own)
                    run = self._lanes.begin((app.identity, name), partial(self._guarded, app, work, 0))
                    runs += [] if run is None else [run]
                rows = await self._due_rows(app, free) if len(rows) == _BATCH else []
            return runs

    def _is_free(self, app: AppContext, name: str) -> bool:
        busy = [key for key in self._lanes if isinstance(key, tuple) and key[1] == name]
        return len(busy) < _MOST_LANES and (app.identity, name) not in busy

    async def _due_rows(self, app: AppContext, names: list[str]) -> list[dict[str, Any]]:
        if not names or self._stopping:
            return []
        where = {**_due(self._text()), "name": names}
        async with app.reading() as (session, _):
            return await _ROWS.select(session, where, order_by=("run_at", "id"), limit=_BATCH)

    async def _run_rows(self, app: AppContext, job: Job, rows: list[dict[str, Any]]) -> int:
        done = 0
        for row in rows:
            if not self._stopping and await self._claim(app, row, job):
                await self._run_claimed(app, row, job)
                done += 1
        if done:
            self.wake()  # there may be more, for which no look could begin a run meanwhile
        return done

    async def _guarded(self, app: AppContext, work: Callable[[], Awaitable[T]], otherwise: T) -> T:
        """What goes wrong in one app is no matter of any other."""
        try:
            return await work()
        except AppNotFound:
            await self.apps.forget(app)  # it was deleted, and another may have its name
        except RocketError as error:
            await self._put_off(app, error)
        except Exception:
            logger.exception("jobs of app %s wait", app.name)
        return otherwise

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
                looks = await self._begin_looks()
                if looks:  # what they begin is not waited for
                    await asyncio.wait(looks, timeout=self.tick_s)
            except Exception:
                logger.exception("looking for due jobs failed")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self.tick_s)

    async def _reachable(self) -> list[AppContext]:
        if any(job.opens_apps for job in self.jobs.values()):
            opened = {app.name for app in self.apps.opened}
            closed = [row["name"] for row in await self.apps.rows() if row["status"] == "active"]
            opening = [
                self._lanes.begin(("open", None, name), partial(self._open, name))
                for name in closed
                if name not in opened
            ]
            tasks = [task for task in opening if task is not None]
            if tasks:  # one that takes its time is there at a later look
                await asyncio.wait(tasks, timeout=_OPENING_S)
        return list(self.apps.opened)

    async def _open(self, name: str) -> None:
        with suppress(RocketError):
            await self.apps.app(name)

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
        time = self.apps.parts.plugins.times.of(job.name, None)
        work = asyncio.ensure_future(time.timed(lambda _: _contained(job, run), (app.identity, row["id"])))
        keeper = asyncio.create_task(self._keep_lease(app, row["id"], job, work))
        try:
            await work
        except (Exception, asyncio.CancelledError) as error:
            if is_asked_for(error) or (isinstance(error, AppNotFound) and error.app == app.name):
                raise
            if isinstance(error, asyncio.CancelledError) and keeper.done():
                self.ended[job.name, "lost"] += 1
                logger.warning("job %s lost its lease in app %s", job.name, app.name)
                return
            self.ended[job.name, "failed"] += 1
            logger.exception("job %s failed in app %s, attempt %d", job.name, app.name, attempt)
            await self._finish(app, row, job, attempt, failed=True)
        else:
            self.ended[job.name, "done"] += 1
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


async def count_due(session: Session, now: str) -> int:
    """Runs that wait for a process."""
    return await _ROWS.count(session, _due(now))


async def due_since(session: Session, now: str) -> str | None:
    """When the run that has waited longest for a process was due; None when none waits."""
    rows = await _ROWS.select(session, _due(now), order_by=("run_at",), limit=1)
    return str(rows[0]["run_at"]) if rows else None


def _due(now: str) -> Mapping[str, object]:
    return {"run_at": Comparison("<=", now), "lease_until": Comparison("<=", now)}


async def _contained(job: Job, run: JobRun) -> None:
    """What would end the process ends the run."""
    try:
        await _traced(job, run)
    except SystemExit as error:
        raise RuntimeError("the job tried to end the process") from error


async def _traced(job: Job, run: JobRun) -> None:
    with traced_work(run.app, "job", "runner", "job.run"):
        annotate(job=job.name, attempt=run.attempt)
        await job.run(run)


def retry_pause_s(attempt: int) -> float:
    """Seconds to wait after the given failed attempt, which counts from 1."""
    return float(min(2.0 ** min(attempt - 1, 20), _LONGEST_PAUSE_S))


def _recurring_id(job: Job) -> str:
    return str(uuid5(NAMESPACE_URL, f"rocket job {job.name}"))
