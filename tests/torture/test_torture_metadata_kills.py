"""`kill -9` in the middle of a change of metadata: definition, tables and behaviour are the old ones or the new ones."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from random import Random

import pytest

from rocket_kernel.store.introspect import read_table
from rocket_kernel.store.servers import configured_servers
from rocket_kernel.testing import assert_error, entity, many_to_many
from rocket_kernel.testing.processes import Lost

ROWS = 400
RESTART_S = 10


class Fields:
    """A PUT that adds a required field with a default, and a unique one, to a table with rows."""

    def __init__(self, number):
        self.name = f"thing{number}"
        self.old = entity(self.name, title="string")
        self.new = entity(self.name, title="string", state="string! default=fresh", code="string unique")
        self.ask = ("PUT", f"_admin/entities/{self.name}", self.new)

    async def prepare(self, caller):
        rows = [{"title": f"title {i}"} for i in range(ROWS)]
        document = {"version": 1, "entities": [self.old], "sample_data": {self.name: rows}}
        done = (await caller.post("_admin/import", document)).require(200).data
        assert done["summary"]["records"] == ROWS

    async def is_new(self, caller):
        definition = (await caller.get(f"_admin/entities/{self.name}")).require(200).data["definition"]
        names = {field["name"] for field in definition["fields"]}
        assert names in ({"id", "title"}, {"id", "title", "state", "code"})
        return "code" in names

    async def require_old(self, caller, table):
        assert [column.name for column in (await table(self.name)).columns] == ["id", "title"]
        assert (await caller.post(self.name, {"title": "x", "code": "c"})).status == 422
        assert_error(await caller.get(f"{self.name}?filter[state]=fresh"), 400, "UNKNOWN_FIELD")
        assert (await caller.get(f"{self.name}?per_page=1")).data[0].keys() == {"id", "title"}

    async def require_new(self, caller, table):
        made = await table(self.name)
        assert {column.name for column in made.columns} == {"id", "title", "state", "code"}
        assert not made.column("state").nullable
        assert any(index.unique and "code" in index.name for index in made.indexes)
        assert (await caller.get(f"{self.name}?filter[state]=fresh")).require(200).meta["total"] >= ROWS
        (await caller.post(self.name, {"code": "c"})).require(201)
        assert (await caller.post(self.name, {"code": "c"})).status == 409


class Relation:
    """A POST that brings a join table."""

    def __init__(self, number):
        self.name, self.left, self.right = f"links{number}", f"left{number}", f"right{number}"
        self.ask = ("POST", "_admin/relations", many_to_many(self.name, self.left, self.right))

    async def prepare(self, caller):
        for name in (self.left, self.right):
            (await caller.post("_admin/entities", entity(name, title="string"))).require(201)
            (await caller.post(name, {"title": "x"})).require(201)

    async def is_new(self, caller):
        return (await caller.get(f"_admin/relations/{self.name}")).status == 200

    async def require_old(self, caller, table):
        assert await table(f"{self.left}_{self.right}") is None
        assert_error(await caller.get(f"{self.left}?include={self.name}"), 400, "UNKNOWN_FIELD")
        assert (await caller.post(self.left, {"title": "y", self.name: [{"title": "z"}]})).status == 422

    async def require_new(self, caller, table):
        made = await table(f"{self.left}_{self.right}")
        assert set(made.primary_key) == {f"{self.left}_id", f"{self.right}_id"}
        (stored,) = (await caller.get(f"{self.left}?include={self.name}")).require(200).data
        assert stored[self.name] == []
        (await caller.put(f"{self.left}/{stored['id']}", {self.name: [{"title": "z"}]})).require(200)
        assert len((await caller.get(f"{self.left}/{stored['id']}?include={self.name}")).data[self.name]) == 1


class Import:
    """An import of two entities, a relation and rows."""

    def __init__(self, number):
        self.name, self.other = f"imported{number}", f"other{number}"
        self.document = {
            "version": 1,
            "entities": [entity(self.name, id="int", title="string!"), entity(self.other, id="int", title="string!")],
            "relations": [many_to_many(f"links{self.name}", self.name, self.other)],
            "sample_data": {
                name: [{"id": i, "title": f"title {i}"} for i in range(1, ROWS + 1)] for name in (self.name, self.other)
            },
        }
        self.ask = ("POST", "_admin/import", self.document)

    async def prepare(self, caller):
        return

    async def is_new(self, caller):
        paths = (f"entities/{self.name}", f"entities/{self.other}", f"relations/links{self.name}")
        found = {(await caller.get(f"_admin/{path}")).status for path in paths}
        assert found in ({200}, {404})
        return found == {200}

    async def require_old(self, caller, table):
        for name in (self.name, self.other, f"{self.name}_{self.other}"):
            assert await table(name) is None
        assert_error(await caller.get(self.name), 404, "UNKNOWN_ENTITY")

    async def require_new(self, caller, table):
        for name in (self.name, self.other):
            assert (await caller.get(f"{name}?per_page=1")).require(200).meta["total"] == ROWS
        assert await table(f"{self.name}_{self.other}") is not None
        (await caller.post(self.name, {"title": "x", f"links{self.name}": ["1", "2"]})).require(201)


@pytest.fixture
def table_of(database):
    """Reads how a table of an app really is."""

    async def read(app, name):
        server = configured_servers(database.config())[database.driver]
        store = await server.open(f"rocket_{app}", pool_size=1)
        try:
            async with store.read() as session:
                return await read_table(session, name)
        finally:
            await server.close()

    return read


async def seconds_of(caller, change):
    """How long the change takes when nobody interferes."""
    await change.prepare(caller)
    began = time.monotonic()
    assert (await caller.request(*change.ask)).status in (200, 201)
    return time.monotonic() - began


async def judge(change, caller, table):
    """Whether the new definition is in force. If not, it can still be brought in."""
    new = await change.is_new(caller)
    if not new:
        await change.require_old(caller, table)
        assert (await caller.request(*change.ask)).status in (200, 201)
        assert await change.is_new(caller)
    await change.require_new(caller, table)
    return new


@pytest.mark.parametrize(
    ("kind", "rounds"),
    [
        (Fields, 1),
        (Import, 1),
        *(pytest.param(kind, 20, marks=pytest.mark.torture) for kind in (Fields, Relation, Import)),
    ],
)
async def test_a_change_is_there_or_not_after_a_kill(stage, table_of, figure, kind, rounds):
    run = stage(workers=2)
    app = await run.app()
    random, seen, slowest = Random(rounds), Counter(), 0.0

    async def send(change):
        async with run.caller(app) as caller:
            try:
                assert (await caller.request(*change.ask)).status in (200, 201)
            except Lost:
                return False
        return True

    async with run.caller(app) as caller:
        usual = await seconds_of(caller, kind("before"))
    for number in range(rounds):
        change = kind(number)
        async with run.caller(app) as caller:
            await change.prepare(caller)
        sent = asyncio.create_task(send(change))
        await asyncio.sleep(random.uniform(0.1, 1.1) * usual)
        await asyncio.to_thread(run.server.kill)
        answered = await sent
        slowest = max(slowest, await asyncio.to_thread(run.server.start))
        async with run.caller(app) as caller:
            new = await judge(change, caller, lambda name: table_of(app, name))
        assert new or not answered
        seen["answered" if answered else "new" if new else "old"] += 1
    assert slowest < RESTART_S
    assert "Traceback" not in run.log
    figure("usually in ms", usual * 1000)
    for name, times in seen.items():
        figure(name, times)


@pytest.mark.parametrize("rounds", [1, pytest.param(20, marks=pytest.mark.torture)])
async def test_an_import_killed_beside_the_server_is_there_or_not(stage, table_of, figure, rounds):
    run = stage(workers=2)
    app = await run.app()
    random, seen, usual = Random(rounds), Counter(), 0.0
    for number in range(rounds + 1):
        change = Import(number)
        file = run.server.folder / "document.json"
        file.write_text(json.dumps(change.document))
        began = time.monotonic()
        command = run.server.begin("import", app, str(file))
        if number:
            await asyncio.sleep(random.uniform(0.4, 1.1) * usual)
            command.kill()
        code = await asyncio.to_thread(command.wait, 60)
        usual = usual or time.monotonic() - began
        async with run.caller(app) as caller:
            new = await judge(change, caller, lambda name: table_of(app, name))
        assert new or code != 0
        seen["ended" if code == 0 else "new" if new else "old"] += 1
    figure("usually in ms", usual * 1000)
    for name, times in seen.items():
        figure(name, times)
