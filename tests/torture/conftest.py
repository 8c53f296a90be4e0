"""Real servers on both databases, and clients that besiege them.

Every proof takes `rounds` or `seconds`: a few in `make test`, many in `make torture`.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest

from rocket_kernel.config import DatabaseConfig
from rocket_kernel.testing import Answer, Database, entity, one_to_many
from rocket_kernel.testing.databases import make_database
from rocket_kernel.testing.processes import Caller, ServerProcess

Ask = tuple[Any, ...]
"""Method and path, and if need be a body and headers."""

State = Any
"""Of a transfer: see Ledger."""


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


MOST_RECORDS = 12
"""Of each client, so that all of them fit on one page or two."""


class Refused(Exception):
    """The server said that it cannot, in the contract's form: 503 or 507. A write may have been done all the same."""


class Ledger:
    """Transfers of one row and three entries that sum to zero, and the states in which each of them may be.

    A transfer belongs to one client. It is in one state, or, after a request without a clear answer, in one of two. A
    state is the note and the amounts; None is a transfer that is not there.
    """

    ENTITIES = (
        entity("transfer", key="string! unique", note="string", at="timestamp auto=update"),
        entity("entry", transfer_id="uuid!", slot="int!", amount="int!"),
    )
    RELATIONS = (one_to_many("entries", "transfer", "entry", on_delete="cascade"),)

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.seen: Counter[str] = Counter()
        self._possible: dict[str, list[State]] = {}
        self._ids: dict[str, str] = {}
        self._unanswered_creates: dict[str, State] = {}
        self._numbers = count()

    async def write_and_read(self, caller: Caller, client: int) -> None:
        """One request. Raises Lost and Refused; then the transfer is left alone until the next audit."""
        mine = sorted(
            key for key, states in self._possible.items() if key.startswith(f"{client}/") and len(states) == 1
        )
        kind = self.random.choice(("create", "create", "rewrite", "annotate", "delete", "read", "read"))
        if not mine or (kind == "create" and len(mine) < MOST_RECORDS):
            await self._create(caller, f"{client}/{next(self._numbers)}", self._any_state())
            return
        key = self.random.choice(mine)
        if kind == "read":
            read = answered(await caller.get(f"transfer/{self._ids[key]}?include=entries"), 200).data
            assert [state_of(read)] == self._possible[key]
        elif kind == "delete":
            with self._attempt(key, None):
                answered(await caller.delete(f"transfer/{self._ids[key]}"), 200)
            del self._possible[key]
        else:
            await self._update(caller, key, rewrite=kind == "rewrite")

    async def audit(self, caller: Caller) -> None:
        """Every transfer is in a state it may be in, and there are no entries but theirs."""
        stored = {row["key"]: row for row in await everything(caller, "transfer?include=entries&sort=key")}
        assert stored.keys() <= self._possible.keys()
        for key, states in self._possible.items():
            state = state_of(stored[key]) if key in stored else None
            assert state in states, key
            if len(states) > 1:
                self.seen["unclear and done" if state == states[-1] else "unclear and undone"] += 1
        assert (await caller.get("entry?per_page=1")).require(200).meta["total"] == 3 * len(stored)
        self._ids = {key: row["id"] for key, row in stored.items()}
        self._possible = {key: [state_of(row)] for key, row in stored.items()}

    async def repeat_unanswered_creates(self, caller: Caller) -> None:
        """With their Idempotency-Key, as a careful client does. None makes a second record."""
        for key, state in list(self._unanswered_creates.items()):
            await self._create(caller, key, state)

    async def _create(self, caller: Caller, key: str, state: State) -> None:
        self._unanswered_creates[key] = state
        with self._attempt(key, state):
            body = {"key": key, "note": state[0], "entries": items(state[1])}
            made = answered(await caller.post("transfer", body, idempotency_key=key), 201)
        del self._unanswered_creates[key]
        assert self._ids.setdefault(key, made.data["id"]) == made.data["id"]

    async def _update(self, caller: Caller, key: str, *, rewrite: bool) -> None:
        (known,) = self._possible[key]
        note, amounts = self._any_state()
        body: dict[str, Any] = {"note": note}
        if rewrite:
            body["entries"] = {"_write_mode": "replace", "data": items(amounts)}
        with self._attempt(key, (note, amounts if rewrite else known[1])):
            answered(await caller.put(f"transfer/{self._ids[key]}", body), 200)

    @contextmanager
    def _attempt(self, key: str, after: State) -> Iterator[None]:
        self._possible[key] = [*self._possible.get(key, [None]), after]
        yield
        self._possible[key] = [after]
        self.seen["acknowledged writes"] += 1

    def _any_state(self) -> State:
        first, second = self.random.randint(-999, 999), self.random.randint(-999, 999)
        return f"note {next(self._numbers)}", (first, second, -first - second)


def answered(answer: Answer, status: int) -> Answer:
    """Raises Refused, and AssertionError for every other status than the one that is wanted."""
    if answer.status in (503, 507):
        assert answer.json.keys() == {"error"}, answer
        assert answer.error["code"] == "UNAVAILABLE", answer
        assert int(answer.headers["Retry-After"]) >= 1, answer
        raise Refused(answer.status)
    return answer.require(status)


def items(amounts: tuple[int, ...]) -> list[dict[str, int]]:
    return [{"slot": slot, "amount": amount} for slot, amount in enumerate(amounts)]


def state_of(row: dict[str, Any]) -> State:
    entries = sorted((entry["slot"], entry["amount"]) for entry in row["entries"])
    slots, amounts = zip(*entries, strict=True) if entries else ((), ())
    assert slots == (0, 1, 2), row
    assert sum(amounts) == 0, row
    return row["note"], amounts


async def everything(caller: Caller, path: str) -> list[dict[str, Any]]:
    """All records of a list with a fixed order."""
    rows: list[dict[str, Any]] = []
    while True:
        answer = (await caller.get(f"{path}&per_page=200&page={len(rows) // 200 + 1}")).require(200)
        rows += answer.data
        if len(answer.data) < 200:
            assert len(rows) == answer.meta["total"]
            return rows


@pytest.fixture
def ledger() -> Callable[[int], Ledger]:
    return Ledger


@pytest.fixture
def refused() -> type[Refused]:
    return Refused


@pytest.fixture
def statuses(record_property: Callable[[str, object], None]) -> Iterator[Callable[[Sequence[Answer]], dict[int, int]]]:
    """How often each status was answered. All that were counted are told as figures."""
    rounds, seen = 0, Counter[int]()

    def count_them(answers: Sequence[Answer]) -> dict[int, int]:
        nonlocal rounds
        found = Counter(answer.status for answer in answers)
        rounds += 1
        seen.update(found)
        return dict(found)

    yield count_them
    record_property("rounds", rounds)
    for status, number in sorted(seen.items()):
        record_property(f"answers {status}", number)


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str, float], None]:
    """Notes a number that was measured: `figure("writes per second", 812.5)`."""
    return lambda name, value: record_property(name, round(value, 2))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Figures of long runs are told; those of short ones mean little."""
    if config.getoption("markexpr") != "torture":
        return
    terminalreporter.section("figures")
    for report in terminalreporter.getreports("") + terminalreporter.getreports("error"):
        if report.when == "teardown" and report.user_properties:
            told = ", ".join(f"{name} {value}" for name, value in report.user_properties)
            terminalreporter.write_line(f"{report.nodeid.rpartition('::')[2]}: {told}")


@pytest.fixture
def serve_on(tmp_path: Path, rocket_hygiene: None) -> Iterator[Callable[..., Stage]]:
    """Starts servers on a database: `serve_on(database.config(), workers=2)`, or `servers=2` for two on the same."""
    started: list[Stage] = []
    with ExitStack() as stack:

        def start(place: DatabaseConfig, *, servers: int = 1, **options: Any) -> Stage:
            made = [ServerProcess(tmp_path / "server", place, **options) for _ in range(servers)]
            started.append(Stage([stack.enter_context(server) for server in made]))
            return started[-1]

        yield start
    for one in started:
        sys.stderr.write(one.log)  # pytest shows it when the test has failed


@pytest.fixture
def stage(database: Database, serve_on: Callable[..., Stage]) -> Callable[..., Stage]:
    """Starts servers on the test's database, with commits as durable as they are in production."""
    return partial(serve_on, database.config(synchronous="full"))


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
