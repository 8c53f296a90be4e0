"""Many who move one record at the same moment, through two server processes: one of them does."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack, ExitStack

import pytest

from rocket_kernel.testing import entity
from rocket_kernel.testing.processes import ServerProcess

MANY = 32
STATES = [f"s{number}" for number in range(MANY)]
rounds = pytest.mark.parametrize("rounds", [4, pytest.param(500, marks=pytest.mark.torture)])
MACHINE = {
    "entity": "item",
    "field": "state",
    "definition": {
        "initial": "open",
        "transitions": [
            {
                "from": "open",
                "to": state,
                "guard": "record.state != 'open'",
                "actions": [
                    {"type": "set_field", "field": "moved", "value": "now"},
                    {"type": "create_record", "entity": "log", "data": {"item": "record.id", "state": "record.state"}},
                ],
            }
            for state in STATES
        ],
    },
}


@pytest.fixture
def servers(database, tmp_path):
    with ExitStack() as stack:
        config = {"plugins.enabled": ["statemachines"], "app_pool_size": 5}
        made = [ServerProcess(tmp_path / name, database.config(), config=config) for name in ("one", "two")]
        yield [stack.enter_context(server) for server in made]


async def prepare(servers, stack):
    """Callers whose connections are open, in turn to both servers."""
    callers = [await stack.enter_async_context(servers[number % 2].caller("shop")) for number in range(MANY)]
    (await callers[0].post("/api/_platform/apps", {"name": "shop"})).require(201)
    for definition in (
        entity("item", state="string", moved="timestamp", tries="int"),
        entity("log", item="uuid", state="string"),
    ):
        (await callers[0].post("_admin/entities", definition)).require(201)
    (await callers[0].post("_admin/state-machines", MACHINE)).require(201)
    return callers


async def at_once(callers, path, bodies):
    return await asyncio.gather(*(caller.put(path, body) for caller, body in zip(callers, bodies, strict=True)))


async def logs_of(caller, path):
    item = path.removeprefix("item/")
    return [log["state"] for log in (await caller.get(f"log?filter[item]={item}")).require(200).data]


async def race_for_different_states(callers, seen):
    """One of them moves the record, and the others are told from where they could not."""
    path = f"item/{(await callers[0].post('item', {})).require(201).data['id']}"
    answers = await at_once(callers, path, [{"state": state} for state in STATES])
    statuses = Counter(answer.status for answer in answers)
    seen.update(statuses)
    assert statuses[200] == 1
    assert set(statuses) <= {200, 409, 422}
    stored = (await callers[1].get(path)).require(200).data
    (winner,) = (answer.data for answer in answers if answer.status == 200)
    assert winner == stored
    assert stored["moved"] is not None
    assert await logs_of(callers[1], path) == [stored["state"]]
    for number, answer in enumerate(answers):
        if answer.status == 422:
            message = f"Invalid transition from '{stored['state']}' to 's{number}'"
            detail = {"field": "state", "rule": "state_machine", "message": message}
            assert answer.error["details"] == [detail]


async def race_for_one_state(callers, seen):
    """Whoever comes second finds the state unchanged."""
    path = f"item/{(await callers[0].post('item', {})).require(201).data['id']}"
    answers = await at_once(callers, path, [{"state": "s7", "tries": tries} for tries in range(MANY)])
    statuses = Counter(answer.status for answer in answers)
    seen.update(statuses)
    assert set(statuses) <= {200, 409}
    assert await logs_of(callers[1], path) == ["s7"]


@rounds
async def test_one_of_many_moves_a_record_and_actions_run_once(servers, rounds, record_property):
    seen = {race_for_different_states: Counter(), race_for_one_state: Counter()}
    async with AsyncExitStack() as stack:
        callers = await prepare(servers, stack)
        for _ in range(rounds):
            for race, statuses in seen.items():
                await race(callers, statuses)
        assert (await callers[0].get("log?per_page=1")).meta["total"] == 2 * rounds
    for race, statuses in seen.items():
        record_property(race.__name__, dict(statuses))
