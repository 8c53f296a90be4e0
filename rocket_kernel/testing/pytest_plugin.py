"""Rocket's pytest fixtures, found by the entry point `rocket`.

Everything of Rocket is imported when a fixture is first used, so that runs without Rocket pay nothing and coverage
sees the imports. Tests that use no fixture of Rocket are left alone.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from rocket_kernel import Kernel
    from rocket_kernel.testing import Client, Database, FakeClock, Receiver, RunningKernel, StartKernel, StartOnBoth
    from rocket_kernel.testing.spare_databases import SpareDatabases

# The server of the tests is stopped at the exit of the process, with psutil. Where that was first imported inside
# pytester, which forgets such modules, it would be in ruins by then, and the server would be left running.
with suppress(ImportError):
    import_module("psutil")

try:
    from pytest_asyncio import fixture as async_fixture
except ImportError:  # Rocket without its extra `testing`, in a project that has pytest for other things
    async_fixture = pytest.fixture  # type: ignore[assignment]

pytest.register_assert_rewrite("rocket_kernel.testing.assertions", "rocket_kernel.testing.plugin_suite")

APP = "shop"
"""The app of the fixture `client`."""

DRIVERS = ("sqlite", "postgres")

# A task that was just cancelled or is about to end needs a few turns of the loop.
_TURNS_TO_END = 20


@pytest.fixture
def rocket_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No `ROCKET_*` variable of the developer reaches the test, but those for tests do."""
    for name in os.environ:
        if name.startswith("ROCKET_") and not name.startswith("ROCKET_TEST_"):
            monkeypatch.delenv(name)


@pytest.fixture
def rocket_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of the test: a temporary folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@async_fixture
async def rocket_tasks() -> AsyncIterator[None]:
    """Fails the test when a task is left running after it."""
    before = asyncio.all_tasks()
    yield
    left: set[asyncio.Task[object]] = set()
    for _ in range(_TURNS_TO_END):
        left = asyncio.all_tasks() - before - {asyncio.current_task()}
        if not left:
            return
        await asyncio.sleep(0)
    names = sorted(str(task.get_coro()) for task in left)
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    pytest.fail(f"tasks left running: {', '.join(names)}")


@pytest.fixture
def rocket_hygiene(rocket_environment: None, rocket_folder: Path, rocket_tasks: None) -> None:
    """All of the above; every fixture that starts something depends on it."""


@pytest.fixture
def clock(rocket_environment: None, rocket_folder: Path) -> FakeClock:
    """Stands still until the test moves it. Kernels of the test go by it."""
    from rocket_kernel.testing import FakeClock

    return FakeClock()


@pytest.fixture(scope="session")
def rocket_spare_databases() -> Iterator[SpareDatabases]:
    from rocket_kernel.testing.postgres import postgres_address
    from rocket_kernel.testing.spare_databases import SpareDatabases

    spares = SpareDatabases(postgres_address())
    yield spares
    asyncio.run(spares.drop())


@async_fixture(params=DRIVERS)
async def database(request: pytest.FixtureRequest, rocket_hygiene: None, tmp_path: Path) -> AsyncIterator[Database]:
    """Both databases in turn: a test that uses this fixture, or one that is built on it, runs on each."""
    from rocket_kernel.testing.databases import make_database

    spares = request.getfixturevalue("rocket_spare_databases") if request.param == "postgres" else None
    made = make_database(request.param, tmp_path / "data", spares)
    yield made
    await made.drop()


@async_fixture
async def start_kernel(database: Database, clock: FakeClock) -> AsyncIterator[StartKernel]:
    """A function that starts kernels: `await start_kernel([MyPlugin], config={"limits.max_per_page": 10})`."""
    from rocket_kernel.testing import StartKernel

    async with AsyncExitStack() as started:
        yield StartKernel(database, clock, started)


@async_fixture
async def start_on_both(
    rocket_hygiene: None, rocket_spare_databases: SpareDatabases, tmp_path: Path, clock: FakeClock
) -> AsyncIterator[StartOnBoth]:
    """A function that starts the same kernel on each database: `one, two = await start_on_both([MyPlugin])`."""
    from rocket_kernel.testing import StartKernel, StartOnBoth
    from rocket_kernel.testing.databases import make_database

    one, two = (make_database(driver, tmp_path / driver, rocket_spare_databases) for driver in DRIVERS)
    async with AsyncExitStack() as started:
        yield StartOnBoth(StartKernel(one, clock, started), (one, two))
    for made in (one, two):
        await made.drop()


@async_fixture
async def running(start_kernel: StartKernel) -> RunningKernel:
    """A running kernel without plugins, with its application and a client that is bound to no app."""
    return await start_kernel()


@pytest.fixture
def kernel(running: RunningKernel) -> Kernel:
    """The kernel of `running`."""
    return running.kernel


@async_fixture
async def client(running: RunningKernel) -> Client:
    """A client of a new app on the kernel of `running`."""
    return await running.client.app(APP)


@async_fixture
async def receiver(rocket_hygiene: None) -> AsyncIterator[Receiver]:
    """A local web server that notes requests and answers as it is told."""
    from rocket_kernel.testing import Receiver

    async with Receiver() as listening:
        yield listening
