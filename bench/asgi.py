"""An application called in this process, the way a server calls it: what is measured is Rocket, not the server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import click

from bench.asks import Ask

Application = Callable[[Any, Any, Any], Awaitable[None]]
Call = Callable[[int], Awaitable[object]]
"""Does the request of a number; numbers count up from 0."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What a number of calls took. `cpu_s` is processor time of this process, all threads together."""

    calls: int
    seconds: float
    cpu_s: float

    @property
    def rate(self) -> float:
        return self.calls / self.seconds

    @property
    def cpu_us(self) -> float:
        """Microseconds of processor time for one call."""
        return self.cpu_s / self.calls * 1e6


async def answer(application: Application, asked: Ask) -> bytes:
    """The body of a successful answer. Raises ClickException for any other."""
    status, parts = 0, []
    unread = [asked.body.encode()]

    async def receive() -> dict[str, Any]:
        if not unread:
            # The client stays and says no more; whoever listens on is cancelled once the answer is complete.
            await asyncio.get_running_loop().create_future()
        return {"type": "http.request", "body": unread.pop(), "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            parts.append(message.get("body", b""))

    await application(scope(asked), receive, send)
    if not 200 <= status < 300:
        raise click.ClickException(f"{asked.method} {asked.target} was answered {status}: {b''.join(parts)[:500]!r}")
    return b"".join(parts)


def scope(asked: Ask) -> dict[str, Any]:
    """As Granian makes it for a request of wrk."""
    path, _, query = asked.target.partition("?")
    headers = [(b"host", b"127.0.0.1:8080")]
    if asked.body:
        headers += [(b"content-type", b"application/json"), (b"content-length", str(len(asked.body.encode())).encode())]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": asked.method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 40000),
        "server": ("127.0.0.1", 8080),
    }


def calls_of(application: Application, asks: Sequence[Ask]) -> Call:
    """Goes through the asks over and over."""
    return lambda number: answer(application, asks[number % len(asks)])


async def spend(call: Call, *, seconds: float, tasks: int) -> Spent:
    """Call from so many tasks at once, each as soon as it is answered, for so long."""
    numbers = iter(range(10**12))
    start, cpu = time.perf_counter(), time.process_time()
    end = start + seconds

    async def work() -> int:
        done = 0
        while time.perf_counter() < end:
            await call(next(numbers))
            done += 1
        return done

    async with asyncio.TaskGroup() as group:
        working = [group.create_task(work()) for _ in range(tasks)]
    calls = sum(task.result() for task in working)
    return Spent(calls, time.perf_counter() - start, time.process_time() - cpu)
