"""Steps and actions: contract §9.1, §9.5 and §9.6."""

import pytest

from rocket_kernel import Conflict, Plugin, hookimpl
from rocket_kernel.testing import assert_error

NOW = "2026-01-02T03:04:05.678Z"
MANUAL = {"type": "manual"}
ON_INVOICE = {"type": "manual", "entity": "invoice"}
CONTEXT = {"id": "record_id", "number": "record.number", "total": "record.total", "meta": "record.meta"}


def act(*actions, then=None, id="act"):
    return {"id": id, "type": "action", "actions": list(actions), **({"then": then} if then else {})}


def log(text, ref="x"):
    return {"type": "create_record", "entity": "log", "data": {"text": text, "ref": ref}}


def when(id, expression, on_true="end", on_false="end"):
    return {"id": id, "type": "condition", "expression": expression, "on_true": on_true, "on_false": on_false}


FAIL = {"type": "set_field", "entity": "log", "record_id": "no", "field": "text", "value": 1}


async def logs(flow):
    return [row["text"] for row in (await flow.client.get("log?per_page=200&sort=text")).data]


async def test_the_example_of_the_contract(flow):
    trigger = {"type": "state_change", "entity": "invoice", "field": "status", "to": "pending_approval"}
    approve = {
        "type": "set_field",
        "entity": "invoice",
        "record_id": "context.record_id",
        "field": "status",
        "value": "approved",
    }
    manager = {"type": "role", "role": "manager"}
    steps = [
        {"id": "check", "type": "condition", "expression": "context.amount > 10000", "on_true": {"goto": "mgr"}, "on_false": "ok"},
        {"id": "mgr", "type": "approval", "assignee": manager, "timeout": "72h", "on_approve": {"goto": "ok"}, "on_reject": "end", "on_timeout": {"goto": "end"}},
        {"id": "ok", "type": "action", "actions": [approve], "then": "end"},
    ]  # fmt: skip
    context = {"record_id": "trigger.record_id", "amount": "trigger.record.total"}
    await flow.define("invoice_approval", trigger, steps, context)
    small, large = [
        await flow.client.create("invoice", {"number": n, "total": total, "status": "pending_approval"})
        for n, total in (("1", "10000"), ("2", "10000.01"))
    ]
    await flow.settle()
    done, waiting = [await flow.only(record_id=it["id"]) for it in (small, large)]
    assert (done["status"], done["current_step"]) == ("completed", "")
    assert done["history"] == [
        {"step": "check", "status": "on_false", "at": NOW},
        {"step": "ok", "status": "completed", "at": NOW},
    ]
    assert (await flow.client.get(f"invoice/{small['id']}")).data["status"] == "approved"
    assert (waiting["status"], waiting["current_step"], waiting["assignee"]) == ("running", "mgr", manager)
    assert waiting["current_step_deadline"] == "2026-01-05T03:04:05.678Z"
    assert waiting["history"] == [{"step": "check", "status": "on_true", "at": NOW}]
    assert (await flow.client.get(f"invoice/{large['id']}")).data["status"] == "pending_approval"


async def test_actions_on_records(flow):
    data = {"number": "2", "note": "context.number", "total": "context.total", "meta": {"deep": ["context.meta.a"]},
            "approved_at": "now", "lines": [{"sku": "context.number"}]}  # fmt: skip
    by_id = {"entity": "invoice", "record_id": "context.id"}
    steps = [
        act(
            {"type": "set_field", **by_id, "field": "approved_at", "value": "now"},
            {"type": "update_record", **by_id, "data": {"note": "n", "total": 7.5, "meta": {"now": "now"}}},
            {"type": "create_record", "entity": "invoice", "data": data},
        ),
    ]
    await flow.define("w", ON_INVOICE, steps, CONTEXT)
    invoice = await flow.client.create("invoice", {"number": "1", "total": "3.10", "meta": {"a": True}})
    done = await flow.run("w", record_id=invoice["id"])
    assert (done["status"], done["error"]) == ("completed", None)
    changed = (await flow.client.get(f"invoice/{invoice['id']}")).data
    assert (changed["approved_at"], changed["note"], changed["total"]) == (NOW, "n", "7.50")
    assert changed["meta"] == {"now": NOW}
    (made,) = (await flow.client.get("invoice?filter[number]=2&include=lines")).data
    assert (made["note"], made["total"], made["meta"], made["approved_at"]) == ("1", "3.10", {"deep": [True]}, NOW)
    assert [line["sku"] for line in made["lines"]] == ["1"]


async def test_deleting_takes_children_along(flow):
    await flow.define(
        "w", ON_INVOICE, [act({"type": "delete_record", "entity": "invoice", "record_id": "context.id"})], CONTEXT
    )
    invoice = await flow.client.create("invoice", {"number": "1", "lines": [{"sku": "a"}]})
    assert (await flow.run("w", record_id=invoice["id"]))["status"] == "completed"
    assert (await flow.client.get("invoice")).meta["total"] + (await flow.client.get("line")).meta["total"] == 0


async def test_conditions(flow):
    table = [
        ("context.total > 100", "on_false"), ("context.total > 99.99", "on_true"), ("context.none", "on_false"),
        ("context.meta.tags contains 'x'", "on_true"), ("user.email == 'admin@example.com'", "on_true"),
        ("now == '2026-01-02T03:04:05.678Z'", "on_true"), ("now - date('2026-01-02') > 3600000", "on_true"),
        ("user.roles contains 'clerk'", "on_false"), ("", None),
    ]  # fmt: skip
    invoice = await flow.client.create("invoice", {"number": "1", "total": "100", "meta": {"tags": ["x"]}})
    for number, (expression, outcome) in enumerate(table):
        if outcome is None:
            continue
        await flow.define(f"w{number}", ON_INVOICE, [when("c", expression)], CONTEXT)
        done = await flow.run(f"w{number}", record_id=invoice["id"])
        assert [note["status"] for note in done["history"]] == [outcome], expression


async def test_a_condition_that_cannot_be_evaluated_fails_its_step(flow):
    await flow.define("w", MANUAL, [when("c", "1 / (context.x ?? 0) > 2")], {"x": "trigger.payload.x"})
    failed = await flow.run("w")
    assert (failed["status"], failed["current_step"]) == ("failed", "c")
    assert failed["error"].startswith("expression: ")
    assert [(note["status"], note["error"]) for note in failed["history"]] == [("failed", failed["error"])]


async def test_goto_in_all_its_forms(flow):
    steps = [act(log("1"), id="a", then={"goto": "c"}), act(log("3"), id="b", then={"goto": "end"}), act(log("2"), id="c", then="b"),
             act(log("4"), id="d")]  # fmt: skip
    await flow.define("w", MANUAL, steps)
    done = await flow.run("w")
    assert [note["step"] for note in done["history"]] == ["a", "c", "b"]
    assert await logs(flow) == ["1", "2", "3"]


async def test_a_failing_action_undoes_itself_alone_and_is_not_repeated_with_those_before_it(flow):
    by_number = {"type": "create_record", "entity": "invoice", "data": {"number": "context.number"}}
    steps = [
        act(log("before"), {**by_number, "data": {"note": "no number", "lines": [{"sku": "a"}]}}, log("after"), id="a")
    ]
    await flow.define("w", MANUAL, steps)
    failed = await flow.run("w")
    assert (failed["status"], failed["current_step"], failed["error"]) == (
        "failed",
        "a",
        "Validation failed: number is required",
    )
    assert failed["history"] == [{"step": "a", "status": "failed", "at": NOW, "error": failed["error"]}]
    assert await logs(flow) == ["before"]
    assert (await flow.client.get("line")).meta["total"] == 0
    again = (await flow.client.post(f"_workflows/{failed['id']}/retry")).require(200).data
    assert (again["status"], again["current_step"], again["error"]) == ("running", "a", None)
    assert again["history"][1] == {
        "step": "a",
        "status": "retried",
        "by": "00000000-0000-4000-8000-000000000001",
        "at": NOW,
    }
    (await flow.client.put("_admin/entities/invoice", (await without_required(flow)))).require(200)
    await flow.settle()
    done = await flow.instance(failed["id"])
    assert [note["status"] for note in done["history"]] == ["failed", "retried", "completed"]
    assert await logs(flow) == ["after", "before"]


async def without_required(flow):
    definition = (await flow.client.get("_admin/entities/invoice")).data["definition"]
    fields = [{key: value for key, value in field.items() if key != "required"} for field in definition["fields"]]
    return {**definition, "fields": fields}


async def test_a_record_that_is_gone_fails_the_step(flow):
    for action in (
        {"type": "set_field", "field": "note", "value": 1},
        {"type": "update_record", "data": {}},
        {"type": "delete_record"},
    ):
        name = action["type"]
        await flow.define(name, ON_INVOICE, [act({**action, "entity": "invoice", "record_id": "context.id"})], CONTEXT)
        invoice = await flow.client.create("invoice", {"number": name})
        started = await flow.start(name, record_id=invoice["id"])
        (await flow.client.delete(f"invoice/{invoice['id']}")).require(200)
        await flow.settle()
        failed = await flow.instance(started["id"])
        assert (failed["status"], failed["error"]) == ("failed", f"invoice with id {invoice['id']} not found")


@pytest.mark.parametrize("value", [None, "", [1], {"a": 1}, True])
def test_an_id_that_names_nothing(value):
    from rocket_kernel import NotFound
    from rocket_workflows.definition import Action
    from rocket_workflows.effects import write_order

    action = Action("delete_record", {"entity": "invoice", "record_id": "context.id"})
    with pytest.raises(NotFound, match="invoice with id"):
        write_order(action, {"context": {"id": value}}, NOW)


class Grudging(Plugin):
    """Answers 409 to the first writes of a log whose text says how many."""

    name = "grudging"
    version = "1"

    def __init__(self, settings=None):
        super().__init__(settings)
        self.seen = 0

    @hookimpl
    async def after_write(self, write):
        text = write.record.get("text") or ""
        if text.startswith("busy "):
            self.seen += 1
            if self.seen <= int(text.split()[1]):
                raise Conflict("busy")


@pytest.mark.parametrize(("refusals", "status"), [(4, "completed"), (5, "failed")])
async def test_conflicts_are_tried_again_five_times_with_growing_pauses(start_flow, refusals, status):
    flow = await start_flow([Grudging])
    await flow.define("w", MANUAL, [act(log("first"), log(f"busy {refusals}"))])
    started = await flow.start("w")
    pauses = []
    for _ in range(40):
        await flow.settle()
        if (await flow.instance(started["id"]))["status"] != "running":
            break
        flow.clock.advance(seconds=0.25)
        pauses.append(0.25)
    found = await flow.instance(started["id"])
    assert (found["status"], sum(pauses)) == (status, 7.5)
    assert found["error"] == (None if status == "completed" else "busy")
    assert await logs(flow) == (["busy 4", "first"] if status == "completed" else ["first"])


async def test_an_instance_that_goes_round_for_ever_fails(start_flow):
    flow = await start_flow(max_steps=10)
    await flow.define("w", MANUAL, [when("a", "true", on_true="b"), when("b", "true", on_true="a")])
    failed = await flow.run("w")
    assert (failed["status"], failed["current_step"]) == ("failed", "a")
    assert failed["error"] == "workflow executed 10 steps without coming to an end"
    assert [note["status"] for note in failed["history"]] == ["on_true"] * 10 + ["failed"]


async def test_workflows_that_start_each_other_come_to_an_end(flow):
    steps = [act({"type": "create_record", "entity": "log", "data": {"text": "again"}})]
    await flow.define("w", {"type": "create", "entity": "log"}, steps, {"by": "trigger.user.id"})
    await flow.client.create("log", {"text": "first"})
    await flow.settle()
    found = await flow.instances()
    assert sorted(it["status"] for it in found) == ["completed"] * 11 + ["failed"]
    (failed,) = [it for it in found if it["status"] == "failed"]
    assert failed["error"] == "workflow chain deeper than 10"
    assert len([it for it in found if it["started_by"] is None]) == 11
    assert len(await logs(flow)) == 12


async def test_events_of_workflows_start_others(flow):
    event = {"type": "send_event", "event": "go", "payload": {"of": "context.number", "at": "now"}}
    await flow.define("sender", ON_INVOICE, [act(event)], CONTEXT)
    await flow.define("hearer", {"type": "event", "event": "go"}, [act(log("context.of"))], {"of": "trigger.payload.of", "at": "trigger.payload.at", "id": "trigger.entity"})  # fmt: skip
    invoice = await flow.client.create("invoice", {"number": "17"})
    await flow.run("sender", record_id=invoice["id"])
    heard = await flow.only(workflow="hearer")
    assert (heard["status"], heard["context"]) == ("completed", {"of": "17", "at": NOW, "id": "invoice"})
    assert (heard["entity"], heard["record_id"], heard["started_by"]) == ("invoice", invoice["id"], None)
    assert await logs(flow) == ["17"]


async def test_webhooks_keep_the_instance_at_its_step_until_they_have_ended(flow):
    hook = {"type": "webhook", "url": "https://example.com"}
    await flow.define("w", ON_INVOICE, [act(log("1"), hook, hook, log("2"))], CONTEXT)
    invoice = await flow.client.create("invoice", {"number": "17"})
    started = await flow.run("w", record_id=invoice["id"])
    assert (started["status"], started["current_step"], await logs(flow)) == ("running", "act", ["1"])
    (first,) = await flow.sent()
    assert first["body"] == started["context"]
    flow.clock.advance(days=1)
    await flow.settle()
    assert len(await flow.sent()) == 1
    assert await flow.deliver() == 1
    await flow.settle()
    assert await flow.deliver() == 1
    await flow.settle()
    assert len({row["key"] for row in await flow.sent()}) == 2
    assert ((await flow.instance(started["id"]))["status"], await logs(flow)) == ("completed", ["1", "2"])


async def test_a_delivery_that_failed_fails_the_step_and_is_sent_again_under_its_key(flow):
    await flow.define("w", MANUAL, [act(log("1"), {"type": "webhook", "url": "https://example.com"}, log("2"))])
    started = await flow.run("w")
    await flow.deliver(ok=False, error="HTTP 500")
    await flow.settle()
    failed = await flow.instance(started["id"])
    assert (failed["status"], failed["current_step"], failed["error"]) == ("failed", "act", "HTTP 500")
    (await flow.client.post(f"_workflows/{failed['id']}/retry")).require(200)
    await flow.settle()
    assert [row["starts"] for row in await flow.sent()] == [2]
    await flow.deliver()
    await flow.settle()
    assert ((await flow.instance(failed["id"]))["status"], await logs(flow)) == ("completed", ["1", "2"])


async def test_what_a_cancelled_instance_was_waiting_for_comes_to_nothing(flow):
    await flow.define("w", MANUAL, [act({"type": "webhook", "url": "https://example.com"}, log("never"))])
    started = await flow.run("w")
    (await flow.client.post(f"_workflows/{started['id']}/cancel")).require(200)
    await flow.deliver()
    await flow.settle()
    assert ((await flow.instance(started["id"]))["status"], await logs(flow)) == ("cancelled", [])


async def test_waits_are_over_in_time_and_never_before(flow):
    await flow.define("w", MANUAL, [{"id": "w", "type": "wait", "duration": "1h", "then": "act"}, act(log("later"))])
    started = await flow.run("w")
    assert started["current_step_deadline"] == "2026-01-02T04:04:05.678Z"
    flow.clock.advance(minutes=59, seconds=59.999)
    await flow.settle()
    assert ((await flow.instance(started["id"]))["status"], await logs(flow)) == ("running", [])
    flow.clock.advance(seconds=0.001)
    await flow.settle()
    done = await flow.instance(started["id"])
    assert [(note["step"], note["status"], note["at"]) for note in done["history"]] == [
        ("w", "completed", "2026-01-02T04:04:05.678Z"),
        ("act", "completed", "2026-01-02T04:04:05.678Z"),
    ]
    assert await logs(flow) == ["later"]


async def test_schedules_start_once_a_minute_and_once_after_an_outage(flow):
    await flow.define("w", {"type": "schedule", "cron": "*/5 * * * *"}, [act(log("tick"))], {"id": "record_id"})
    await flow.define("off", {"type": "schedule", "cron": "* * * * *"}, [act(log("no"))], active=False)
    await flow.settle()
    assert await logs(flow) == []
    flow.clock.advance(seconds=54.321)
    await flow.settle()
    await flow.settle()
    assert await logs(flow) == []
    flow.clock.advance(seconds=0.001)
    await flow.settle()
    assert len(await logs(flow)) == 1, "at 03:05:00.000"
    flow.clock.advance(hours=7)
    await flow.settle()
    await flow.settle()
    assert len(await logs(flow)) == 2, "one catch-up start"
    flow.clock.advance(minutes=5)
    await flow.settle()
    ticks = await flow.instances()
    assert len(ticks) == 3
    assert {(it["started_by"], it["entity"], it["context"]["id"]) for it in ticks} == {(None, None, None)}


async def test_a_schedule_that_was_off_has_missed_nothing(flow):
    row = await flow.define("w", {"type": "schedule", "cron": "* * * * *"}, [act(log("tick"))])

    async def put(**changes):
        (await flow.client.put(f"_admin/workflows/{row['id']}", changes)).require(200)

    await put(active=False)
    flow.clock.advance(hours=1)
    await put(active=True)
    await flow.settle()
    assert await logs(flow) == []
    flow.clock.advance(minutes=1)
    await put(name="renamed")
    await flow.settle()
    assert await logs(flow) == ["tick"], "a change of the name leaves the schedule alone"
    await put(trigger={"type": "manual"})
    flow.clock.advance(hours=1)
    await flow.settle()
    assert await logs(flow) == ["tick"]


async def test_an_instance_ends_on_the_version_it_began_with(flow):
    steps = [{"id": "w", "type": "wait", "duration": "1h", "then": "act"}, act(log("old"))]
    row = await flow.define("w", MANUAL, steps)
    began = await flow.start("w")
    changed = [{**steps[0], "duration": "2h", "then": "next"}, act(log("new"), id="next")]
    (await flow.client.put(f"_admin/workflows/{row['id']}", {"steps": changed})).require(200)
    later = await flow.start("w")
    assert (began["workflow_version"], later["workflow_version"]) == (1, 2)
    flow.clock.advance(hours=1)
    await flow.settle()
    assert await logs(flow) == ["old"]
    flow.clock.advance(hours=1)
    await flow.settle()
    assert await logs(flow) == ["new", "old"]
    assert [note["step"] for note in (await flow.instance(later["id"]))["history"]] == ["w", "next"]


async def test_retry_and_cancel_ask_for_the_right_status(flow):
    await flow.define("failing", MANUAL, [act(FAIL)])
    await flow.define("waiting", MANUAL, [{"id": "w", "type": "wait", "duration": "1h"}])
    await flow.define("done", MANUAL, [act()])
    failing, waiting, done = [(await flow.run(name))["id"] for name in ("failing", "waiting", "done")]

    async def refused(id, call, message):
        assert_error(await flow.client.post(f"_workflows/{id}/{call}"), 422, "INVALID_STATE", message)

    await refused(waiting, "retry", "workflow instance is not failed (status: running)")
    await refused(done, "retry", "workflow instance is not failed (status: completed)")
    await refused(done, "cancel", "workflow instance is not running (status: completed)")
    for id in (failing, waiting):
        cancelled = (await flow.client.post(f"_workflows/{id}/cancel")).require(200).data
        assert (cancelled["status"], cancelled["current_step"], cancelled["current_step_deadline"]) == (
            "cancelled",
            "",
            None,
        )
        assert cancelled["history"][-1]["status"] == "cancelled"
        assert cancelled["history"][-1]["by"] == "00000000-0000-4000-8000-000000000001"
        await refused(id, "cancel", "workflow instance is not running (status: cancelled)")
        await refused(id, "retry", "workflow instance is not failed (status: cancelled)")
    flow.clock.advance(hours=2)
    await flow.settle()
    assert (await flow.instance(waiting))["status"] == "cancelled"


async def test_an_empty_step_and_a_system_actor(flow):
    await flow.define("w", MANUAL, [act()])
    done = await flow.run("w")
    assert [note["status"] for note in done["history"]] == ["completed"]
