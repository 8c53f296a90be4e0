"""What can be used once is used once, however many try at the same instant in however many processes (contract §10)."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from rocket_auth.testing import ADMIN, PLATFORM
from rocket_kernel.testing.processes import Caller, ServerProcess

QUICK = "import rocket_auth; rocket_auth.AuthPlugin.hash_cost = 4; from rocket_kernel.cli import main; main()"
USES = 32
APP = "races"

pytestmark = pytest.mark.usefixtures("rocket_environment")


class TwoServers:
    """Two processes that serve one app, with open connections to both by turns."""

    def __init__(self, servers: list[ServerProcess]) -> None:
        self._servers = servers
        self.admin: Caller = servers[0].caller(APP)
        self._headers: dict[str, str] = {}

    async def open(self) -> None:
        async with self._servers[0].caller() as caller:
            pair = (await caller.post("/api/_platform/auth/login", PLATFORM)).require(200).data
            await caller.post("/api/_platform/apps", {"name": APP}, Authorization=f"Bearer {pair['access_token']}")

    async def login(self) -> dict:
        return (await self.admin.post("auth/login", ADMIN)).require(200).data

    async def at_once(self, use: Callable[[Caller], Awaitable[object]]) -> list:
        """What `USES` callers are answered who all have a connection before the first of them asks."""
        async with AsyncExitStack() as stack:
            callers = []
            for number in range(USES):
                caller = await stack.enter_async_context(self._servers[number % 2].caller(APP))
                await caller.connect()
                callers.append(caller)
            return await asyncio.gather(*(use(caller) for caller in callers))


async def race(tmp_path, database, rounds: Callable[[TwoServers], Awaitable[None]]) -> None:
    config = {"plugins.enabled": ["auth"], "plugins.settings.auth.access_token_s": 100_000}
    command = (sys.executable, "-c", QUICK)
    place = database.config()
    with (
        ServerProcess(tmp_path / "one", place, config=config, command=command) as one,
        ServerProcess(tmp_path / "two", place, config=config, command=command) as two,
    ):
        servers = TwoServers([one, two])
        await servers.open()
        async with servers.admin:
            await rounds(servers)


async def refresh_rounds(servers: TwoServers, count: int) -> None:
    for _ in range(count):
        token = (await servers.login())["refresh_token"]
        answers = await servers.at_once(lambda caller, it=token: caller.post("auth/refresh", {"refresh_token": it}))
        statuses = sorted(answer.status for answer in answers)
        assert statuses == [200] + [401] * (USES - 1)
        (won,) = [answer.data["refresh_token"] for answer in answers if answer.status == 200]
        # Those who came too late had a replaced token, so the family has ended.
        assert (await servers.admin.post("auth/refresh", {"refresh_token": won})).status == 401


async def invite_rounds(servers: TwoServers, count: int) -> None:
    authorization = f"Bearer {(await servers.login())['access_token']}"
    for number in range(count):
        email = f"guest{number}@example.com"
        made = await servers.admin.post("_admin/invites", {"email": email}, Authorization=authorization)
        body = {"token": made.require(201).data["token"], "password": "correct horse"}
        answers = await servers.at_once(lambda caller, it=body: caller.post("auth/accept-invite", it))
        assert sorted(answer.status for answer in answers) == [201] + [400] * (USES - 1)
        refused = {answer.error["message"] for answer in answers if answer.status == 400}
        assert refused == {"Invite has already been accepted"}
    users = (await servers.admin.get("_admin/users", Authorization=authorization)).require(200).data
    assert len(users) == count + 1


async def login_rounds(servers: TwoServers, count: int) -> None:
    """No more than ten wrong passwords are judged, whoever asks where."""
    for number in range(count):
        body = {"email": f"victim{number}@example.com", "password": "wrong horse"}
        answers = await servers.at_once(lambda caller, it=body: caller.post("auth/login", it))
        assert sorted(answer.status for answer in answers) == [401] * 10 + [429] * (USES - 10)


async def test_one_of_many_wins(tmp_path, database):
    async def rounds(servers: TwoServers) -> None:
        await refresh_rounds(servers, 3)
        await invite_rounds(servers, 3)
        await login_rounds(servers, 2)

    await race(tmp_path, database, rounds)


@pytest.mark.torture
async def test_one_of_many_wins_in_every_round(tmp_path, database):
    async def rounds(servers: TwoServers) -> None:
        await refresh_rounds(servers, 200)
        await invite_rounds(servers, 200)
        await login_rounds(servers, 200)

    await race(tmp_path, database, rounds)
