"""What a transition tells of the stored record: events, and actions that other plugins bring. Contract §8.3."""

import pytest

from rocket_kernel import ActionType, ValidationFailed
from rocket_kernel.testing import Actors, assert_error
from rocket_statemachines import StateMachinesPlugin

from .conftest import CLERK, LOG, MANAGER, create_record, invoice, machine, plugin, rows, set_field, steps

NOW = "2026-01-02T03:04:05.678Z"


def listening(heard):
    async def on_event(self, event, session, registry, call, run):
        heard.append((event, call, run))
        if run is not None:
            run.workflows.append({"event": event.action})

    return plugin("listens", on_event)


async def test_an_event_tells_of_the_stored_record(start_shop):
    heard = []
    event = {"type": "send_event", "event": "invoice.sent", "payload": {"to": "record.number", "n": [1]}}
    client = await start_shop(listening(heard), machine=machine(event, {"type": "send_event", "event": "again"}))
    path = await invoice(client, number="1")
    (await client.as_actor(CLERK).put(path, {"status": "b"})).require(200)
    (first, call, run), (second, _, _) = heard
    assert (first.action, first.entity, first.record_id) == ("invoice.sent", "invoice", path.split("/")[1])
    assert first.payload == {"to": "record.number", "n": [1]}
    assert (second.action, second.payload) == ("again", {})
    assert (call.actor.id, call.now, run.cause) == (CLERK.id, NOW, None)
    heard.clear()
    (await client.put(path, {"status": "a"})).require(200)
    assert (await client.put(path, {"status": "c"})).status == 422
    assert heard == []
    explained = (await client.put(f"{path}?explain=true", {"status": "b"})).data
    assert (explained["workflows"], len(heard)) == ([{"event": "invoice.sent"}, {"event": "again"}], 2)
    assert (await client.get(path)).data["status"] == "a"


def posting(started):
    """Brings the action `webhook`, as the plugin of webhooks does."""

    def check(definition, model):
        if not str(definition.get("url", "")).startswith("http"):
            raise ValidationFailed("url must start with http:// or https://")

    async def start(action):
        started.append(action)
        action.run.outbox.append({"url": action.definition["url"]})

    def register_actions(self):
        return [ActionType("webhook", check, start)]

    return plugin("webhooks", register_actions)


async def test_a_webhook_is_handed_to_the_plugin_that_brings_it(start_shop):
    started = []
    hook = {"type": "webhook", "url": "https://example.com/x", "headers": {"A": "b"}}
    client = await start_shop(posting(started), machine=machine(hook, set_field("note", "set")))
    path = await invoice(client, total="5")
    moved = (await client.as_actor(MANAGER).put(path, {"status": "b"})).require(200).data
    (action,) = started
    assert (action.definition, action.body, action.hook) == (hook, moved, "state_machine")
    assert (action.entity, action.record_id, action.idempotency_key, action.then) == (
        "invoice",
        moved["id"],
        None,
        None,
    )
    assert action.call.actor.id == MANAGER.id
    explained = (await client.put(f"{path}?explain=true", {"status": "a"})).data
    assert explained["outbox"] == []
    (await client.put(path, {"status": "a"})).require(200)
    explained = (await client.put(f"{path}?explain=true", {"status": "b"})).data
    assert explained["outbox"] == [{"url": "https://example.com/x"}]
    assert len(started) == 2


async def test_an_action_whose_plugin_has_gone_refuses_the_write(start_kernel, start_shop):
    hook = {"type": "webhook", "url": "https://example.com/x"}
    client = await start_shop(posting([]), machine=machine(hook))
    path = await invoice(client)
    without = (await start_kernel([StateMachinesPlugin, Actors])).client.in_app("shop")
    answer = await without.put(path, {"status": "b"})
    assert_error(answer, 422, "VALIDATION_FAILED", "plugin 'webhooks' is not enabled", [])
    (await without.put(path, {"note": "n"})).require(200)


@pytest.mark.parametrize("pool", [1, 5])
async def test_a_record_that_is_judged_outside_is_moved_once(start_shop, pool):
    heard, asked = [], []

    async def ask(write):
        asked.append((write.record["status"], write.record["note"]))

    client = await start_shop(
        steps("before_webhooks", ask, "invoice"), listening(heard), machine=None, app_pool_size=pool
    )
    await client.define(LOG)
    actions = [set_field("note", "set"), create_record("log", text="record.note"), {"type": "send_event", "event": "e"}]
    (await client.post("_admin/state-machines", machine(*actions))).require(201)
    path = await invoice(client)
    asked.clear()
    (await client.put(path, {"status": "b"})).require(200)
    assert asked == [("b", "set")]
    assert [log["text"] for log in await rows(client)] == ["set"]
    assert [event.action for event, _, _ in heard] == ["e"]
