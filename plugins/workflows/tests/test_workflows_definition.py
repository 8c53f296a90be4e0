"""Definitions: every check of contract §9.1, in its order, and the parts they are made of."""

from datetime import UTC, datetime, timedelta

import pytest

from rocket_kernel.testing import assert_error
from rocket_workflows.cron import parse_cron
from rocket_workflows.durations import parse_duration

PATH = "_admin/workflows"
END = {"id": "a", "type": "action", "actions": []}
MANUAL = {"type": "manual", "entity": "invoice"}


def step(**more):
    return {"id": "s", **more}


def act(**action):
    return [step(type="action", actions=[action])]


def body(**more):
    return {"name": "w", "trigger": MANUAL, "steps": [END], **more}


ON_INVOICE = {"entity": "invoice", "record_id": "x"}
REFUSED = [
    # In the contract's order: each body has every later fault too.
    ({}, "workflow name is required", "name"),
    ({"name": ""}, "workflow name is required", "name"),
    ({"name": 7}, "workflow name is required", "name"),
    ({"name": "w"}, "trigger type is required", "trigger.type"),
    ({"name": "w", "trigger": "create"}, "trigger type is required", "trigger.type"),
    ({"name": "w", "trigger": {"type": "cron"}}, "unsupported trigger type: cron", "trigger.type"),
    ({"name": "w", "trigger": {"type": ["create"]}}, 'unsupported trigger type: ["create"]', "trigger.type"),
    *(
        ({"name": "w", "trigger": {"type": type}}, "trigger entity is required", "trigger.entity")
        for type in ("create", "update", "delete", "state_change")
    ),
    ({"name": "w", "trigger": {"type": "create", "entity": "no"}}, "at least one step is required", "steps"),
    ({"name": "w", "trigger": MANUAL, "steps": []}, "at least one step is required", "steps"),
    ({"name": "w", "trigger": MANUAL, "steps": {"id": "a"}}, "at least one step is required", "steps"),
    (body(steps=[{"type": "nonsense"}]), "step id is required", "steps[0].id"),
    (body(steps=["a"]), "step id is required", "steps[0].id"),
    (body(steps=[END, {"id": "a", "type": "nonsense"}]), "duplicate step id: a", "steps[1].id"),
    (body(steps=[{"id": "end", "type": "wait"}]), "invalid step id: end", "steps[0].id"),
    (body(steps=[{"id": "a"}]), "invalid step type: ", "steps[0].type"),
    (body(steps=[{"id": "a", "type": "loop"}]), "invalid step type: loop", "steps[0].type"),
    (body(steps=[{"id": "a", "type": {}}]), "invalid step type: {}", "steps[0].type"),
    (
        body(steps=[{"id": "a", "type": "wait", "then": "b"}], trigger={"type": "create", "entity": "no"}),
        "goto target 'b' references unknown step",
        "steps[0].then",
    ),
    (
        body(steps=[END, {"id": "b", "type": "condition", "on_true": "a", "on_false": {"goto": "c"}}]),
        "goto target 'c' references unknown step",
        "steps[1].on_false",
    ),
    (
        body(steps=[{"id": "b", "type": "approval", "on_timeout": 5}]),
        "goto target '5' references unknown step",
        "steps[0].on_timeout",
    ),
    # Then everything that is named.
    (body(trigger={"type": "create", "entity": "no"}), "entity not found: no", "trigger.entity"),
    (body(trigger={"type": "manual", "entity": ["x"]}), 'entity not found: ["x"]', "trigger.entity"),
    (body(trigger={"type": "state_change", "entity": "invoice"}), "trigger field is required", "trigger.field"),
    (
        body(trigger={"type": "state_change", "entity": "invoice", "field": "no"}),
        "field not found: no",
        "trigger.field",
    ),
    (
        body(trigger={"type": "state_change", "entity": "invoice", "field": "status", "to": {}}),
        "trigger to must be a string or a list of strings",
        "trigger.to",
    ),
    (body(trigger={"type": "schedule"}), "trigger cron is required", "trigger.cron"),
    (body(trigger={"type": "schedule", "cron": "* * * *"}), "invalid cron expression: * * * *", "trigger.cron"),
    (body(trigger={"type": "schedule", "cron": "0 0 31 2 *"}), "invalid cron expression: 0 0 31 2 *", "trigger.cron"),
    (body(trigger={"type": "event"}), "trigger event is required", "trigger.event"),
    (body(trigger={"type": "manual", "roles": ["a", ""]}), "roles must be a list of role names", "trigger.roles"),
    (body(trigger={"type": "manual", "roles": "a"}), "roles must be a list of role names", "trigger.roles"),
    (body(context=[]), "context must be an object", "context"),
    (body(context={"x": "trigger.record.no"}), "field not found: no", "context.x"),
    (body(context={"x": "record.no"}), "field not found: no", "context.x"),
    (body(context={"x": "trigger.old.no"}), "field not found: no", "context.x"),
    (body(active="yes"), "active must be true or false", "active"),
    (body(steps=[step(type="wait")]), "invalid duration: null", "steps[0].duration"),
    (body(steps=[step(type="wait", duration="3 days")]), "invalid duration: 3 days", "steps[0].duration"),
    (body(steps=[step(type="approval", timeout="72")]), "invalid duration: 72", "steps[0].timeout"),
    (body(steps=[step(type="condition")]), "expression is required", "steps[0].expression"),
    (body(steps=[step(type="action")]), "actions must be a list", "steps[0].actions"),
    (body(steps=[step(type="approval", assignee="bob")]), "assignee must be an object", "steps[0].assignee"),
    (body(steps=[step(type="approval", assignee={})]), "invalid assignee type: ", "steps[0].assignee.type"),
    (
        body(steps=[step(type="approval", assignee={"type": "team"})]),
        "invalid assignee type: team",
        "steps[0].assignee.type",
    ),
    (
        body(steps=[step(type="approval", assignee={"type": "role", "role": " "})]),
        "assignee role is required",
        "steps[0].assignee.role",
    ),
    (
        body(steps=[step(type="approval", assignee={"type": "fixed"})]),
        "assignee user is required",
        "steps[0].assignee.user",
    ),
    (
        body(steps=[step(type="approval", assignee={"type": "relation", "path": "boss.email"})]),
        "unknown relation: boss",
        "steps[0].assignee.path",
    ),
    (
        body(steps=[step(type="approval", assignee={"type": "relation", "path": "lines.sku"})]),
        "assignee path must follow to-one relations: lines",
        "steps[0].assignee.path",
    ),
    (
        body(steps=[step(type="approval", assignee={"type": "relation", "path": "requester.boss"})]),
        "field not found: boss",
        "steps[0].assignee.path",
    ),
    (
        body(
            trigger={"type": "manual"},
            steps=[step(type="approval", assignee={"type": "relation", "path": "requester_id"})],
        ),
        "assignee path needs a trigger entity",
        "steps[0].assignee.path",
    ),
    (body(steps=act()), "action type is required", "steps[0].actions[0].type"),
    (body(steps=act(type="shout")), "unknown action type: shout", "steps[0].actions[0]"),
    (body(steps=act(type="set_field")), "entity is required", "steps[0].actions[0].entity"),
    (body(steps=act(type="delete_record", entity="no")), "entity not found: no", "steps[0].actions[0].entity"),
    (
        body(steps=act(type="delete_record", entity="invoice")),
        "record_id is required",
        "steps[0].actions[0].record_id",
    ),
    (body(steps=act(type="set_field", **ON_INVOICE)), "field is required", "steps[0].actions[0].field"),
    (body(steps=act(type="set_field", **ON_INVOICE, field="no")), "field not found: no", "steps[0].actions[0].field"),
    (body(steps=act(type="set_field", **ON_INVOICE, field="note")), "value is required", "steps[0].actions[0].value"),
    (body(steps=act(type="update_record", **ON_INVOICE)), "data is required", "steps[0].actions[0].data"),
    (
        body(steps=act(type="create_record", entity="invoice", data=[])),
        "data must be an object",
        "steps[0].actions[0].data",
    ),
    (
        body(steps=act(type="create_record", entity="invoice", data={"no": 1})),
        "field not found: no",
        "steps[0].actions[0].data.no",
    ),
    (
        body(steps=act(type="set_field", **ON_INVOICE, field="note", value="context.no")),
        "unknown context value: context.no",
        "steps[0].actions[0].value",
    ),
    (body(steps=act(type="send_event")), "event is required", "steps[0].actions[0].event"),
    (
        body(steps=act(type="send_event", event="e", payload=[])),
        "payload must be an object",
        "steps[0].actions[0].payload",
    ),
    (body(steps=act(type="webhook")), "url is required", "steps[0].actions[0]"),
    (
        body(steps=act(type="set_field", **ON_INVOICE, field="note", value=1, strict="yes")),
        "strict must be true or false",
        "steps[0].actions[0].strict",
    ),
]
ACCEPTED = [
    body(),
    body(name="x" * 200),
    body(context=None, active=None),
    body(context={"a": "trigger.record.meta.deep", "b": 7, "c": "nonsense", "d": "record_id", "e": "trigger.nothing"}),
    body(trigger={"type": "manual"}, context={"a": "trigger.record.whatever"}),
    body(trigger={"type": "event", "event": "e", "roles": ["Clerk"]}, context={"a": "trigger.payload.x.y"}),
    body(trigger={"type": "schedule", "cron": "*/15 8-18 * * MON-FRI"}),
    body(trigger={"type": "state_change", "entity": "invoice", "field": "status", "from": ["a"], "to": "b"}),
    body(steps=[{"id": "w", "type": "wait", "duration": "1h30m", "then": {"goto": "w"}}]),
    body(steps=[{"id": "x", "type": "approval"}, {"id": "y", "type": "approval", "assignee": None, "on_approve": "x"}]),
    body(steps=[step(type="approval", assignee={"type": "relation", "path": "requester.manager_id"}, timeout="2d")]),
    body(steps=act(type="create_record", entity="invoice", data={"number": "1", "lines": [{"sku": "now"}]})),
    body(steps=act(type="set_field", entity="invoice", record_id=7, field="note", value=None)),
    body(steps=[step(type="condition", expression="context.a.b > 5 and user.id != null and now > '2020-01-01'")]),
]


async def test_what_is_refused(flow):
    for given, message, at in REFUSED:
        refused = await flow.client.post(PATH, given)
        assert (refused.status, refused.error["message"]) == (422, message), given
        assert [detail["field"] for detail in refused.error["details"]] == [at], given
    assert (await flow.client.get(PATH)).data == []


async def test_expressions_are_compiled(flow):
    for source in ("context.a >", "record.total > 5", "nonsense(context)", "context.a.shout()"):
        refused = await flow.client.post(PATH, body(steps=[step(type="condition", expression=source)]))
        assert_error(refused, 422, "VALIDATION_FAILED")
        assert refused.error["message"].startswith("invalid expression: ")
        (detail,) = refused.error["details"]
        assert detail["field"] == "steps[0].expression"
        assert "line 1, column " in detail["message"]


async def test_what_is_accepted_is_answered_as_it_was_given(flow):
    for number, given in enumerate(ACCEPTED):
        sent = {**given, "name": f"{number}{given['name']}"[:200]}
        created = (await flow.client.post(PATH, sent)).require(201).data
        assert {key: created[key] for key in ("trigger", "steps")} == {key: sent[key] for key in ("trigger", "steps")}
        assert created["context"] == (sent.get("context") or {})
        assert (created["active"], created["version"]) == (True, 1)


async def test_a_webhook_needs_its_plugin(start_kernel):
    from rocket_workflows import WorkflowsPlugin

    running = await start_kernel([WorkflowsPlugin])
    client = await running.client.app("shop")
    refused = await client.post(PATH, body(trigger={"type": "manual"}, steps=act(type="webhook", url="https://x")))
    assert_error(refused, 422, "VALIDATION_FAILED", "plugin 'webhooks' is not enabled")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("72h", 259200), ("1h30m", 5400), ("2d", 172800), ("90s", 90), ("0s", 0), ("1s1s", 2), ("1d2h3m4s", 93784)],
)
def test_durations(text, seconds):
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    ["", "h", "1", "1.5h", "-1h", "1 h", " 1h", "1h ", "1w", "1H", "٣h", "9" * 40 + "d", "36526d", None, 5, ["1h"]],
)
def test_no_durations(text):
    with pytest.raises(ValueError, match=r"expected|at most"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("expression", "after", "following"),
    [
        ("* * * * *", (2026, 1, 1, 0, 0, 0), (2026, 1, 1, 0, 1)),
        ("* * * * *", (2026, 1, 1, 0, 0, 59, 999000), (2026, 1, 1, 0, 1)),
        ("0 * * * *", (2026, 1, 1, 0, 59, 59, 1000), (2026, 1, 1, 1, 0)),
        ("0 9 * * MON", (2026, 1, 2, 3, 4, 5, 678000), (2026, 1, 5, 9, 0)),
        ("0 0 29 2 *", (2026, 1, 1), (2028, 2, 29)),
        ("*/20 * * * *", (2026, 1, 1, 0, 20), (2026, 1, 1, 0, 40)),
        ("0 0 31 * *", (2026, 2, 1), (2026, 3, 31)),
    ],
)
def test_schedules(expression, after, following):
    found = parse_cron(expression).next_after(datetime(*after, tzinfo=UTC))
    assert found == datetime(*following, tzinfo=UTC)


@pytest.mark.parametrize(
    "expression",
    ["", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "x * * * *", "*/0 * * * *", "1-0 * * * *",
     "0 0 30 2 *", "* * * * 8", "*#2 * * * *", "@daily", "9" * 5000 + " * * * *", None, 7],
)  # fmt: skip
def test_no_schedules(expression):
    with pytest.raises(ValueError, match=r"five fields|Bad|never comes"):
        parse_cron(expression)
