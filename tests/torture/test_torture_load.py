"""More requests than connections, many writers on one file, and metadata that changes under them (design §6)."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter

import pytest

from rocket_kernel.testing import entity, one_to_many

ORDER = entity("order", name="string!", state="string enum=new|paid default=new", at="timestamp auto=create")
LINE = entity("line", order_id="uuid!", sku="string!", amount="decimal:2!")
LINES = one_to_many("lines", "order", "line", on_delete="cascade")
WRITERS = 64
READERS = 50
long = pytest.mark.torture


def order(number, lines=10):
    return {"name": f"order {number}", "lines": [{"sku": f"{number}/{i}", "amount": f"{i}.50"} for i in range(lines)]}


@pytest.mark.parametrize("rounds", [1, pytest.param(10, marks=pytest.mark.torture)])
@pytest.mark.parametrize("workers", [1, 2])
async def test_many_nested_creates_share_a_small_pool(stage, statuses, figure, workers, rounds):
    run = stage(workers=workers, config={"app_pool_size": 5})
    app = await run.app(ORDER, LINE, relations=[LINES])
    slowest = 0.0
    for number in range(rounds):
        began = time.monotonic()
        answers = await run.at_once(app, [("POST", "order", order(i)) for i in range(200)])
        slowest = max(slowest, time.monotonic() - began)
        assert statuses(answers) == {201: 200}
        assert slowest < 10
        async with run.caller(app) as caller:
            assert (await caller.get("order?per_page=1")).meta["total"] == 200 * (number + 1)
            assert (await caller.get("line?per_page=1")).meta["total"] == 2000 * (number + 1)
    figure("slowest 200 in s", slowest)


@pytest.mark.parametrize(
    ("workers", "seconds"), [(2, 1), pytest.param(1, 30, marks=long), pytest.param(2, 30, marks=long)]
)
async def test_many_writers_on_one_app_meet_no_error(stage, figure, workers, seconds):
    run = stage(workers=workers)
    app = await run.app(ORDER, LINE, relations=[LINES])
    seen = Counter()
    slowest = 0.0

    async def write(caller, number):
        nonlocal slowest
        end = time.monotonic() + seconds
        made = 0
        while (began := time.monotonic()) < end:
            created = (await caller.post("order", order(f"{number}-{made}", lines=made % 3))).require(201)
            path = f"order/{created.data['id']}"
            (await caller.put(path, {"state": "paid"})).require(200)
            assert (await caller.get(path)).require(200).data == {**created.data, "state": "paid"}
            if made % 4 == 3:
                (await caller.delete(path)).require(200)
            seen.update(writes=3 if made % 4 == 3 else 2, left=made % 4 != 3)
            slowest = max(slowest, time.monotonic() - began)
            made += 1

    async with run.callers(WRITERS, app) as callers:
        await asyncio.gather(*(write(caller, number) for number, caller in enumerate(callers)))
        assert (await callers[0].get("order?per_page=1")).meta["total"] == seen["left"]
    figure("writes per second", seen["writes"] / seconds)
    figure("slowest turn in s", slowest)


class Watch:
    """An app with one entity, of which all processes know the definition in force."""

    def __init__(self, run, app):
        self.run = run
        self.app = app
        self.number = 0

    async def change(self, caller):
        """Give the entity other fields; see that every process obeys at once."""
        self.number += 1
        fields = {"title": "string", f"f{self.number}": f"string default=d{self.number}"}
        (await caller.put("_admin/entities/thing", entity("thing", **fields))).require(200)
        await self.expect({"id", *fields})

    async def expect(self, fields):
        asks = [("POST", "thing", {"title": "x"}), ("GET", f"thing?fields={','.join(fields)}&per_page=1")]
        for answer in await self.run.at_once(self.app, asks * (READERS // 2)):
            records = answer.require(201 if answer.method == "POST" else 200).data
            for record in records if isinstance(records, list) else [records]:
                assert record.keys() == fields, answer

    async def expect_entity(self, name):
        for answer in await self.run.at_once(self.app, [("POST", name, {"text": "x"})] * READERS):
            assert answer.require(201).data.keys() == {"id", "text"}


@pytest.mark.parametrize(
    ("server", "rounds"),
    [("granian", 4), pytest.param("granian", 60, marks=long), pytest.param("hypercorn", 60, marks=long)],
)
async def test_a_change_through_one_worker_is_in_force_in_all_before_its_answer(stage, rounds, server):
    run = stage(workers=2, server=server)
    watch = Watch(run, await run.app(entity("thing", title="string")))
    await watch.expect({"id", "title"})
    async with run.caller(watch.app) as caller:
        for _ in range(rounds):
            await watch.change(caller)


@pytest.mark.parametrize("rounds", [4, pytest.param(60, marks=long)])
async def test_a_change_through_another_server_is_in_force_at_once(stage, rounds):
    run = stage(servers=2)
    watch = Watch(run, await run.app(entity("thing", title="string")))
    await watch.expect({"id", "title"})
    async with run.servers[0].caller(watch.app) as one, run.servers[1].caller(watch.app) as other:
        for _ in range(rounds):
            await watch.change(one)
            await watch.change(other)


@pytest.mark.parametrize("rounds", [1, pytest.param(10, marks=pytest.mark.torture)])
async def test_an_import_beside_the_server_is_in_force_at_once(stage, rounds):
    run = stage(workers=2)
    watch = Watch(run, await run.app(entity("thing", title="string")))
    await watch.expect({"id", "title"})
    for number in range(rounds):
        name = f"more{number}"
        file = run.server.folder / "more.json"
        file.write_text(json.dumps({"version": 1, "entities": [entity(name, text="string")]}))
        done = await asyncio.to_thread(run.server.run, "import", watch.app, str(file))
        assert (done.returncode, done.stdout) == (0, "Imported: entities 1\n"), done.stderr
        await watch.expect_entity(name)
