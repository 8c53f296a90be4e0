"""One answer from both databases, byte for byte: contract §0 item 3.

Every file in `equality/` is a run of requests on a new app. To add to it, write further lines, or another file:

    {"about": "what it is about", "steps": ["thing?sort=n", [201, "POST thing", {"n": 1}], [400, "POST thing", "{"]]}

A step is the path of a GET that answers 200, or `[status, "METHOD path", body, more]`: a body that is a text is sent as
it stands, `more` may hold `headers` and `keep` (`{"id": "data.id"}` names a value that later steps write as `{id}`).
Generated uuids come in no order: give entities a key of type int, or a sort, where the order shows. Statements are SQL
of one database: `explain` and the `ddl` of a plan have no place here.
"""

import json
import random
from contextlib import AsyncExitStack
from difflib import unified_diff
from pathlib import Path

import pytest

from rocket_kernel.testing import Scenario, StartKernel, entity, many_to_many, one_to_many, transcript
from rocket_kernel.testing.databases import make_database

RUNS = sorted((Path(__file__).parent / "equality").glob("*.json"))
JSON = {"Content-Type": "application/json"}


def scenario(name, step):
    if isinstance(step, str):
        step = [200, f"GET {step}"]
    status, line, body, more = [*step, None, None][:4]
    method, _, path = line.partition(" ")
    more = {"headers": {}, **(more or {})}
    if isinstance(body, str):
        more = {**more, "content": body.encode(), "headers": {**JSON, **more["headers"]}}
        body = None
    return Scenario(name, method, path, body, status, **more)


@pytest.fixture
async def both(rocket_hygiene, rocket_spare_databases, tmp_path, clock):
    """The same app on either database."""
    databases = [make_database(driver, tmp_path / driver, rocket_spare_databases) for driver in ("sqlite", "postgres")]
    async with AsyncExitStack() as started:
        start = StartKernel(databases[0], clock, started)
        yield [await (await start(database=database)).client.app("shop") for database in databases]
    for database in databases:
        await database.drop()


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
async def test_both_databases_give_the_same_bytes(both, path):
    steps = json.loads(path.read_text())["steps"]
    scenarios = [scenario(f"{path.stem} {at}", step) for at, step in enumerate(steps, 1)]
    one, two = [(await transcript(client, scenarios)).decode() for client in both]
    difference = "\n".join(unified_diff(one.splitlines(), two.splitlines(), "sqlite", "postgres", n=4, lineterm=""))
    assert not difference, difference


def test_there_are_runs():
    assert len(RUNS) >= 10
    assert sum(len(json.loads(path.read_text())["steps"]) for path in RUNS) > 500


TYPES = [
    "string",
    "text",
    "int",
    "bigint",
    "float",
    "decimal",
    "decimal:3",
    "boolean",
    "uuid",
    "timestamp",
    "date",
    "json",
]
FIELDS = {f"f{at}": type for at, type in enumerate(TYPES)}
OPERATORS = ["eq", "neq", "gt", "gte", "lt", "lte", "in", "not_in", "between", "like", "ilike", "contains", "starts_with",
             "ends_with", "is_null"]  # fmt: skip
CHARACTERS = "abAB%_\\*?[]^ \n\t'\",.äÄßSKİıΣσςǅ😀ﬀ\u0301\u212a\u200b\ud7ff\uffff~09-"


class Chance:
    """Values, and texts of filters, that are mostly of their type."""

    def __init__(self, seed):
        self.pick = random.Random(seed)

    def text(self):
        return "".join(self.pick.choices(CHARACTERS, k=self.pick.choice([0, 1, 1, 2, 3, 6])))

    def number(self):
        pick = self.pick
        return pick.choice([
            str(pick.randint(-20, 20)), f"{pick.uniform(-10, 10):.{pick.randint(0, 5)}f}", f"{pick.randint(-9, 9)}e{pick.randint(-5, 5)}",
            str(pick.randint(-(2**63), 2**63 - 1)), str(2**53 + pick.randint(-2, 2)), "-0.0", "1e-38", str(pick.randint(0, 10**37)),
            repr(pick.uniform(-1, 1) * 10.0 ** pick.randint(-300, 300)),
        ])  # fmt: skip

    def moment(self):
        pick = self.pick
        day = f"20{pick.randint(10, 12)}-0{pick.randint(1, 3)}-0{pick.randint(1, 3)}"
        return pick.choice(
            [
                day,
                f"{day}T0{pick.randint(0, 9)}:00:00.{pick.randint(0, 99999)}{pick.choice(['', 'Z', '+01:00', '-0930'])}",
            ]
        )

    def value(self, type):
        pick = self.pick
        if pick.random() < 0.15:
            return None
        if type in ("string", "text"):
            return self.text()
        if type == "boolean":
            return pick.random() < 0.5
        if type == "uuid":
            return f"{pick.randint(0, 3):08x}-0000-4000-8000-{pick.randint(0, 3):012x}"
        if type in ("timestamp", "date"):
            return self.moment()
        if type == "json":
            return pick.choice(
                [
                    self.text(),
                    [self.number()],
                    {self.text(): pick.random(), "a": 1},
                    pick.randint(-(10**25), 10**25),
                    "[1",
                ]
            )
        return self.number() if pick.random() < 0.7 else str(pick.randint(-5, 5))

    def filter(self):
        name, operator = self.pick.choice(list(FIELDS)), self.pick.choice(OPERATORS)
        count = {"between": 2, "in": 3, "not_in": 2}.get(operator, 1)
        texts = [self.value(FIELDS[name]) for _ in range(count)]
        value = ",".join(text if isinstance(text, str) else json.dumps(text) for text in texts)
        if operator == "is_null":
            value = self.pick.choice(["true", "0"])
        return (
            f"filter[{self.pick.choice(['', '', '', 'ups.', 'up.', 'parts.node.', 'tags.node.'])}{name}.{operator}]",
            value,
        )

    def query(self):
        pick = self.pick
        query = [self.filter() for _ in range(pick.choice([0, 1, 1, 1, 2]))]
        keys = [f"{pick.choice(['', '-'])}{pick.choice(['', '', 'up.'])}{pick.choice(list(FIELDS))}" for _ in range(2)]
        query.append(("sort", pick.choice(["", ",".join(keys)])))
        query.append(("include", pick.choice(["", "", "ups", "up.parts", "tags.node"])))
        return [*query, ("per_page", pick.choice([3, 50])), ("page", pick.choice([1, 1, 2]))]


@pytest.mark.parametrize("seed", range(3))
async def test_chance_finds_no_difference(both, seed):
    chance = Chance(seed)
    key = {"primary_key": {"field": "id"}}
    node = entity("node", key, id="int", up_id="int", **FIELDS)
    part = entity("part", {**key, "soft_delete": True}, id="string", node_id="int", v="decimal")
    relations = [
        one_to_many("ups", "node", "node", "up_id"),
        one_to_many("parts", "node", "part"),
        many_to_many("tags", "node", "part"),
    ]
    for client in both:
        await client.define(node, part)
        await client.relate(*relations)
    calls = []
    for id in range(30):
        body = {name: chance.value(type) for name, type in FIELDS.items()}
        calls.append(("POST", "node", {"id": id, "up_id": chance.pick.randint(0, 30), **body}, {}))
        calls.append(
            ("POST", "part", {"id": chance.text(), "node_id": chance.pick.randint(0, 30), "v": chance.number()}, {})
        )
        calls.append(("PUT", f"node/{id}", {"tags": [{"id": chance.text(), "v": "1"}]}, {}))
    calls += [("GET", "node", None, chance.query()) for _ in range(250)]
    statuses = set()
    for method, path, body, query in calls:
        sent = {"params": query} if body is None else {"json": body}
        one, two = [await client.request(method, path, **sent) for client in both]
        assert (one.status, one.text) == (two.status, two.text), (method, path, body, query)
        statuses.add(one.status)
    assert statuses >= {200, 201, 400}
    assert max(statuses) < 500
