"""What webhooks cost a write, and whether a receiver that never answers is felt by anybody else.

Kernels in one process are asked by turns. Deliveries of the first part are made by nobody, as if another process made
them: what is measured is the write alone, outbox rows included.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import click

from bench.asgi import Application, Call, answer, calls_of, spend
from bench.asks import post
from bench.kernel import filled_kernel, run
from bench.processes import choose_cores, pinned
from bench.report import markdown_table, write_files
from bench.rocket import APP, Rocket, config
from bench.rows import Rows, make_rows
from rocket_kernel.config import Config
from rocket_kernel.plugins import installed_plugins
from rocket_kernel.testing import RunningKernel

MATCHING = 5
TARGET_COST = 1.5
TARGET_P99 = 1.1
_TASKS = 32
_SLICES = 8
"""The kernels are measured by turns, so many times in a round."""
_SILENT = 8
"""Webhooks whose receiver never answers."""
_CALLERS = 4


@dataclass(frozen=True, slots=True)
class Latencies:
    """Milliseconds of single requests."""

    found: tuple[float, ...]

    def at(self, share: float) -> float:
        return sorted(self.found)[int(len(self.found) * share)]


def run_webhooks(folder: Path, out: Path, *, seconds: float, rounds: int) -> None:
    costs: list[tuple[float, float]] = []
    calm: list[float] = []
    silent: list[float] = []

    async def work() -> None:
        rows = make_rows()
        async with _kernel(folder / "none", rows) as without, _kernel(folder / "five", rows) as five:
            await _define(five.quart, [f"http://example.com/{number}" for number in range(MATCHING)])
            await _pause(without, five)
            await _compare_costs(without, five, rows, costs, seconds=seconds, rounds=rounds)
        async with _kernel(folder / "silent", rows) as running, _never_answering() as url:
            await _pause(running)
            await _define(running.quart, [url] * _SILENT)
            await _compare_latencies(running, rows, calm, silent, seconds=seconds, rounds=rounds)

    with pinned(choose_cores().server):
        run(work)
    _publish(out, costs, calm, silent)


async def _compare_costs(
    without: RunningKernel,
    five: RunningKernel,
    rows: Rows,
    costs: list[tuple[float, float]],
    *,
    seconds: float,
    rounds: int,
) -> None:
    asks = Rocket().asks("create", rows)
    calls = calls_of(without.quart, asks), calls_of(five.quart, asks)
    for turn in range(rounds * _SLICES + 1):
        order = (0, 1) if turn % 2 else (1, 0)
        found = {at: await spend(calls[at], seconds=seconds / _SLICES, tasks=_TASKS) for at in order}
        if turn:  # the first is the warm-up
            costs.append((found[1].cpu_us / found[0].cpu_us, found[0].rate / found[1].rate))
            click.echo(f"create: {found[0].cpu_us:.0f} µs without, {found[1].cpu_us:.0f} µs with {MATCHING} webhooks")


async def _compare_latencies(
    running: RunningKernel, rows: Rows, calm: list[float], silent: list[float], *, seconds: float, rounds: int
) -> None:
    """The same requests while nobody delivers, and while deliveries hang; both leave the same rows behind."""
    asks = [
        ask for pair in zip(Rocket().asks("get", rows), Rocket().asks("create", rows), strict=False) for ask in pair
    ]
    call = calls_of(running.quart, asks)
    for turn in range(rounds * 2 + 1):
        quiet = await _measured(call, seconds=seconds)
        _dispatcher(running).start()
        hanging = await _measured(call, seconds=seconds)
        await _hang_up(running)
        if turn:
            calm.append(quiet.at(0.99))
            silent.append(hanging.at(0.99))
            click.echo(f"p99: {calm[-1]:.2f} ms, {silent[-1]:.2f} ms beside a receiver that never answers")


async def _hang_up(running: RunningKernel) -> None:
    """Deliveries go on hanging otherwise, and the next turn's could not begin."""
    dispatcher = _dispatcher(running)
    apps = [desk.app for desk in dispatcher.desks.values()]
    await dispatcher.stop(patience_s=0)
    for app in apps:
        dispatcher.open(app)


async def _measured(call: Call, *, seconds: float) -> Latencies:
    found: list[float] = []
    numbers = iter(range(10**12))
    end = time.perf_counter() + seconds

    async def ask() -> None:
        while (began := time.perf_counter()) < end:
            await call(next(numbers))
            found.append((time.perf_counter() - began) * 1000)

    async with asyncio.TaskGroup() as group:
        for _ in range(_CALLERS):
            group.create_task(ask())
    return Latencies(tuple(found))


@asynccontextmanager
async def _kernel(folder: Path, rows: Rows) -> AsyncIterator[RunningKernel]:
    settings = {"webhooks": {"allow_addresses": ["127.0.0.1"]}}
    plain: Config = config(folder)
    made = replace(plain, plugins=replace(plain.plugins, settings=settings))
    async with filled_kernel(made, rows, plugins=installed_plugins(["webhooks"])) as running:
        yield running


async def _define(application: Application, urls: Sequence[str]) -> None:
    for url in urls:
        await answer(application, post(f"/api/{APP}/_admin/webhooks", {"entity": "product", "url": url}))


async def _pause(*kernels: RunningKernel) -> None:
    for running in kernels:
        await _dispatcher(running).pause()


def _dispatcher(running: RunningKernel) -> Any:
    """The bench knows no plugin: this one's is started and paused by its own methods."""
    plugin: Any = running.kernel.parts.plugins.find("webhooks")
    return plugin.dispatcher


@asynccontextmanager
async def _never_answering() -> AsyncIterator[str]:
    hanging: list[asyncio.StreamWriter] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hanging.append(writer)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        for writer in hanging:
            writer.close()


def _publish(out: Path, costs: list[tuple[float, float]], calm: list[float], silent: list[float]) -> None:
    cpu, rate = (median(pair[at] for pair in costs) for at in (0, 1))
    ratio = median(busy / quiet for quiet, busy in zip(calm, silent, strict=True))
    head = ["", "ratio", "target"]
    rows = [
        [f"processor time of a create, {MATCHING} matching webhooks to none", f"**{cpu:.2f}**", f"< {TARGET_COST}"],
        [f"time of a create, {_TASKS} at a time", f"**{rate:.2f}**", f"< {TARGET_COST}"],
        ["p99 of get and create, a receiver that never answers to none", f"**{ratio:.2f}**", f"< {TARGET_P99}"],
    ]
    markdown = markdown_table(head, rows) + "\n"
    figures = {"cpu": [pair[0] for pair in costs], "time": [pair[1] for pair in costs], "calm": calm, "silent": silent}
    write_files(out, "webhooks", markdown=markdown, json_text=json.dumps(figures, indent=2) + "\n")
    click.echo(f"\n{markdown}\nwritten to {out}/webhooks.md and .json")
