"""What signing in and permissions cost: a kernel without plugins beside one with the plugin auth.

There the caller sends a token, is no administrator, and may do what rows of permissions with a condition allow.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

import click

from bench.asgi import Application, Spent, answer, calls_of, spend
from bench.asks import Ask, get, post
from bench.kernel import filled_kernel, run
from bench.processes import choose_cores, pinned
from bench.report import markdown_table, write_files
from bench.rocket import APP, Rocket, config, document
from bench.rows import Rows, make_rows
from rocket_kernel.config import Config
from rocket_kernel.plugins import installed_plugins
from rocket_kernel.testing import run_kernel

TARGET = 0.8
_TASKS = 32
_SLICES = 32
"""Both kernels are measured by turns, so many times in a round: what else the machine does meets both alike."""
_ASKED_IN_A_SLICE = 480
"""More than are answered in one where each answer takes the database's time."""
_SCENARIOS = ("get", "list", "filter", "unasked", "create")
_PLATFORM = {"email": "platform@localhost", "password": "changeme"}
_CLERK = {"email": "clerk@example.com", "password": "a word for the bench"}
_ROLE = "clerk"
# Every row satisfies it, so that both kernels give the same answers.
_CONDITION = {"field": "qty", "operator": "gte", "value": 0}


def run_auth(folder: Path, out: Path, *, seconds: float, rounds: int) -> None:
    ratios: dict[str, list[float]] = {name: [] for name in _SCENARIOS}
    spent: dict[str, tuple[Spent, Spent]] = {}

    async def work() -> None:
        rows = make_rows()
        async with (
            filled_kernel(config(folder / "without"), rows) as bare,
            _guarded_kernel(config(folder / "with"), rows) as (guarded, token),
        ):
            # The same bytes for both: what a client sends costs a kernel without plugins something, too.
            anybody, clerk = _sending(bare.quart, token), _sending(guarded, token)
            for name in _SCENARIOS:
                asks = Rocket().asks(name, rows)
                await _require_same_answer(anybody, clerk, asks[0])
                for turn in range(rounds * _SLICES + 1):
                    # What was never asked before must not be asked again in the next slice.
                    turned = _turned(asks, turn * _ASKED_IN_A_SLICE)
                    calls = calls_of(anybody, turned), calls_of(clerk, turned)
                    order = (0, 1) if turn % 2 else (1, 0)
                    found = {at: await spend(calls[at], seconds=seconds / _SLICES, tasks=_TASKS) for at in order}
                    if turn:  # the first is the warm-up
                        ratios[name].append(found[0].cpu_us / found[1].cpu_us)
                        spent[name] = found[0], found[1]

    with pinned(choose_cores().server):
        run(work)
    _publish(out, ratios, spent)


@asynccontextmanager
async def _guarded_kernel(config: Config, rows: Rows) -> AsyncIterator[tuple[Application, str]]:
    """Its application, and the token of a clerk."""
    async with run_kernel(config, plugins=installed_plugins(["auth"])) as running:
        stranger: Application = running.quart
        base = f"/api/{APP}"
        owner = _sending(stranger, await _token(stranger, "/api/_platform", _PLATFORM))
        await answer(owner, post("/api/_platform/apps", {"name": APP}))
        rights = [
            {"entity": "product", "action": action, "roles": [_ROLE], "conditions": [_CONDITION]}
            for action in ("read", "create", "update", "delete")
        ]
        await answer(owner, post(f"{base}/_admin/import", {**document(rows), "permissions": rights}))
        await answer(owner, post(f"{base}/_admin/users", {**_CLERK, "roles": [_ROLE]}))
        try:
            yield stranger, await _token(stranger, base, _CLERK)
        finally:
            await running.kernel.apps.delete(APP)


async def _token(application: Application, base: str, account: Mapping[str, str]) -> str:
    body = json.loads(await answer(application, post(f"{base}/auth/login", account)))
    return str(body["data"]["access_token"])


def _turned(asks: Sequence[Ask], start: int) -> Sequence[Ask]:
    at = start % len(asks)
    return [*asks[at:], *asks[:at]]


def _sending(application: Application, token: str) -> Application:
    """The same application, each request with the token."""
    header = (b"authorization", f"Bearer {token}".encode())

    async def call(scope: Any, receive: Any, send: Any) -> None:
        await application({**scope, "headers": [*scope["headers"], header]}, receive, send)

    return call


async def _require_same_answer(bare: Application, guarded: Application, asked: Ask) -> None:
    """Measuring two different answers would mean nothing."""
    if asked.method != "GET":
        return
    # Rows differ in the moment at which they were imported.
    if len(await answer(bare, asked)) != len(await answer(guarded, asked)):
        raise click.ClickException(f"{asked.target}: the two kernels answer differently")
    try:
        await answer(guarded, get(asked.target.replace("/product", "/line", 1)))
    except click.ClickException:
        return
    raise click.ClickException("the clerk may read what no permission allows")


def _publish(out: Path, ratios: dict[str, list[float]], spent: dict[str, tuple[Spent, Spent]]) -> None:
    head = ["processor time per request", "no plugin", "auth, a condition", "speed kept", f"at least {TARGET:.0%}"]
    rows = []
    for name, found in ratios.items():
        before, after, kept = spent[name][0].cpu_us, spent[name][1].cpu_us, median(found)
        reached = "reached" if kept >= TARGET else "**missed**"
        rows.append([name, f"{before:.0f} µs", f"{after:.0f} µs", f"**{kept:.2f}**", reached])
    markdown = markdown_table(head, rows) + "\n"
    figures = {name: {"kept": median(found), "slices": found} for name, found in ratios.items()}
    write_files(out, "auth", markdown=markdown, json_text=json.dumps(figures, indent=2) + "\n")
    click.echo(f"\n{markdown}\nwritten to {out}/auth.md and .json")
