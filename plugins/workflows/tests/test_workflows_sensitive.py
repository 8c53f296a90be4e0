"""What a context has from sensitive fields is for the steps, and shows as `***` to everybody who looks."""

import pytest

from rocket_kernel import SYSTEM, Actor, Plugin, hookimpl
from rocket_kernel.testing import entity
from rocket_workflows.context import Occasion, masked_text, members_from, parse_path, sensitive_members

PERSON = entity("person", name="string", pin="string sensitive", more="json sensitive", copied="string")
TRIGGER = {"type": "create", "entity": "person"}
CONTEXT = {"id": "record_id", "code": "record.pin", "all": "trigger.record", "name": "record.name"}
STAFF = Actor(id="00000000-0000-4000-8000-00000000000a", email="ann@example.com", roles=frozenset({"staff"}))
FIELDS = frozenset({"pin", "more"})


def act(*actions):
    return {"id": "act", "type": "action", "actions": list(actions), "then": "ask"}


ASK = {"id": "ask", "type": "approval", "assignee": {"type": "role", "role": "staff"}}


class Ear(Plugin):
    """Keeps what it is told."""

    name = "ear"

    def __init__(self, settings=None):
        super().__init__(settings)
        self.heard = []

    @hookimpl
    async def on_event(self, event, registry):
        self.heard.append((dict(event.payload), event.shown_payload(registry.model)))


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        ({"a": "record.pin", "b": "trigger.old.more.x", "c": "record.name"}, ["a", "b"]),
        ({"a": "trigger.record"}, ["more", "pin"]),
        ({"a": "record_id", "b": "trigger.user.email", "c": "trigger.event"}, []),
        ({"a": "trigger.payload.secret", "b": "trigger.payload.open"}, ["a", "secret"]),
        ({"a": "no path", "b": None}, []),
    ],
)
def test_which_members_hold_sensitive_values(paths, found):
    occasion = Occasion(actor=SYSTEM, sensitive=frozenset({"secret"}))
    parsed = {name: parse_path(path) for name, path in paths.items()}
    assert sensitive_members(parsed, occasion, FIELDS) == found


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ({"a": "context.code", "b": "context.name", "c": "code"}, {"a"}),
        ({"a": {"b": ["context.all.pin"]}, "c": [{"d": "context.code"}]}, {"a", "b", "c", "d"}),
        ("context.code", set()),
    ],
)
def test_which_members_a_template_fills_with_them(template, found):
    assert members_from(template, frozenset({"code", "pin"})) == found


def test_texts_lose_the_values_but_for_the_shortest():
    context = {"code": "1234", "all": {"pin": 98765, "name": "Ann"}, "list": [{"pin": "abc"}]}
    assert masked_text("1234: 98765 abc Ann", context, ["code", "pin"]) == "***: *** abc Ann"
    assert masked_text("1234", context, []) == "1234"


async def test_answers_mask_and_steps_see(start_flow):
    flow = await start_flow()
    await flow.client.define(PERSON)
    copy = {"type": "set_field", "entity": "person", "record_id": "context.id", "field": "copied"}
    await flow.define("w", TRIGGER, [act({**copy, "value": "context.code"}), ASK], CONTEXT)
    made = await flow.client.create("person", {"name": "Bob", "pin": "secret-1", "more": {"x": "secret-2"}})
    await flow.settle()
    assert (await flow.client.get(f"person/{made['id']}")).data["copied"] == "secret-1"
    staff, (instance,) = flow.client.as_actor(STAFF), await flow.instances()
    answers = [
        await client.get(path)
        for client in (flow.client, staff)
        for path in ("_workflows/pending", f"_workflows/{instance['id']}")
    ]
    answers += [await flow.client.get("_workflows"), await staff.post(f"_workflows/{instance['id']}/approve", {})]
    for answer in answers:
        assert "secret" not in answer.require(200).text
        found = answer.data[0] if isinstance(answer.data, list) else answer.data
        assert found["context"]["all"] == {**made, "pin": "***", "more": "***"}
        assert (found["context"]["code"], found["context"]["name"]) == ("***", "Bob")


async def test_errors_quote_no_sensitive_value(start_flow):
    flow = await start_flow()
    await flow.client.define(PERSON)
    wrong = {"type": "delete_record", "entity": "person", "record_id": "context.code"}
    await flow.define("w", TRIGGER, [act(wrong), ASK], CONTEXT)
    await flow.client.create("person", {"pin": "secret-1"})
    await flow.settle()
    instance = await flow.only()
    assert (instance["status"], instance["error"]) == ("failed", "person with id *** not found")
    assert instance["history"][0]["error"] == instance["error"]


async def test_events_tell_which_of_their_members_are_sensitive(start_flow):
    flow = await start_flow([Ear])
    await flow.client.define(PERSON)
    send = {"type": "send_event", "event": "seen"}
    payload = {"told": "context.code", "all": "context.all", "name": "context.name"}
    await flow.define("w", TRIGGER, [act({**send, "payload": payload}), ASK], CONTEXT)
    heard = {"type": "event", "event": "seen"}
    await flow.define("next", heard, [ASK], {"told": "trigger.payload.told", "name": "trigger.payload.name"})
    await flow.client.create("person", {"name": "Bob", "pin": "secret-1"})
    await flow.settle()
    ((sent, shown),) = flow.running.kernel.parts.plugins.find("ear").heard
    assert (sent["told"], sent["all"]["pin"], sent["name"]) == ("secret-1", "secret-1", "Bob")
    assert (shown["told"], shown["all"]["pin"], shown["all"]["name"], shown["name"]) == ("***", "***", "Bob", "Bob")
    started = await flow.only(workflow="next")
    assert started["context"] == {"told": "***", "name": "Bob"}
