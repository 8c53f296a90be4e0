"""How many instances there are, and how late their workers."""

from __future__ import annotations

APPROVAL = {
    "id": "ask",
    "type": "approval",
    "assignee": {"type": "role", "role": "boss"},
    "on_approve": "end",
    "on_reject": "end",
}


async def told(flow, name):
    (metric,) = [metric for _, metric in flow.running.kernel.metrics.of_apps if metric.name == name]
    return dict(await metric.read(await flow.app()))


async def test_instances_are_counted_by_status(flow):
    nothing = {("running",): 0.0, ("completed",): 0.0, ("failed",): 0.0, ("cancelled",): 0.0}
    assert await told(flow, "rocket_workflows_instances") == nothing
    await flow.define("approve", {"type": "manual"}, [APPROVAL])
    first, _, third = [await flow.run("approve") for _ in range(3)]
    (await flow.client.post(f"_workflows/{first['id']}/approve", {})).require(200)
    (await flow.client.post(f"_workflows/{third['id']}/cancel", {})).require(200)
    await flow.settle()
    assert await told(flow, "rocket_workflows_instances") == {
        ("running",): 1.0,
        ("completed",): 1.0,
        ("failed",): 0.0,
        ("cancelled",): 1.0,
    }


async def test_lag_is_that_of_the_instance_that_is_due_longest(flow):
    assert await told(flow, "rocket_workflows_lag_seconds") == {(): 0.0}
    await flow.define("act", {"type": "manual"}, [{"id": "a", "type": "action", "actions": []}])
    await flow.start("act")
    flow.clock.advance(seconds=40)
    assert await told(flow, "rocket_workflows_lag_seconds") == {(): 40.0}
    await flow.settle()
    assert await told(flow, "rocket_workflows_lag_seconds") == {(): 0.0}
