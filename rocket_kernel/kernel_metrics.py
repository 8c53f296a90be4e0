"""What the kernel counts and measures of itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

import rocket_kernel
from rocket_kernel.apps.context import AppContext
from rocket_kernel.apps.directory import AppDirectory
from rocket_kernel.clock import timestamp_text
from rocket_kernel.jobs import JobRunner, count_due, due_since
from rocket_kernel.metrics import Across, AppMetric, Metric, MetricType, Samples
from rocket_kernel.store.protocol import PoolUse

MANAGEMENT = "_platform"
"""Stands for the management database where others have the name of their app."""


def kernel_metrics(apps: AppDirectory, jobs: JobRunner) -> list[Metric | AppMetric]:
    return [
        Metric(
            name="rocket_info",
            help="The version of Rocket, as a label.",
            labels=("version",),
            read=lambda: [((rocket_kernel.__version__,), 1.0)],
            across=Across.MOST,
        ),
        Metric(
            name="rocket_apps_open",
            help="Apps whose databases are open in a process.",
            read=lambda: [((), float(len(apps.opened)))],
            across=Across.MOST,
        ),
        *_pool_metrics(apps),
        Metric(
            name="rocket_job_runs_total",
            help="Runs of background jobs that have ended, by outcome: done, failed or lost.",
            type=MetricType.COUNTER,
            labels=("job", "outcome"),
            read=jobs.ended.items,
        ),
        AppMetric(name="rocket_jobs_due", help="Runs of background jobs that wait for a process.", read=_jobs_due),
        AppMetric(
            name="rocket_job_lag_seconds",
            help="How long the background job that is due longest has been waiting.",
            read=_job_lag,
        ),
    ]


def _pool_metrics(apps: AppDirectory) -> list[Metric]:
    return [
        Metric(
            name="rocket_pool_connections",
            help="Database connections by state: used or idle.",
            labels=("app", "state"),
            read=lambda: _of_pools(apps, lambda use: {"used": use.used, "idle": use.idle}),
        ),
        Metric(
            name="rocket_pool_limit",
            help="Most connections that the pools of a database may have.",
            labels=("app",),
            read=lambda: (((app,), float(use.limit)) for app, use in _pools(apps)),
        ),
        Metric(
            name="rocket_pool_waiting",
            help="Requests and jobs that wait for a connection.",
            labels=("app",),
            read=lambda: (((app,), float(use.waiting)) for app, use in _pools(apps)),
        ),
    ]


def _pools(apps: AppDirectory) -> Iterable[tuple[str, PoolUse]]:
    if apps.is_open:
        yield MANAGEMENT, apps.management.pool_use()
    for app in apps.opened:
        yield app.name, app.store.pool_use()


def _of_pools(apps: AppDirectory, states: Callable[[PoolUse], Mapping[str, int]]) -> Samples:
    for app, use in _pools(apps):
        for state, number in states(use).items():
            yield (app, state), float(number)


async def _jobs_due(app: AppContext) -> Samples:
    now = timestamp_text(app.parts.clock.now())
    return [((), float(await app.read(lambda session, _registry: count_due(session, now))))]


async def _job_lag(app: AppContext) -> Samples:
    now = app.parts.clock.now()
    text = timestamp_text(now)
    since = await app.read(lambda session, _registry: due_since(session, text))
    waited = 0.0 if since is None else (now - datetime.fromisoformat(since)).total_seconds()
    return [((), max(waited, 0.0))]
