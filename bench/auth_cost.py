"""What it costs to know who calls: the hook `authenticate` by itself, on both databases, once a token has been met.

A caller of an app is remembered, and the session that reads the record tells whether that still holds. A platform user
in an app is read from the management database each time.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median

import click

from bench.asgi import Application, answer, scope
from bench.asks import Ask, get, post
from bench.kernel import run
from bench.processes import choose_cores, pinned
from bench.report import markdown_table, write_files
from bench.rocket import config
from rocket_kernel import Request
from rocket_kernel.config import Config, DatabaseConfig
from rocket_kernel.http.scope import make_request
from rocket_kernel.plugins import installed_plugins
from rocket_kernel.secret import Secret
from rocket_kernel.testing import RunningKernel, run_kernel
from rocket_kernel.testing.postgres import postgres_address

TARGET_US = 25
_CALLS = 2000
_DEFAULT = "changeme"


def run_auth_cost(folder: Path, out: Path, *, rounds: int) -> None:
    cores = choose_cores()
    with pinned(cores.load):
        address = postgres_address()
    on_server = Config(
        database=DatabaseConfig(
            driver="postgres",
            data_dir=folder,
            host=address.host,
            port=address.port,
            user=address.user,
            password=None if address.password is None else Secret(address.password),
            name=f"rocket_bench_{secrets.token_hex(4)}",
        )
    )
    found: dict[str, dict[str, float]] = {}

    async def work() -> None:
        for title, chosen in (("SQLite", config(folder / "cost")), ("Postgres", on_server)):
            async with _kernel(chosen) as (running, app):
                found[title] = await _measured(running, app, rounds)
        server = address.server()
        await server.drop_database(on_server.database.name)
        await server.close()

    with pinned(cores.server):
        run(work)
    _publish(out, found)


@asynccontextmanager
async def _kernel(chosen: Config) -> AsyncIterator[tuple[RunningKernel, str]]:
    name = f"bench-{secrets.token_hex(4)}"
    async with run_kernel(chosen, plugins=installed_plugins(["auth"])) as running:
        token = await _token(running.quart, "/api/_platform", "platform@localhost")
        await answer(_sending(running.quart, token), post("/api/_platform/apps", {"name": name}))
        try:
            yield running, name
        finally:
            await running.kernel.apps.delete(name)


async def _measured(running: RunningKernel, app: str, rounds: int) -> dict[str, float]:
    """Microseconds of processor time by kind of caller."""
    tokens = {
        "user of the app": await _token(running.quart, f"/api/{app}", "admin@localhost"),
        "platform user": await _token(running.quart, "/api/_platform", "platform@localhost"),
    }
    return {kind: await _per_call(running, app, token, rounds) for kind, token in tokens.items()}


async def _per_call(running: RunningKernel, app: str, token: str, rounds: int) -> float:
    (authenticate,) = running.kernel.authenticate
    request = await _request(running, get(f"/api/{app}/product"), token)
    await authenticate(request)
    figures = []
    for _ in range(rounds + 1):
        start = time.process_time()
        for _ in range(_CALLS):
            await authenticate(request)
        figures.append((time.process_time() - start) / _CALLS * 1e6)
    return median(figures[1:])


async def _request(running: RunningKernel, asked: Ask, token: str) -> Request:
    """As it is when the hook is called."""
    described = scope(asked)
    described["headers"] = [*described["headers"], (b"authorization", f"Bearer {token}".encode())]
    request = make_request(running.kernel, described, _nothing())
    match = running.kernel.router.match(asked.method, asked.target)
    request.route, request.params = match.route, match.params
    request.app = await running.kernel.apps.app(match.params["app"])
    request.confirms_caller = match.route.confirms_caller
    return request


async def _nothing() -> AsyncIterator[bytes]:
    yield b""


async def _token(application: Application, base: str, email: str) -> str:
    body = await answer(application, post(f"{base}/auth/login", {"email": email, "password": _DEFAULT}))
    return str(json.loads(body)["data"]["access_token"])


def _sending(application: Application, token: str) -> Application:
    async def call(
        described: dict[str, object],
        receive: Callable[[], Awaitable[object]],
        send: Callable[[object], Awaitable[None]],
    ) -> None:
        headers = described["headers"]
        if isinstance(headers, list):
            header = (b"authorization", f"Bearer {token}".encode())
            await application({**described, "headers": [*headers, header]}, receive, send)

    return call


def _publish(out: Path, found: dict[str, dict[str, float]]) -> None:
    head = ["authentication, processor time per request", *found]
    kinds = list(next(iter(found.values())))
    rows = [[kind, *(f"{figures[kind]:.1f} µs" for figures in found.values())] for kind in kinds]
    worst = max(figures["user of the app"] for figures in found.values())
    verdict = "reached" if worst < TARGET_US else "**missed**"
    markdown = f"{markdown_table(head, rows)}\n\nUsers of an app, under {TARGET_US} µs: {verdict}.\n"
    write_files(out, "auth-cost", markdown=markdown, json_text=json.dumps(found, indent=2) + "\n")
    click.echo(f"\n{markdown}\nwritten to {out}/auth-cost.md and .json")
