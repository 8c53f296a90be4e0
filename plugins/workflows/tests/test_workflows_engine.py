"""The workers of a process at their own pace: prompt, stoppable, and faithful to their leases."""

import asyncio
import time

import pytest

from rocket_kernel import Plugin, SystemClock, hookimpl
from rocket_kernel.testing import entity
from rocket_workflows import WorkflowsPlugin
from rocket_workflows.engine import IDLE_TICKS

LOG = entity("log", text="string")
ENDS_S = 20


def log(text):
    return {"type": "create_record", "entity": "log", "data": {"text": text}}


def workflow(*actions, **more):
    steps = [
        {"id": f"s{n}", "type": "action", "actions": [action], "then": f"s{n + 1}"} for n, action in enumerate(actions)
    ]
    steps[-1]["then"] = "end"
    return {"name": "w", "trigger": {"type": "manual"}, "steps": steps, **more}


class Slow(Plugin):
    """Writes of logs with the text "slow" take until the test lets them go on, or a second and a bit."""

    name = "slow"
    version = "1"

    def __init__(self, settings=None):
        super().__init__(settings)
        self.begun, self.go_on, self.wait_s = asyncio.Event(), asyncio.Event(), ENDS_S

    @hookimpl
    async def before_write(self, write):
        if write.record.get("text") == "slow":
            self.begun.set()
            try:
                await asyncio.wait_for(self.go_on.wait(), self.wait_s)
            except TimeoutError:
                return


def engine_of(running):
    return running.kernel.parts.plugins.find("workflows").engine


async def until_over(client, id):
    deadline = time.monotonic() + ENDS_S
    while (found := (await client.get(f"_workflows/{id}")).data)["status"] == "running":
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.02)
    return found


async def begin(client, body):
    await client.define(LOG)
    (await client.post("_admin/workflows", body)).require(201)
    return (await client.post("_workflows", {"workflow": "w"})).require(201).data["id"]


async def logs(client):
    return [row["text"] for row in (await client.get("log?sort=text")).data]


async def test_what_a_request_starts_is_begun_at_once(start_kernel):
    running = await start_kernel([WorkflowsPlugin])
    engine_of(running).tick_s = 3600.0
    client = await running.client.app("shop")
    await asyncio.sleep(0)
    id = await begin(client, workflow(log("a"), log("b")))
    assert (await until_over(client, id))["status"] == "completed"
    assert await logs(client) == ["a", "b"]


async def test_what_others_have_left_is_found_at_the_next_look(start_kernel):
    """Also by a process that does not know yet that the app has workflows."""
    first, second = await start_kernel([WorkflowsPlugin]), await start_kernel([WorkflowsPlugin])
    client = await first.client.app("shop")
    await second.kernel.apps.app("shop")
    await engine_of(first).stop()
    id = await begin(client, workflow(log("a")))
    engine_of(second).tick_s = 1 / IDLE_TICKS / 10
    engine_of(second).wake(None)
    assert (await until_over(client, id))["status"] == "completed"


async def test_a_step_under_way_ends_before_the_worker_stops_and_the_next_one_is_left_to_others(start_kernel):
    running = await start_kernel([WorkflowsPlugin, Slow])
    slow, engine = running.kernel.parts.plugins.find("slow"), engine_of(running)
    client = await running.client.app("shop")
    id = await begin(client, workflow(log("slow"), log("next")))
    await asyncio.wait_for(slow.begun.wait(), ENDS_S)
    stopping = asyncio.create_task(engine.stop())
    await asyncio.sleep(0.05)
    assert not stopping.done()
    slow.go_on.set()
    await stopping
    left = (await client.get(f"_workflows/{id}")).data
    assert (left["current_step"], [note["step"] for note in left["history"]]) == ("s1", ["s0"])
    assert await logs(client) == ["slow"]
    assert await engine.run_due(await running.kernel.apps.app("shop")) == 1
    assert await logs(client) == ["next", "slow"]


@pytest.mark.parametrize("patience_s", [0.05])
async def test_a_step_that_does_not_end_is_cut_off_and_taken_over(start_kernel, clock, patience_s):
    running = await start_kernel([WorkflowsPlugin, Slow])
    slow, engine = running.kernel.parts.plugins.find("slow"), engine_of(running)
    client = await running.client.app("shop")
    id = await begin(client, workflow(log("slow")))
    await asyncio.wait_for(slow.begun.wait(), ENDS_S)
    await engine.stop(patience_s=patience_s)
    app = await running.kernel.apps.app("shop")
    slow.go_on.set()
    assert (await engine.run_due(app), await logs(client)) == (0, [])
    clock.advance(seconds=31)
    assert (await engine.run_due(app), await logs(client)) == (1, ["slow"])
    assert (await client.get(f"_workflows/{id}")).data["status"] == "completed"


async def test_a_long_step_keeps_its_lease(start_kernel):
    """It takes longer than a lease, and another process looks for something to do all the while."""
    settings = {"workflows": {"lease_s": 1}}
    first = await start_kernel([WorkflowsPlugin, Slow], settings=settings, clock=SystemClock())
    second = await start_kernel([WorkflowsPlugin, Slow], settings=settings, clock=SystemClock())
    slow = first.kernel.parts.plugins.find("slow")
    slow.wait_s = 1.5
    client = await first.client.app("shop")
    await engine_of(second).stop()
    id = await begin(client, workflow(log("slow")))
    await asyncio.wait_for(slow.begun.wait(), ENDS_S)
    engine_of(second).tick_s = 0.05
    engine_of(second).start()
    done = await until_over(client, id)
    assert (done["status"], len(done["history"]), await logs(client)) == ("completed", 1, ["slow"])
    assert not second.kernel.parts.plugins.find("slow").begun.is_set(), "nobody else has begun it"
