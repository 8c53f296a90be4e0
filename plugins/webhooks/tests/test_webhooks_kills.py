"""Real servers, killed while they write and deliver: nothing is lost, nothing invented, next to nothing sent twice."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rocket_kernel.testing import Database, entity
from rocket_kernel.testing.processes import Caller, Lost, ServerProcess

WRITERS = 8
WORKERS = 2
TIMEOUT_S = 1.0
PATIENCE_S = 400.0


@dataclass(slots=True)
class Scripted:
    """A receiver that fails by the sum of a delivery's key, and counts what it took."""

    accepted: Counter[str] = field(default_factory=Counter)
    attempts: Counter[str] = field(default_factory=Counter)
    records: dict[str, str] = field(default_factory=dict)
    """Key by the record it told of."""
    server: asyncio.Server | None = None
    talks: set[asyncio.Task[Any]] = field(default_factory=set)

    @property
    def url(self) -> str:
        assert self.server is not None
        return f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/hook"

    async def __aenter__(self) -> Scripted:
        self.server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self.server is not None
        self.server.close()
        for talk in self.talks:
            talk.cancel()
        await asyncio.gather(*self.talks, return_exceptions=True)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.talks.add(task)
        try:
            while (answer := self._answer(*await self._request(reader))) is not None:
                writer.write(answer)
                await writer.drain()
        except (OSError, EOFError, asyncio.CancelledError):
            pass
        finally:
            self.talks.discard(task)
            writer.transport.abort()

    async def _request(self, reader: asyncio.StreamReader) -> tuple[str, bytes]:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        lines = dict(line.split(": ", 1) for line in head.split("\r\n") if ": " in line)
        return lines["webhook-id"], await reader.readexactly(int(lines["content-length"]))

    def _answer(self, key: str, body: bytes) -> bytes | None:
        """None hangs up."""
        self.attempts[key] += 1
        self.records[json.loads(body)["record"]["id"]] = key
        number, first = int(key[-4:], 16), self.attempts[key] == 1
        if number % 100 == 7:
            return b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"
        if number % 20 == 3 and first:
            return None
        if number % 20 == 4 and first:
            return b"HTTP/1.1 429 Later\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"
        self.accepted[key] += 1
        return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass(slots=True)
class Trial:
    """Writers that go on while the server is killed and started again."""

    server: ServerProcess
    events: int
    acknowledged: list[str] = field(default_factory=list)
    mark: int = 0
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when so many writes as `mark` says were acknowledged."""

    async def write(self, number: int) -> None:
        async with self.server.caller("shop") as shop:
            while len(self.acknowledged) < self.events:
                try:
                    answer = await shop.post("item", {"name": f"{number}-{len(self.acknowledged)}"})
                except Lost:
                    await asyncio.sleep(0.02)
                    continue
                if answer.status == 201:
                    self.acknowledged.append(answer.data["id"])
                else:
                    await asyncio.sleep(0.02)
                if len(self.acknowledged) >= self.mark:
                    self.reached.set()

    async def kill(self, kills: int) -> None:
        """Spread over the events, each at a moment of its own."""
        for number in range(1, kills + 1):
            self.mark = number * self.events // (kills + 1)
            self.reached.clear()
            await self.reached.wait()
            await asyncio.sleep(random.uniform(0, 0.05))
            await asyncio.to_thread(self.server.kill)
            await asyncio.to_thread(self.server.start)


async def waiting(shop: Caller) -> int:
    found = 0
    for status in ("pending", "retrying"):
        found += (await shop.get(f"_admin/webhook-logs?status={status}&per_page=1")).require(200).meta["total"]
    return found


async def drained(shop: Caller, *, hurried: bool) -> None:
    """Until nothing waits any more. Hurried: what is to be tried again half a minute later is tried at once."""
    end = time.monotonic() + PATIENCE_S
    while await waiting(shop):
        assert time.monotonic() < end, f"{await waiting(shop)} deliveries still wait"
        if hurried:
            for row in (await shop.get("_admin/webhook-logs?status=retrying")).data:
                await shop.post(f"_admin/webhook-logs/{row['id']}/retry")
        await asyncio.sleep(0.3)


async def pages(shop: Caller, path: str) -> list[dict[str, Any]]:
    """All rows of a list; they stand still by now."""
    rows: list[dict[str, Any]] = []
    for page in range(1, 10**6):
        answer = (await shop.get(f"{path}?per_page=200&page={page}")).require(200)
        rows += answer.data
        if page >= answer.meta["total_pages"]:
            return rows
    return rows


async def run_trial(folder: Path, database: Database, *, events: int, kills: int, hurried: bool) -> float:
    """The share of deliveries that were accepted twice."""
    config = {
        "plugins.enabled": ["webhooks"],
        "plugins.settings.webhooks.allow_addresses": ["127.0.0.1"],
        "plugins.settings.webhooks.timeout_s": TIMEOUT_S,
    }
    async with Scripted() as receiver:
        server = ServerProcess(folder, database.config(), workers=WORKERS, config=config)
        with server:
            async with server.caller() as platform:
                (await platform.post("/api/_platform/apps", {"name": "shop"})).require(201)
            async with server.caller("shop") as shop:
                (await shop.post("_admin/entities", entity("item", name="string!"))).require(201)
                hook = {"entity": "item", "url": receiver.url, "retry": {"max_attempts": 2}}
                (await shop.post("_admin/webhooks", hook)).require(201)
                trial = Trial(server, events)
                async with asyncio.TaskGroup() as group:
                    for number in range(WRITERS):
                        group.create_task(trial.write(number))
                    group.create_task(trial.kill(kills))
                await drained(shop, hurried=hurried)
                items = {row["id"] for row in await pages(shop, "item")}
                logs = await pages(shop, "_admin/webhook-logs")
    return judged(receiver, trial, items, logs)


def judged(receiver: Scripted, trial: Trial, items: set[str], logs: list[dict[str, Any]]) -> float:
    told = {json.loads(row["request_body"])["record"]["id"]: row for row in logs}
    assert set(trial.acknowledged) <= items, "an acknowledged record is gone"
    assert set(told) == items, "a record without its delivery, or a delivery without its record"
    assert len(logs) == len(items), "two deliveries for one record"
    assert set(receiver.records) <= items, "something was told that never happened"
    for row in logs:
        key = row["idempotency_key"]
        assert row["status"] in ("delivered", "failed")
        if row["status"] == "delivered":
            assert receiver.accepted[key] >= 1, "a delivery that nobody got"
        else:
            # Given up after its last attempt; only a receiver that always refuses, or was never heard, is.
            assert row["attempt"] >= row["max_attempts"], row
    twice = sum(count - 1 for count in receiver.accepted.values())
    return twice / len(logs)


async def test_nothing_is_lost_when_servers_are_killed(tmp_path: Path, database: Database) -> None:
    # Of so few events a share says little: at most two workers of two processes are under way at each kill.
    assert await run_trial(tmp_path, database, events=200, kills=2, hurried=True) <= 8 / 200


@pytest.mark.torture
async def test_ten_thousand_events_and_twenty_kills(
    tmp_path: Path, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    share = await run_trial(tmp_path, database, events=10_000, kills=20, hurried=False)
    with capsys.disabled():
        sys.stdout.write(f"\n{database.driver}: {share:.2%} accepted twice\n")
    assert share < 0.01
