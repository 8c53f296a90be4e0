"""Rocket on Postgres beside a bare asyncpg loop, both in this process and asked by turns.

In this process, because an HTTP server in front of both would add the same to both, and so flatter the ratio: what is
wanted is what Rocket adds to the statements and the bytes. Both use a pool of the same size. The server runs on the
other core, unless `ROCKET_TEST_POSTGRES` names one that is running already.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import asyncpg
import click

from bench.asgi import Call, Spent, answer, calls_of, spend
from bench.asks import Ask, get
from bench.kernel import filled_kernel, run
from bench.processes import choose_cores, pinned
from bench.questions import PER_PAGE
from bench.raw_postgres import raw_get, raw_list, recorded
from bench.report import markdown_table, write_files
from bench.rows import Rows, make_rows
from rocket_kernel.config import Config, DatabaseConfig
from rocket_kernel.secret import Secret
from rocket_kernel.testing.postgres import PostgresAddress, postgres_address

if TYPE_CHECKING:
    from bench.raw_postgres import Pool
    from rocket_kernel.testing import RunningKernel

TARGET = 0.5
POOL = 5
_SLICES = 4

Pair = tuple[Spent, Spent]


def run_postgres(folder: Path, out: Path, *, seconds: float, rounds: int, connections: int) -> None:
    cores = choose_cores()
    with pinned(cores.load):
        address = postgres_address()
    found: dict[str, list[Pair]] = {"list": [], "get": []}

    async def work() -> None:
        rows, app = make_rows(), f"bench_{secrets.token_hex(4)}"
        config = _config(address, folder)
        async with (
            _management(address, config.database.name),
            filled_kernel(config, rows, app=app) as running,
            asyncpg.create_pool(
                **_connect(address, f"rocket_{app}"), min_size=POOL, max_size=POOL, reset=_leave_as_it_is
            ) as pool,
        ):
            for name, (ours, raw) in (await _contenders(running, pool, rows, app)).items():
                for turn in range(rounds * _SLICES + 1):
                    pair = [
                        await spend(call, seconds=seconds / _SLICES, tasks=connections)
                        for call in ((ours, raw) if turn % 2 else (raw, ours))
                    ]
                    if turn:  # the first is the warm-up
                        found[name].append((pair[0], pair[1]) if turn % 2 else (pair[1], pair[0]))

    with pinned(cores.server):
        run(work)
    _publish(out, found, version=address)


async def _contenders(running: RunningKernel, pool: Pool, rows: Rows, app: str) -> dict[str, tuple[Call, Call]]:
    """By scenario, Rocket and the bare loop, which have given the same bytes."""
    listed = get(f"/api/{app}/product")
    keys = [row.key.uuid for row in rows.products]
    gets = [get(f"/api/{app}/product/{key}") for key in keys]
    statements = await recorded(answer(running.quart, listed))
    (one,) = await recorded(answer(running.quart, gets[0]))
    made: dict[str, tuple[Call, Call]] = {
        "list": (calls_of(running.quart, [listed]), raw_list(pool, statements, PER_PAGE)),
        "get": (calls_of(running.quart, gets), raw_get(pool, one, keys)),
    }
    for name, asked in (("list", listed), ("get", gets[0])):
        await _require_same(running, made[name][1], asked)
    return made


async def _require_same(running: RunningKernel, raw: Call, asked: Ask) -> None:
    ours, theirs = await answer(running.quart, asked), await raw(0)
    if ours != theirs:
        raise click.ClickException(f"{asked.target}: Rocket answers {ours!r}, the bare loop {theirs!r}")


def _publish(out: Path, found: dict[str, list[Pair]], *, version: PostgresAddress) -> None:
    head = ["", "bare loop /s", "Rocket /s", "ratio", "target", "bare loop, processor", "Rocket, processor"]
    ratios = {name: median(ours.rate / raw.rate for ours, raw in pairs) for name, pairs in found.items()}
    rows = [
        [
            name,
            f"{median(raw.rate for _, raw in pairs):,.0f}",
            f"{median(ours.rate for ours, _ in pairs):,.0f}",
            f"**{ratios[name]:.2f}**",
            f"{TARGET:g} {'reached' if ratios[name] >= TARGET else 'missed'}",
            f"{median(raw.cpu_us for _, raw in pairs):.0f} µs",
            f"{median(ours.cpu_us for ours, _ in pairs):.0f} µs",
        ]
        for name, pairs in found.items()
    ]
    markdown = markdown_table(head, rows) + "\n"
    write_files(out, "postgres", markdown=markdown, json_text=json.dumps({"ratios": ratios}, indent=2) + "\n")
    click.echo(f"\n{markdown}\nwritten to {out}/postgres.md and .json")


def _config(address: PostgresAddress, folder: Path) -> Config:
    return Config(
        database=DatabaseConfig(
            driver="postgres",
            data_dir=folder,
            host=address.host,
            port=address.port,
            user=address.user,
            password=None if address.password is None else Secret(address.password),
            name=f"rocket_bench_{secrets.token_hex(4)}",
        ),
        app_pool_size=POOL,
    )


@asynccontextmanager
async def _management(address: PostgresAddress, name: str) -> AsyncIterator[None]:
    """Drops the management database that a kernel has made, after the kernel has stopped."""
    try:
        yield
    finally:
        server = address.server()
        await server.drop_database(name)
        await server.close()


def _connect(address: PostgresAddress, database: str) -> dict[str, Any]:
    return {
        "host": address.host,
        "port": address.port,
        "user": address.user,
        "password": address.password,
        "database": database,
    }


async def _leave_as_it_is(_connection: object) -> None:
    """The driver would spend a round trip on resetting what is never set; Rocket's pool does not either."""
