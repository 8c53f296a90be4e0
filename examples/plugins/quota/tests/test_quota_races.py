"""Two server processes, many connections, one quota: never a record more than it allows, and none less."""

import asyncio
from collections import Counter

import pytest

from rocket_kernel.testing import ServerProcess, entity
from rocket_quota import QuotaPlugin

LIMIT = 11
CALLERS = 6
WRITES = 3
# Without an authentication plugin everybody is one and the same administrator.
CALLER = "platform:-"


@pytest.fixture
def servers(tmp_path, database):
    # No window ends during the test.
    config = {"plugins.settings": {"quota": {"roles": {"admin": LIMIT}, "window_s": 366 * 86_400}}}
    place = database.config()
    with (
        ServerProcess(tmp_path / "one", place, plugins=[QuotaPlugin], config=config) as one,
        ServerProcess(tmp_path / "two", place, plugins=[QuotaPlugin], config=config) as two,
    ):
        yield one, two


async def play(servers, number):
    """One round: all callers wait for each other, then each writes, and fails to write, as fast as it can."""
    barrier = asyncio.Barrier(CALLERS)

    async def write(position):
        statuses = Counter()
        async with servers[position % 2].caller("shop") as caller:
            await caller.connect()
            await barrier.wait()
            for attempt in range(WRITES):
                answer = await caller.post("order", {"title": f"{number} {position} {attempt}"})
                statuses[answer.status] += 1
                # Taken already: it claims a share, meets the unique index, and gives the share back.
                refused = await caller.post("order", {"title": "taken"})
                statuses["given back", refused.status] += 1
        return statuses

    return sum(await asyncio.gather(*(write(position) for position in range(CALLERS))), Counter())


async def race(servers, rounds):
    async with servers[0].caller() as admin:
        (await admin.post("/api/_platform/apps", {"name": "shop"})).require(201)
    async with servers[0].caller("shop") as shop:
        (await shop.post("_admin/entities", entity("order", title="string! unique"))).require(201)
        (await shop.post("order", {"title": "taken"})).require(201)
        for number in range(rounds):
            before = (await shop.get("order")).meta["total"]
            (await shop.delete(f"_admin/quota/{CALLER}")).require(200)
            statuses = await play(servers, number)
            made = (await shop.get("order")).meta["total"] - before
            (use,) = (await shop.get("_admin/quota")).data
            assert (made, use["used"]) == (statuses[201], statuses[201]), statuses
            assert set(statuses) <= {201, 429, ("given back", 409), ("given back", 429)}, statuses
            assert statuses[201] == LIMIT or (statuses[201] < LIMIT and statuses["given back", 409] > 0), statuses
            # A share that was claimed and given back may have been refused to somebody meanwhile, and is there again.
            free = LIMIT - use["used"]
            late = [(await shop.post("order", {"title": f"{number} late {n}"})).status for n in range(free + 1)]
            assert late == [201] * free + [429]


async def test_two_processes_share_a_quota(servers):
    await race(servers, rounds=4)


@pytest.mark.torture
async def test_two_processes_share_a_quota_for_long(servers):
    await race(servers, rounds=150)
