"""Real servers on both databases, and clients that besiege them.

Every proof takes `rounds` or `seconds`: a few in `make test`, many in `make torture`.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from rocket_kernel.testing import Answer, Database
from rocket_kernel.testing.databases import make_database
from rocket_kernel.testing.processes import Caller, ServerProcess

Ask = tuple[Any, ...]
"""Method and path, and if need be a body and headers."""


@dataclass(slots=True)
class Stage:
    """One or more servers on one database. Requests go to them in turn."""

    servers: list[ServerProcess]
    _turn: Iterator[int] = field(default_factory=count)

    @property
    def server(self) -> ServerProcess:
        return self.servers[0]

    @property
    def log(self) -> str:
        return "\n".join(server.log for server in self.servers)

    def caller(self, app: str | None = None) -> Caller:
        return self.servers[next(self._turn) % len(self.servers)].caller(app)

    async def app(self, *entities: dict[str, Any], relations: Sequence[dict[str, Any]] = ()) -> str:
        """The name of a new app with these definitions."""
        name = f"a{secrets.token_hex(5)}"
        async with self.caller(name) as caller:
            (await caller.post("/api/_platform/apps", {"name": name})).require(201)
            for entity in entities:
                (await caller.post("_admin/entities", entity)).require(201)
            for relation in relations:
                (await caller.post("_admin/relations", relation)).require(201)
        return name

    @asynccontextmanager
    async def callers(self, number: int, app: str | None = None) -> AsyncIterator[list[Caller]]:
        """Clients whose connections are open."""
        async with AsyncExitStack() as stack:
            made = [await stack.enter_async_context(self.caller(app)) for _ in range(number)]
            await asyncio.gather(*(caller.connect() for caller in made))
            yield made

    async def at_once(self, app: str | None, requests: Sequence[Ask]) -> list[Answer]:
        """The answers to requests that leave in the same instant, each over a connection of its own."""
        async with self.callers(len(requests), app) as callers:
            return await asyncio.gather(*map(_send, callers, requests))


def _send(caller: Caller, ask: Ask) -> Any:
    method, path, *rest = ask
    body = rest[:1]
    return caller.request(method, path, *body, **(rest[1] if len(rest) > 1 else {}))


@pytest.fixture
def statuses() -> Callable[[Sequence[Answer]], dict[int, int]]:
    """How often each status was answered."""
    return lambda answers: dict(Counter(answer.status for answer in answers))


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str, float], None]:
    """Notes a number that was measured: `figure("writes per second", 812.5)`."""
    return lambda name, value: record_property(name, round(value, 2))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Figures of long runs are told; those of short ones mean little."""
    if config.getoption("markexpr") != "torture":
        return
    terminalreporter.section("figures")
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        if report.when == "call" and report.user_properties:
            told = ", ".join(f"{name} {value}" for name, value in report.user_properties)
            terminalreporter.write_line(f"{report.nodeid.rpartition('::')[2]}: {told}")


@pytest.fixture
def stage(tmp_path: Path, database: Database) -> Iterator[Callable[..., Stage]]:
    """Starts servers on the test's database: `stage(workers=2)`; two that share nothing else: `stage(servers=2)`."""
    started: list[Stage] = []
    with ExitStack() as stack:

        def start(*, servers: int = 1, synchronous: str = "full", **options: Any) -> Stage:
            place = database.config(synchronous=synchronous)
            made = [ServerProcess(tmp_path / "server", place, **options) for _ in range(servers)]
            started.append(Stage([stack.enter_context(server) for server in made]))
            return started[-1]

        yield start
    for one in started:
        sys.stderr.write(one.log)  # pytest shows it when the test has failed


CROWDS = {
    "sqlite, two workers": (),
    "postgres, two servers": (),
    "sqlite, two servers": pytest.mark.torture,
    "postgres, two workers": pytest.mark.torture,
}


@pytest.fixture(scope="module", params=[pytest.param(name, marks=marks, id=name) for name, marks in CROWDS.items()])
def crowd(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Two processes on one database: workers of one server, or two servers. One for all tests of a module."""
    driver, _, kind = request.param.partition(", ")
    servers, workers = (2, 1) if kind == "two servers" else (1, 2)
    folder = tmp_path_factory.mktemp("crowd")
    spares = request.getfixturevalue("rocket_spare_databases") if driver == "postgres" else None
    database = make_database(driver, folder / "data", spares)
    place = database.config(synchronous="full")
    with ExitStack() as stack:
        yield Stage([stack.enter_context(ServerProcess(folder, place, workers=workers)) for _ in range(servers)])
    asyncio.run(database.drop())
