"""What webhooks cost a write, and whether a receiver that never answers is felt by anybody else.

Two servers on the same rows are asked by turns: one without webhooks, one with five for every write. Their receiver
takes connections and says nothing, so that as many deliveries hang as may, and all others wait: what is measured of a
write is the write, outbox rows included, and not the deliveries, which happen later and in whatever process.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import click

from bench.answers import ask
from bench.asks import Ask, post
from bench.processes import Cores, ServerProcess, choose_cores, free_port, running
from bench.report import markdown_table, write_files
from bench.rocket import APP, Rocket, document
from bench.rows import Rows, make_rows
from bench.wrk import Load, require_wrk, run_wrk

MATCHING = 5
TARGET_COST = 1.5
TARGET_P99 = 1.1
_SLICES = 4
"""The servers are measured by turns, so many times in a round."""


@dataclass(slots=True)
class Found:
    """Ratios of the server with webhooks to the one without, a pair of measurements each."""

    cpu: list[float] = field(default_factory=list)
    time: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Measured:
    cpu_us: float
    """Processor time of the server for one request."""
    rate: float
    p99_ms: float


def run_webhooks(folder: Path, out: Path, *, seconds: float, rounds: int, connections: int) -> None:
    require_wrk()
    cores, rows, found = choose_cores(), make_rows(), Found()
    load = Load(connections, max(seconds / 2, 1.0), cores.load)
    with ExitStack() as stack:
        url = stack.enter_context(_never_answering())
        pair = [
            stack.enter_context(_served(folder / str(count), cores, rows, [url] * count)) for count in (0, MATCHING)
        ]
        for name, asks in (("create", Rocket().asks("create", rows)), ("get", Rocket().asks("get", rows))):
            for turn in range(rounds * _SLICES + 1):
                order = (0, 1) if turn % 2 else (1, 0)
                measured = {at: _measured(pair[at], asks, load, folder, seed=turn) for at in order}
                if turn:  # the first is the warm-up
                    _note(found, name, measured[0], measured[1])
    _publish(out, found)


def _note(found: Found, name: str, without: Measured, beside: Measured) -> None:
    click.echo(
        f"{name}: {without.cpu_us:.0f} and {beside.cpu_us:.0f} µs, {without.rate:,.0f} and {beside.rate:,.0f} /s, "
        f"p99 {without.p99_ms:.1f} and {beside.p99_ms:.1f} ms"
    )
    if name == "create":
        found.cpu.append(beside.cpu_us / without.cpu_us)
        found.time.append(without.rate / beside.rate)
    else:
        found.p99.append(beside.p99_ms / without.p99_ms)


def _measured(server: ServerProcess, asks: Sequence[Ask], load: Load, folder: Path, *, seed: int) -> Measured:
    before = server.cpu_s()
    outcome = run_wrk(server.address, asks, load, folder, seed=seed)
    spent = server.cpu_s() - before
    return Measured(spent / outcome.requests * 1e6, outcome.rate, outcome.p99_ms)


@contextmanager
def _served(folder: Path, cores: Cores, rows: Rows, urls: list[str]) -> Iterator[ServerProcess]:
    folder.mkdir(parents=True)
    port = free_port()
    settings = {"webhooks": {"allow_addresses": ["127.0.0.1"]}}
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ROCKET_")} | {
        "ROCKET_PLUGINS__ENABLED": "[webhooks]",
        "ROCKET_PLUGINS__SETTINGS": json.dumps(settings),
    }
    command = [str(Path(sys.executable).with_name("rocket")), "serve", "--port", str(port), "--data-dir", str(folder)]
    address = f"127.0.0.1:{port}"
    with running(
        command, address=address, health="/health", core=cores.server, folder=folder, environ=environ
    ) as server:
        ask(address, post("/api/_platform/apps", {"name": APP})).require()
        ask(address, post(f"/api/{APP}/_admin/import", document(rows))).require()
        for url in urls:
            ask(address, post(f"/api/{APP}/_admin/webhooks", {"entity": "product", "url": url})).require()
        yield server


@contextmanager
def _never_answering() -> Iterator[str]:
    """The system takes connections for it; nobody reads."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"


def _publish(out: Path, found: Found) -> None:
    head = [f"{MATCHING} matching webhooks to none", "ratio", "target"]
    rows = [
        ["processor time of a create", f"**{median(found.cpu):.2f}**", f"< {TARGET_COST}"],
        ["time of a create", f"**{median(found.time):.2f}**", f"< {TARGET_COST}"],
        ["p99 of a get, while no receiver answers", f"**{median(found.p99):.2f}**", f"< {TARGET_P99}"],
    ]
    markdown = markdown_table(head, rows) + "\n"
    figures = {"cpu": found.cpu, "time": found.time, "p99": found.p99}
    write_files(out, "webhooks", markdown=markdown, json_text=json.dumps(figures, indent=2) + "\n")
    click.echo(f"\n{markdown}\nwritten to {out}/webhooks.md and .json")
