"""What a workflow costs the write that starts it, and what ten thousand waiting instances cost everybody else.

Two kernels in one process are asked by turns. Steps are carried out by nobody, as if another process did: what is
measured is the write alone, with the row of the instance.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import Any

import click

from bench.asgi import Application, answer, calls_of, spend
from bench.asks import get, post
from bench.kernel import filled_kernel, run
from bench.processes import choose_cores, pinned
from bench.report import markdown_table, write_files
from bench.rocket import APP, Rocket, config
from bench.rows import Rows, make_rows
from rocket_kernel.plugins import installed_plugins
from rocket_kernel.testing import RunningKernel

TARGET_COST = 1.5
TARGETS_MS = {"pending": 50.0, "timers": 100.0, "start": 5000.0}
WAITING = 10_000
_TASKS = 32
_SLICES = 8
"""The kernels are measured by turns, so many times in a round."""
_LOOKS = 20
_WORKFLOW = {
    "name": "watch",
    "trigger": {"type": "create", "entity": "product"},
    "context": {"id": "record_id", "price": "record.price"},
    "steps": [
        {"id": "check", "type": "condition", "expression": "context.price > 100", "on_true": "ask"},
        {"id": "ask", "type": "approval", "assignee": {"type": "role", "role": "manager"}, "timeout": "72h"},
    ],
}
_RESTING = {
    "name": "rest",
    "trigger": {"type": "manual"},
    "steps": [{"id": "ask", "type": "approval", "assignee": {"type": "role", "role": "manager"}, "timeout": "30d"}],
}


def run_workflows(folder: Path, out: Path, *, seconds: float, rounds: int) -> None:
    costs: list[tuple[float, float]] = []
    waiting: dict[str, float] = {}

    async def work() -> None:
        rows, plugins = make_rows(), installed_plugins(["workflows"])
        async with (
            filled_kernel(config(folder / "none"), rows, plugins=plugins) as without,
            filled_kernel(config(folder / "one"), rows, plugins=plugins) as one,
        ):
            for running in (without, one):
                await _engine(running).stop()
            await answer(one.quart, post(f"/api/{APP}/_admin/workflows", _WORKFLOW))
            await _compare(without, one, rows, costs, seconds=seconds, rounds=rounds)
        async with filled_kernel(config(folder / "crowd"), rows, plugins=plugins) as running:
            await _engine(running).stop()
            await _measure_crowd(running, waiting)

    with pinned(choose_cores().server):
        run(work)
    _publish(out, costs, waiting)


async def _compare(
    without: RunningKernel,
    one: RunningKernel,
    rows: Rows,
    costs: list[tuple[float, float]],
    *,
    seconds: float,
    rounds: int,
) -> None:
    asks = Rocket().asks("create", rows)
    calls = calls_of(without.quart, asks), calls_of(one.quart, asks)
    for turn in range(rounds * _SLICES + 1):
        order = (0, 1) if turn % 2 else (1, 0)
        found = {at: await spend(calls[at], seconds=seconds / _SLICES, tasks=_TASKS) for at in order}
        if turn:  # the first is the warm-up
            costs.append((found[1].cpu_us / found[0].cpu_us, found[0].rate / found[1].rate))
            click.echo(f"create: {found[0].cpu_us:.0f} µs without, {found[1].cpu_us:.0f} µs with a workflow")


async def _measure_crowd(running: RunningKernel, waiting: dict[str, float]) -> None:
    """Milliseconds: `pending` of everybody who may decide all of it, a look for due timers, and opening the app."""
    application: Application = running.quart
    await answer(application, post(f"/api/{APP}/_admin/workflows", _RESTING))
    for _ in range(WAITING):
        await answer(application, post(f"/api/{APP}/_workflows", {"workflow": "rest"}))
    app, engine = await running.kernel.apps.app(APP), _engine(running)

    async def pending() -> None:
        await answer(application, get(f"/api/{APP}/_workflows/pending"))

    async def timers() -> None:
        await engine.leases.claim_due(app, 4)

    async def start() -> None:
        await running.kernel.apps.close(APP)
        await answer(application, get(f"/api/{APP}/product?per_page=1"))

    waiting["timers"] = await _timed(timers)
    waiting["pending"] = await _timed(pending)
    waiting["start"] = await _timed(start)


async def _timed(work: Callable[[], Awaitable[None]]) -> float:
    """The median of a few, in milliseconds."""
    found = []
    for _ in range(_LOOKS):
        began = time.perf_counter()
        await work()
        found.append((time.perf_counter() - began) * 1000)
    return median(found)


def _engine(running: RunningKernel) -> Any:
    plugin: Any = running.kernel.parts.plugins.find("workflows")
    return plugin.engine


def _publish(out: Path, costs: list[tuple[float, float]], waiting: dict[str, float]) -> None:
    cpu, rate = (median(pair[at] for pair in costs) for at in (0, 1))
    rows = [
        ["processor time of a create, one workflow started to none", f"**{cpu:.2f}**", f"< {TARGET_COST}"],
        [f"time of a create, {_TASKS} at a time", f"**{rate:.2f}**", f"< {TARGET_COST}"],
        *(
            [
                f"{name}, {WAITING:,} waiting",
                f"{took:.1f} ms",
                f"< {TARGETS_MS[name]:g} ms" if name in TARGETS_MS else "none",
            ]
            for name, took in waiting.items()
        ),
    ]
    markdown = markdown_table(["", "measured", "target"], rows) + "\n"
    figures = {"cpu": [pair[0] for pair in costs], "time": [pair[1] for pair in costs], "waiting_ms": waiting}
    write_files(out, "workflows", markdown=markdown, json_text=json.dumps(figures, indent=2) + "\n")
    click.echo(f"\n{markdown}\nwritten to {out}/workflows.md and .json")
