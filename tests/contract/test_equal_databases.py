"""One answer from both databases, byte for byte: contract §0 item 3.

Every file in `equality/` is a run of requests on a new app. To add to it, write further lines, or another file:

    {"about": "what it is about", "steps": ["thing?sort=n", [201, "POST thing", {"n": 1}], [400, "POST thing", "{"]]}

A step is the path of a GET that answers 200, or `[status, "METHOD path", body, more]`: a body that is a text is sent as
it stands, `more` may hold `headers` and `keep` (`{"id": "data.id"}` names a value that later steps write as `{id}`).
Generated uuids come in no order: give entities a key of type int, or a sort, where the order shows. Statements are SQL
of one database: `explain` and the `ddl` of a plan have no place here.
"""

import json
from contextlib import AsyncExitStack
from difflib import unified_diff
from pathlib import Path

import pytest

from rocket_kernel.testing import Scenario, StartKernel, transcript
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
