"""A kernel that runs in the test's own process, with a client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from quart import Quart
from quart.testing.app import LifespanError, TestApp

from rocket_kernel.clock import Clock
from rocket_kernel.config import Config
from rocket_kernel.config_sources import nest, overlay
from rocket_kernel.http.app import create_app
from rocket_kernel.kernel import Kernel, make_kernel
from rocket_kernel.plugins import Plugin
from rocket_kernel.settings import parse_settings
from rocket_kernel.store.protocol import Server
from rocket_kernel.testing.client import Client
from rocket_kernel.testing.databases import Database
from rocket_kernel.testing.loops import require_loop

# Quart gives a test six seconds, which a busy machine may need for a database server.
_START_AND_STOP_TIMEOUT_S = 60
_LOOKS = 100


@dataclass(frozen=True, slots=True, eq=False)
class RunningKernel:
    """`client` is bound to no app yet."""

    kernel: Kernel
    quart: Quart
    client: Client
    _running: AsyncExitStack = field(repr=False, default_factory=AsyncExitStack)

    async def run_jobs(self) -> int:
        """Run every background job that is due, and those that they bring about; how many runs there were.

        From then on nothing else runs jobs in this kernel, so that a test decides when they run. What comes due later
        is run by a later call, when the clock has been moved.
        """
        await self.kernel.jobs.pause()
        done = 0
        for _ in range(_LOOKS):
            found = await self.kernel.jobs.run_due()
            if not found:
                return done
            done += found
        raise AssertionError(f"jobs are still due after {_LOOKS} looks: one of them seems to ask for itself again")

    async def stop(self) -> None:
        """Stop now instead of at the end of the test. Doing it twice does no harm."""
        await self._running.aclose()


@asynccontextmanager
async def run_kernel(
    config: Config,
    *,
    plugins: Sequence[type[Plugin]] = (),
    clock: Clock | None = None,
    servers: Mapping[str, Server] | None = None,
) -> AsyncIterator[RunningKernel]:
    """A started kernel inside its application; stopped when the block ends. Raises what the start raises."""
    kernel = make_kernel(config, plugins=plugins, clock=clock, servers=servers)
    quart = create_app(kernel)
    async with AsyncExitStack() as stack:
        lifespan = TestApp(quart, _START_AND_STOP_TIMEOUT_S, _START_AND_STOP_TIMEOUT_S)
        try:
            await lifespan.startup()
        except LifespanError as error:
            await kernel.stop()
            raise error.__context__ or error from None
        stack.push_async_callback(lifespan.shutdown)
        yield RunningKernel(kernel, quart, Client(kernel, quart, loop=asyncio.get_running_loop()), stack)


@dataclass(slots=True, eq=False)
class StartKernel:
    """The fixture `start_kernel`: starts kernels on the test's database and stops them when the test ends."""

    database: Database
    clock: Clock
    _started: AsyncExitStack
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)

    async def __call__(
        self,
        plugins: Sequence[type[Plugin]] = (),
        *,
        config: Mapping[str, Any] | None = None,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        clock: Clock | None = None,
        database: Database | None = None,
        shared: bool = False,
    ) -> RunningKernel:
        """`config` has dotted keys (`{"limits.max_per_page": 10}`), `settings` those of plugins by their names.

        Kernels of one test serve the same apps, like several processes. `shared` lets processes of another kind serve
        them too: then databases have the names the configuration gives them, and making them takes longer.
        Raises what the start raises: ConfigError, PluginError, StartupError.
        """
        require_loop(self._loop)
        if isinstance(plugins, type) or not all(isinstance(plugin, type) for plugin in plugins):
            raise TypeError(f"the plugins are a list of classes, such as start_kernel([MyPlugin]), not {plugins!r}")
        place = database or self.database
        built = config_for(place, {**(config or {}), **({"plugins.settings": settings} if settings else {})})
        servers = None if shared else place.servers(built.database)
        run = run_kernel(built, plugins=plugins, clock=clock or self.clock, servers=servers)
        return await self._started.enter_async_context(run)


@dataclass(frozen=True, slots=True, eq=False)
class StartOnBoth:
    """The fixture `start_on_both`: the same kernel on each database, for tests that compare the two."""

    start: StartKernel
    databases: tuple[Database, Database]

    async def __call__(
        self,
        plugins: Sequence[type[Plugin]] = (),
        *,
        config: Mapping[str, Any] | None = None,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> tuple[RunningKernel, RunningKernel]:
        """Arguments and errors are those of `StartKernel`."""
        one, two = self.databases
        return (
            await self.start(plugins, config=config, settings=settings, database=one),
            await self.start(plugins, config=config, settings=settings, database=two),
        )


def config_for(database: Database, changes: Mapping[str, Any]) -> Config:
    """The configuration of a kernel on `database`; `changes` has dotted keys. Raises ConfigError."""
    tree: Mapping[str, object] = {}
    for key, value in changes.items():
        tree = overlay(tree, nest(key.split("."), value))
    section = tree.get("database")
    given = set(section) if isinstance(section, Mapping) else set()
    parsed = parse_settings(Config, tree, where="")
    kept = {name: getattr(parsed.database, name) for name in given}
    return replace(parsed, database=database.config(**kept))
