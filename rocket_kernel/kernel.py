"""The kernel: one per process, made by a function, without global state. Two kernels in one process never meet."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rocket_kernel.apps.directory import AppDirectory
from rocket_kernel.apps.system_tables import APP_TABLES
from rocket_kernel.clock import Clock, SystemClock
from rocket_kernel.config import Config
from rocket_kernel.errors import PluginError, Unavailable
from rocket_kernel.http import admin, expressions, platform, records, transfer
from rocket_kernel.http.answered import Endings
from rocket_kernel.http.body import BODY_TIMEOUT_S
from rocket_kernel.http.description import Descriptions
from rocket_kernel.http.router import Route, Router
from rocket_kernel.jobs import JOBS, Job, JobRunner
from rocket_kernel.kernel_metrics import kernel_metrics
from rocket_kernel.metrics import Metrics, gather_metrics
from rocket_kernel.parts import KERNEL, Parts, gather_parts
from rocket_kernel.plugins import Plugin, PluginSet, installed_plugins, load_plugins
from rocket_kernel.store.protocol import Server
from rocket_kernel.store.servers import DRIVERS, configured_servers
from rocket_kernel.time_limit import TimeLimit
from rocket_kernel.watch import Watch

logger = logging.getLogger(__name__)

Participant = Callable[[Any], Any]


@dataclass(frozen=True, slots=True, eq=False)
class Kernel:
    """Frozen when it is made: plugins, routes and hooks cannot be added later."""

    parts: Parts
    apps: AppDirectory
    router: Router
    authenticate: tuple[Participant, ...]
    on_request: tuple[Participant, ...]
    on_response: tuple[Callable[[Any, Any], Any], ...]
    endings: Endings
    metrics: Metrics
    jobs: JobRunner
    watch: Watch
    known_drivers: tuple[str, ...] = DRIVERS
    shared_dir: Path | None = None
    """A folder of the processes of one server, empty at its start and gone after its end. None for a single process."""
    body_time: TimeLimit = field(default_factory=lambda: TimeLimit(BODY_TIMEOUT_S))
    """For the JSON body of a request to arrive."""

    @property
    def open_house(self) -> bool:
        """No plugin tells callers apart: everybody is admin, and nobody beyond this machine may call."""
        return not self.authenticate

    async def open(self) -> None:
        """Open the management database and finish what a crash left, without serving: for commands beside a server.

        Raises StartupError; then nothing stays open.
        """
        try:
            await self.apps.start()
            async with self.apps.management.schema_change() as tx:
                await self.parts.plugins.notify("on_platform_opened", kernel=self, tx=tx)
        except BaseException:
            await self.apps.stop()
            raise

    async def start(self) -> None:
        """Open the databases, tell the plugins and run background jobs. Raises StartupError and PluginError."""
        await self.open()
        try:
            await self.parts.plugins.notify("on_started", kernel=self)
        except BaseException:
            await self.apps.stop()
            raise
        self.jobs.start()
        self.watch.start()

    async def close(self) -> None:
        """The end of `open`."""
        await self.apps.stop()

    async def stop(self) -> None:
        """Let running jobs end, then close everything."""
        await self.jobs.stop()
        self.endings.tell()
        await self.parts.plugins.tell("on_stopping", kernel=self)
        await self.apps.stop()
        self.watch.stop()

    async def ping(self) -> None:
        """Raises Unavailable when the management database or that of an open app does not answer."""
        await self.apps.management.ping()
        for app in self.apps.opened:
            try:
                await app.store.ping()
            except Unavailable:
                if not await self.apps.is_gone(app):
                    raise


def make_kernel(
    config: Config,
    *,
    plugins: Iterable[type[Plugin]] | None = None,
    clock: Clock | None = None,
    servers: Mapping[str, Server] | None = None,
    shared_dir: Path | None = None,
) -> Kernel:
    """A kernel that is not started yet. Without `plugins`, those installed that the configuration enables.

    `shared_dir`, see `Kernel.shared_dir`, is given to the processes of a server that has several.

    Raises ConfigError and PluginError.
    """
    chosen = installed_plugins(config.plugins.enabled) if plugins is None else list(plugins)
    loaded = load_plugins(chosen, config.plugins.settings)
    with loaded.naming_places():
        return _assembled(config, loaded, clock or SystemClock(), servers, shared_dir)


def _assembled(
    config: Config, loaded: PluginSet, clock: Clock, servers: Mapping[str, Server] | None, shared_dir: Path | None
) -> Kernel:
    parts = gather_parts(config, clock, loaded, (*APP_TABLES, JOBS))
    apps = AppDirectory(parts, servers or configured_servers(config.database), config.database.driver)
    jobs = JobRunner(_jobs(loaded), apps, parts.clock.now)
    return Kernel(
        parts=parts,
        apps=apps,
        jobs=jobs,
        watch=Watch(loaded.packages, loaded.times),
        router=Router(_routes(parts)),
        authenticate=_participants(loaded, "authenticate", "request"),
        on_request=_participants(loaded, "on_request", "request"),
        on_response=_participants(loaded, "on_response", "request", "response"),
        endings=Endings(tuple(observer for _, observer in loaded.collect("register_answer_observers"))),
        metrics=gather_metrics(kernel_metrics(apps, jobs), loaded, KERNEL),
        shared_dir=shared_dir,
    )


def _participants(plugins: PluginSet, hook: str, *parameters: str) -> tuple[Callable[..., Any], ...]:
    return tuple(
        item.participant(*parameters, time=plugins.times.of(f"{item.plugin}:{hook}")) for item in plugins.of(hook)
    )


def _jobs(plugins: PluginSet) -> dict[str, Job]:
    jobs: dict[str, Job] = {}
    for plugin, job in plugins.collect("register_jobs", Job):
        if not job.name.startswith(f"{plugin}:"):
            raise PluginError(plugin, f"job {job.name!r} must begin with {plugin!r} and a colon", hook="register_jobs")
        if job.name in jobs:
            raise PluginError(plugin, f"job {job.name!r} is registered twice", hook="register_jobs")
        jobs[job.name] = job
    return jobs


def _routes(parts: Parts) -> Iterable[tuple[str, Route]]:
    own = [*platform.ROUTES, *transfer.ROUTES, *expressions.ROUTES, *Descriptions().routes(), *records.ROUTES]
    for kind in parts.kinds.ordered:
        own.extend(admin.kind_routes(kind))
    yield from ((KERNEL, route) for route in own)
    yield from parts.plugins.collect("register_routes", Route)
