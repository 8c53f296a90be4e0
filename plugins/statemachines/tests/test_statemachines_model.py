"""A machine and a tiny model of it, held side by side through any course of requests."""

import asyncio
from dataclasses import dataclass, field

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rocket_kernel import Actor
from rocket_kernel.testing import Actors, entity

from .conftest import caller

STATES = ("a", "b", "c", "d")
ROLES = ("clerk", "boss")
LEVELS = (None, 0, 1, 2)

transition = st.fixed_dictionaries(
    {
        "from": st.one_of(st.sampled_from(STATES), st.lists(st.sampled_from(STATES), min_size=1, max_size=3)),
        "to": st.sampled_from(STATES),
        "roles": st.lists(st.sampled_from(ROLES), max_size=1),
        "least": st.sampled_from((None, 0, 1, 2)),
        "mark": st.integers(0, 9),
    }
)
machines = st.lists(transition, min_size=1, max_size=6)
requests = st.lists(
    st.tuples(
        st.sampled_from((None, *ROLES)),
        st.sampled_from((*STATES, None, "absent")),
        st.sampled_from((*LEVELS, "absent")),
    ),
    min_size=1,
    max_size=8,
)


@dataclass
class Model:
    """What the contract says, in as few words as there are."""

    transitions: list
    initial: str = "a"
    state: str | None = None
    level: int | None = None
    mark: int | None = None
    logs: list = field(default_factory=list)

    def put(self, role, state, level):
        """The status of the answer."""
        state = self.state if state == "absent" else state
        level = self.level if level == "absent" else level
        status, taken = self.judge(role, state, level)
        if status == 200:
            self.state, self.level = state, level
            if taken is not None:
                self.mark = taken["mark"]
                self.logs.append((self.mark, role))
        return status

    def judge(self, role, state, level):
        if state == self.state:
            return 200, None
        fitting = [it for it in self.transitions if self.state in it["from"] and it["to"] == state]
        if not fitting:
            return 422, None
        permitted = [it for it in fitting if role is None or not it["roles"] or role in it["roles"]]
        if not permitted:
            return 403, None
        passing = [it for it in permitted if it["least"] is None or (level is not None and level >= it["least"])]
        return (200, passing[0]) if passing else (422, None)


def definition(transitions):
    listed = []
    for it in transitions:
        one = {"from": it["from"], "to": it["to"], "roles": it["roles"]}
        if it["least"] is not None:
            one["guard"] = f"record.level >= {it['least']}"
        log = {"mark": "record.mark", "by": "user.id"}
        one["actions"] = [
            {"type": "set_field", "field": "mark", "value": it["mark"]},
            {"type": "create_record", "entity": "log", "data": log},
        ]
        listed.append(one)
    return {"initial": "a", "transitions": listed}


ACTORS: dict[str | None, Actor] = {"clerk": caller(1, "clerk"), "boss": caller(2, "boss")}


async def test_a_machine_does_what_the_model_says(start_kernel):
    from rocket_statemachines import StateMachinesPlugin

    client = await (await start_kernel([StateMachinesPlugin, Actors])).client.app("shop")
    await client.define(
        entity("item", state="string", level="int", mark="int"),
        entity("log", mark="int", by="string"),
    )
    body = {
        "entity": "item",
        "field": "state",
        "definition": {"initial": "a", "transitions": [{"from": "a", "to": "b"}]},
    }
    path = f"_admin/state-machines/{(await client.create('_admin/state-machines', body))['id']}"

    async def play(transitions, course):
        (await client.put(path, {"definition": definition(transitions)})).require(200)
        sources = [{**it, "from": [it["from"]] if isinstance(it["from"], str) else it["from"]} for it in transitions]
        model = Model(sources, state="a")
        item = f"item/{(await client.create('item', {}))['id']}"
        before = (await client.get("log")).meta["total"]
        for role, state, level in course:
            given = {"state": state, "level": level}
            asking = client if role is None else client.as_actor(ACTORS[role])
            change = {name: value for name, value in given.items() if value != "absent"}
            told = {row["to"]: row["allowed"] for row in (await asking.get(f"{item}/_transitions")).data}
            if level == "absent" and state in told:
                assert told[state] == (model.judge(role, state, model.level)[0] == 200)
            expected = model.put(role, state, level)
            answer = await asking.put(item, change)
            assert answer.status == expected, (role, state, level, model, answer)
            stored = (await client.get(item)).data
            assert (stored["state"], stored["level"], stored["mark"]) == (model.state, model.level, model.mark)
        assert (await client.get("log")).meta["total"] - before == len(model.logs)

    loop = asyncio.get_running_loop()

    @settings(
        max_examples=60,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
    @given(machines, requests)
    def run(transitions, course):
        asyncio.run_coroutine_threadsafe(play(transitions, course), loop).result(60)

    await asyncio.to_thread(run)
