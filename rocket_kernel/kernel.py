"""The kernel: one per process, made by a function, without global state. Two kernels in one process never meet."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rocket_kernel.apps.directory import AppDirectory
from rocket_kernel.apps.system_tables import APP_TABLES
from rocket_kernel.clock import Clock, SystemClock
from rocket_kernel.config import Config
from rocket_kernel.errors import PluginError, Unavailable
from rocket_kernel.http import admin, expressions, platform, records, transfer
from rocket_kernel.http.body import BODY_TIMEOUT_S
from rocket_kernel.http.router import Route, Router
from rocket_kernel.jobs import JOBS, Job, JobRunner
from rocket_kernel.parts import KERNEL, Parts, gather_parts
from rocket_kernel.plugins import Plugin, PluginSet, installed_plugins, load_plugins
from rocket_kernel.store.protocol import Server
from rocket_kernel.store.servers import DRIVERS, configured_servers
from rocket_kernel.time_limit import TimeLimit

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
    jobs: JobRunner
    known_drivers: tuple[str, ...] = DRIVERS
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

    async def close(self) -> None:
        """The end of `open`."""
        await self.apps.stop()

    async def stop(self) -> None:
        """Let running jobs end, then close everything."""
        await self.jobs.stop()
        try:
            await self.parts.plugins.notify("on_stopping", kernel=self)
        except Exception:
            logger.exception("a plugin failed while the kernel stopped")
        await self.apps.stop()

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
) -> Kernel:
    """A kernel that is not started yet. Without `plugins`, those installed that the configuration enables.

    Raises ConfigError and PluginError.
    """
    chosen = installed_plugins(config.plugins.enabled) if plugins is None else list(plugins)
    loaded = load_plugins(chosen, config.plugins.settings)
    parts = gather_parts(config, clock or SystemClock(), loaded, (*APP_TABLES, JOBS))
    apps = AppDirectory(parts, servers or configured_servers(config.database), config.database.driver)
    return Kernel(
        parts=parts,
        apps=apps,
        jobs=JobRunner(_jobs(loaded), apps, parts.clock.now),
        router=Router(_routes(parts)),
        authenticate=tuple(item.participant("request") for item in loaded.of("authenticate")),
        on_request=tuple(item.participant("request") for item in loaded.of("on_request")),
        on_response=tuple(item.participant("request", "response") for item in loaded.of("on_response")),
    )


def _jobs(plugins: PluginSet) -> dict[str, Job]:
    jobs: dict[str, Job] = {}
    for plugin, job in plugins.collect("register_jobs"):
        if not job.name.startswith(f"{plugin}:"):
            raise PluginError(plugin, f"job {job.name!r} must begin with {plugin!r} and a colon", hook="register_jobs")
        if job.name in jobs:
            raise PluginError(plugin, f"job {job.name!r} is registered twice", hook="register_jobs")
        jobs[job.name] = job
    return jobs


def _routes(parts: Parts) -> Iterable[tuple[str, Route]]:
    own = [*platform.ROUTES, *transfer.ROUTES, *expressions.ROUTES, *records.ROUTES]
    for kind in parts.kinds.ordered:
        own.extend(admin.kind_routes(kind))
    yield from ((KERNEL, route) for route in own)
    yield from parts.plugins.collect("register_routes")
