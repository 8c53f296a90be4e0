"""Workflows with the plugins that carry out what they name: deliveries, transitions, events. Contract §8, §9, §11."""

from __future__ import annotations

import pytest

from rocket_kernel.testing import Actors, entity
from rocket_statemachines import StateMachinesPlugin
from rocket_webhooks import WebhooksPlugin
from rocket_workflows import WorkflowsPlugin

MANUAL = {"type": "manual", "entity": "order"}
SETTINGS = {"webhooks": {"allow_addresses": ["127.0.0.0/8"], "timeout_s": 1}}


def act(*actions, id="act"):
    return {"id": id, "type": "action", "actions": list(actions)}


@pytest.fixture
async def office(start_kernel):
    """A client, and a function that does everything that is due."""
    plugins = [WorkflowsPlugin, WebhooksPlugin, StateMachinesPlugin, Actors]
    running = await start_kernel(plugins, settings=SETTINGS)
    engine = running.kernel.parts.plugins.find("workflows").engine
    dispatcher = running.kernel.parts.plugins.find("webhooks").dispatcher
    await engine.stop()
    await dispatcher.pause()
    await running.kernel.jobs.pause()
    client = await running.client.app("shop")
    await client.define(entity("order", state="string", total="decimal:2"), entity("note", text="string"))
    app = await running.kernel.apps.app("shop")

    async def settle():
        while await engine.run_due(app) + await dispatcher.run_due() + await running.kernel.jobs.run_due():
            pass

    return client, settle


async def begin(client, steps, **record):
    workflow = {"name": "w", "trigger": MANUAL, "context": {"id": "record_id", "total": "record.total"}, "steps": steps}
    (await client.post("_admin/workflows", workflow)).require(201)
    order = await client.create("order", record)
    started = (await client.post("_workflows", {"workflow": "w", "record_id": order["id"]})).require(201).data
    return order, f"_workflows/{started['id']}"


async def test_a_delivery_holds_its_step_and_keeps_its_key(office, receiver, clock):
    client, settle = office
    hook = {"type": "webhook", "url": f"{receiver.url}/hook", "retry": {"max_attempts": 2}}
    receiver.answer(status=500, times=2)
    order, path = await begin(
        client, [act(hook, {"type": "delete_record", "entity": "order", "record_id": "context.id"})]
    )
    await settle()
    assert (await client.get(path)).data["status"] == "running"
    clock.advance(minutes=1)
    await settle()
    failed = (await client.get(path)).data
    assert (failed["status"], failed["current_step"], failed["error"]) == ("failed", "act", "HTTP 500")
    (await client.post(f"{path}/retry")).require(200)
    await settle()
    done = (await client.get(path)).data
    assert [note["status"] for note in done["history"]] == ["failed", "retried", "completed"]
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1
    assert [request.json for request in receiver.requests] == [{"id": order["id"], "total": None}] * 3
    (log,) = (await client.get("_admin/webhook-logs")).data
    assert (log["hook"], log["webhook_id"], log["status"], log["attempt"]) == ("workflow", None, "delivered", 3)


async def test_targets_are_judged_when_the_workflow_is_defined(office):
    client, _ = office
    steps = [act({"type": "webhook", "url": "ftp://x"})]
    refused = await client.post("_admin/workflows", {"name": "w", "trigger": MANUAL, "steps": steps})
    assert (refused.status, refused.error["message"]) == (422, "url must start with http:// or https://")
    assert refused.error["details"][0]["field"] == "steps[0].actions[0].url"


@pytest.mark.parametrize("strict", [False, True])
async def test_guards_bind_an_action_that_asks_for_it(office, strict):
    client, settle = office
    told = {"type": "send_event", "event": "order.paid"}
    definition = {
        "initial": "new",
        "transitions": [{"from": "new", "to": "paid", "guard": "record.total > 10", "actions": [told]}],
    }
    machine = {"entity": "order", "field": "state", "definition": definition}
    (await client.post("_admin/state-machines", machine)).require(201)
    heard = {"name": "heard", "trigger": {"type": "event", "event": "order.paid"}, "context": {"of": "record_id"}}
    make = {"type": "create_record", "entity": "note", "data": {"text": "context.of"}}
    (await client.post("_admin/workflows", {**heard, "steps": [act(make)]})).require(201)
    to = {"type": "set_field", "entity": "order", "record_id": "context.id", "field": "state"}
    paid, lost = {**to, "value": "paid", "strict": strict}, {**to, "value": "lost", "strict": strict}
    order, path = await begin(client, [act(paid, lost)], total="5")
    await settle()
    instance, order = (await client.get(path)).data, (await client.get(f"order/{order['id']}")).data
    notes = [note["text"] for note in (await client.get("note")).data]
    if strict:
        assert instance["error"] == "Validation failed: state: Transition from 'new' to 'paid' blocked by guard"
        assert (instance["status"], order["state"], notes) == ("failed", "new", [])
    else:
        assert (instance["status"], order["state"], notes) == ("completed", "lost", [order["id"]])


async def test_a_write_tells_of_workflows_that_its_transitions_start(office):
    client, settle = office
    told = {"type": "send_event", "event": "order.paid"}
    definition = {"initial": "new", "transitions": [{"from": "new", "to": "paid", "actions": [told]}]}
    machine = {"entity": "order", "field": "state", "definition": definition}
    (await client.post("_admin/state-machines", machine)).require(201)
    workflow = {"name": "heard", "trigger": {"type": "event", "event": "order.paid"}, "steps": [act()]}
    (await client.post("_admin/workflows", workflow)).require(201)
    order = await client.create("order", {})
    explained = (await client.put(f"order/{order['id']}?explain=true", {"state": "paid"})).require(200).data
    assert [(it["workflow"], it["record_id"]) for it in explained["workflows"]] == [("heard", order["id"])]
    (await client.put(f"order/{order['id']}", {"state": "paid"})).require(200)
    await settle()
    (instance,) = (await client.get("_workflows")).data
    assert (instance["status"], instance["entity"], instance["record_id"]) == ("completed", "order", order["id"])
