"""What happens when a transition is taken: contract §8.3."""

import asyncio

from rocket_kernel import Conflict, Stage, Step
from rocket_kernel.testing import assert_error, entity, one_to_many

from .conftest import CLERK, LOG, create_record, finding, invoice, machine, plugin, rows, set_field, steps

NOW = "2026-01-02T03:04:05.678Z"


async def test_fields_are_set_over_what_the_client_gives(start_shop):
    actions = [
        set_field("note", "set"),
        set_field("total", "7.5"),
        set_field("voided_at", "now"),
        set_field("number", None),
    ]
    client = await start_shop(machine=machine(*actions))
    path = await invoice(client, number="1")
    body = {"status": "b", "note": "mine", "total": "1", "voided_at": "2020-01-01T00:00:00Z", "number": "2"}
    moved = (await client.put(path, body)).require(200).data
    assert (moved["note"], moved["total"], moved["voided_at"], moved["number"]) == ("set", "7.50", NOW, None)
    assert (await client.get(path)).data == moved
    (await client.put(path, {"status": "a", "note": "mine"})).require(200)
    assert (await client.get(path)).data["note"] == "mine"


async def test_now_is_the_moment_of_the_request_in_the_form_of_the_field(start_shop):
    client = await start_shop(machine=None)
    await client.define(entity("task", state="string", at="timestamp", day="date", text="string"))
    actions = [set_field(name, "now") for name in ("at", "day", "text")]
    (await client.post("_admin/state-machines", machine(*actions, entity="task", field="state"))).require(201)
    made = await client.create("task", {})
    moved = (await client.put(f"task/{made['id']}", {"state": "b"})).require(200).data
    assert (moved["at"], moved["day"], moved["text"]) == (NOW, NOW[:10], NOW)


async def test_a_value_that_does_not_fit_is_a_finding(start_shop):
    client = await start_shop(machine=None)
    await client.define(entity("task", state="string", kind="string enum=x|y", count="int", need="string!"))
    actions = [set_field("kind", "z"), set_field("count", "many"), set_field("need", "")]
    (await client.post("_admin/state-machines", machine(*actions, entity="task", field="state"))).require(201)
    made = await client.create("task", {"need": "n"})
    expected = [
        {"field": "kind", "rule": "enum", "message": "kind must be one of: x, y"},
        {"field": "count", "rule": "type", "message": "count must be a valid int"},
    ]
    answer = await client.put(f"task/{made['id']}", {"state": "b"})
    assert_error(answer, 422, "VALIDATION_FAILED", "Validation failed", expected)
    listed = (await client.get("_admin/state-machines")).data[0]
    definition = {**listed["definition"]}
    definition["transitions"][0]["actions"] = actions[2:]
    (await client.put(f"_admin/state-machines/{listed['id']}", {"definition": definition})).require(200)
    required = [{"field": "need", "rule": "required", "message": "need is required"}]
    answer = await client.put(f"task/{made['id']}", {"state": "b"})
    assert_error(answer, 422, "VALIDATION_FAILED", "Validation failed", required)


async def test_a_record_is_created_from_values_of_the_one_that_moves(start_shop):
    client = await start_shop(machine=None)
    await client.define(LOG)
    action = create_record(
        "log",
        by="user.id",
        email="user.email",
        at="now",
        was="old.total",
        total="record.total",
        text="record.number",
        meta={"kept": "record.total", "list": ["now"]},
    )
    (await client.post("_admin/state-machines", machine(set_field("total", "9"), action))).require(201)
    path = await invoice(client, number="no 1", total="5")
    (await client.as_actor(CLERK).put(path, {"status": "b", "total": "6"})).require(200)
    (log,) = await rows(client)
    del log["id"]
    assert log == {
        "by": CLERK.id,
        "email": CLERK.email,
        "at": NOW,
        "was": "5.00",
        "total": "9.00",
        "text": "no 1",
        "meta": {"kept": "record.total", "list": ["now"]},
    }


async def test_what_only_looks_like_a_reference_is_literal(start_shop):
    client = await start_shop(machine=None)
    await client.define(entity("log", a="string", b="string", c="string", d="string", e="string"))
    texts = {"a": "record.", "b": "record.total due", "c": "user.roles", "d": "Record.total", "e": " now"}
    (await client.post("_admin/state-machines", machine(create_record("log", **texts)))).require(201)
    (await client.put(await invoice(client), {"status": "b"})).require(200)
    (log,) = await rows(client)
    assert {name: log[name] for name in texts} == texts


async def test_nested_records_are_created_too(start_shop):
    client = await start_shop(machine=None)
    await client.define(entity("box", name="string"), entity("part", name="string", box_id="uuid"))
    await client.relate(one_to_many("parts", "box", "part"))
    action = create_record("box", name="record.number", parts=[{"name": "record.note"}, {"name": "fixed"}])
    (await client.post("_admin/state-machines", machine(action))).require(201)
    (await client.put(await invoice(client, number="1", note="n"), {"status": "b"})).require(200)
    (box,) = (await client.get("box?include=parts")).data
    assert (box["name"], sorted(part["name"] for part in box["parts"])) == ("1", ["fixed", "n"])


async def test_a_record_is_created_with_the_rights_of_the_engine_through_its_whole_pipeline(start_shop):
    seen = []

    async def look(write):
        seen.append((write.actor.system, write.actor.roles, write.run.cause.kind))
        if write.record["text"] == "bad":
            write.fail("bad text", field="text", rule="expression")
        write.assign("text", write.record["text"] + "!")

    client = await start_shop(steps("rules", look, "log"), machine=None)
    await client.define(LOG)
    (await client.post("_admin/state-machines", machine(create_record("log", text="record.note")))).require(201)
    path = await invoice(client, note="good")
    (await client.as_actor(CLERK).put(path, {"status": "b"})).require(200)
    assert [log["text"] for log in await rows(client)] == ["good!"]
    assert seen == [(True, frozenset({"admin"}), "action")]
    # A failing action rejects the write, and says why.
    other = await invoice(client, note="bad")
    expected = [finding("Action create_record log failed: bad text")]
    assert_error(await client.put(other, {"status": "b"}), 422, "VALIDATION_FAILED", "Validation failed", expected)
    empty = await invoice(client)
    expected = [finding("Action create_record log failed: text is required")]
    assert_error(await client.put(empty, {"status": "b"}), 422, "VALIDATION_FAILED", "Validation failed", expected)
    assert len(await rows(client)) == 1
    assert (await client.get(other)).data["status"] == "a"


async def test_a_conflict_of_an_action_is_a_conflict_of_the_write(start_shop):
    client = await start_shop(machine=None)
    await client.define(entity("log", text="string unique"))
    actions = [create_record("log", text="record.note"), set_field("number", "x")]
    (await client.post("_admin/state-machines", machine(*actions))).require(201)
    first, second = await invoice(client, note="n"), await invoice(client, note="n")
    (await client.put(first, {"status": "b"})).require(200)
    message = "Action create_record log failed: text already exists"
    assert_error(await client.put(second, {"status": "b"}), 409, "CONFLICT", message, [])
    assert (await client.get(second)).data["number"] is None


async def test_an_entity_that_is_gone_fails_the_action(start_shop):
    client = await start_shop(machine=None)
    await client.define(LOG)
    (await client.post("_admin/state-machines", machine(create_record("log", text="t")))).require(201)
    (await client.delete("_admin/entities/log")).require(200)
    expected = [finding("Action create_record log failed: Unknown entity: log")]
    answer = await client.put(await invoice(client), {"status": "b"})
    assert_error(answer, 422, "VALIDATION_FAILED", "Validation failed", expected)


async def test_actions_run_in_order_and_vanish_with_a_write_that_fails_later(start_shop):
    async def veto(write):
        if write.record["note"] == "second":
            raise Conflict("vetoed")

    client = await start_shop(steps("outbox", veto, "invoice"), machine=None)
    await client.define(LOG)
    actions = [
        create_record("log", text="record.note"),
        set_field("note", "second"),
        create_record("log", text="record.note"),
    ]
    (await client.post("_admin/state-machines", machine(*actions))).require(201)
    path = await invoice(client, note="first")
    assert_error(await client.put(path, {"status": "b"}), 409, "CONFLICT", "vetoed")
    assert await rows(client) == []
    definition = machine(*actions, set_field("note", "third"))["definition"]
    (listed,) = (await client.get("_admin/state-machines")).data
    (await client.put(f"_admin/state-machines/{listed['id']}", {"definition": definition})).require(200)
    (await client.put(path, {"status": "b"})).require(200)
    assert sorted(log["text"] for log in await rows(client)) == ["first", "second"]
    assert (await client.get(path)).data["note"] == "third"


async def test_one_machine_may_move_another(start_shop):
    client = await start_shop(machine=machine(set_field("note", "n2"), set_field("number", "q2")))
    for field, first in (("note", "n1"), ("number", "q1")):
        moves = [
            {"from": first, "to": f"{first[0]}2", "roles": ["nobody"], "guard": "record.total > 1"},
            {"from": f"{first[0]}2", "to": first},
        ]
        body = {"entity": "invoice", "field": field, "definition": {"initial": first, "transitions": moves}}
        (await client.post("_admin/state-machines", body)).require(201)
    clerk = client.as_actor(CLERK)
    path = await invoice(client, total="5")
    moved = (await clerk.put(path, {"status": "b"})).require(200).data
    # Roles are those of the engine, guards bind; `note` comes before `status`, `number` too.
    assert (moved["status"], moved["note"], moved["number"]) == ("b", "n2", "q2")
    poor = await invoice(client, total="1")
    expected = [
        finding("Transition from 'n1' to 'n2' blocked by guard", "note"),
        finding("Transition from 'q1' to 'q2' blocked by guard", "number"),
    ]
    assert_error(await clerk.put(poor, {"status": "b"}), 422, "VALIDATION_FAILED", "Validation failed", expected)


async def test_machines_that_move_each_other_in_a_circle_are_stopped(start_shop):
    client = await start_shop(machine=None)
    for field, other in (("note", "number"), ("number", "note")):
        moves = [
            {"from": state, "to": to, "actions": [set_field(other, after)]}
            for state, to, after in (("a", "b", "b"), ("b", "c", "c"), ("c", "b", "b"), ("b", "a", "a"))
        ]
        if field == "number":
            moves[0]["actions"] = [set_field(other, "c")]
            moves[1]["actions"] = [set_field(other, "b")]
            moves[2]["actions"] = [set_field(other, "c")]
        body = {"entity": "invoice", "field": field, "definition": {"initial": "a", "transitions": moves}}
        (await client.post("_admin/state-machines", body)).require(201)
    path = await invoice(client)
    expected = [finding("State machines move each other in a circle", "note")]
    answer = await client.put(path, {"note": "b"})
    assert_error(answer, 422, "VALIDATION_FAILED", "Validation failed", expected)


async def test_a_user_who_may_not_write_the_state_field_moves_it_by_an_action(start_shop):
    def compile_write_steps(self, entity):
        async def limit(write):
            if "clerk" in write.actor.roles:
                write.limit(frozenset({"note"}))

        return [Step(Stage.AUTHORIZE, "other:limit", limit)]

    client = await start_shop(plugin("other", compile_write_steps), machine=None)
    action = set_field("status", "b")
    for body in (machine(action, field="note"), machine()):
        (await client.post("_admin/state-machines", body)).require(201)
    clerk = client.as_actor(CLERK)
    path = f"invoice/{(await clerk.create('invoice', {}))['id']}"
    forbidden = [{"field": "status", "rule": "forbidden", "message": "No permission to write status"}]
    answer = await clerk.put(path, {"status": "b"})
    assert_error(answer, 422, "VALIDATION_FAILED", "Validation failed", forbidden)
    assert (await clerk.put(path, {"note": "b"})).require(200).data["status"] == "b"


async def test_many_at_once_move_many_records_with_a_small_pool(start_shop):
    client = await start_shop(machine=None, app_pool_size=2)
    await client.define(LOG)
    (await client.post("_admin/state-machines", machine(create_record("log", text="x")))).require(201)
    paths = [await invoice(client) for _ in range(16)]
    answers = await asyncio.gather(*(client.put(path, {"status": "b"}) for path in paths))
    assert {answer.status for answer in answers} == {200}
    assert (await client.get("log")).meta["total"] == 16


async def test_a_record_that_an_action_creates_obeys_its_own_machine(start_shop):
    client = await start_shop(machine=None)
    await client.define(entity("task", state="string", kind="string"))
    (await client.post("_admin/state-machines", machine(entity="task", field="state"))).require(201)
    (await client.post("_admin/state-machines", machine(create_record("task", state="record.note")))).require(201)
    bad = await invoice(client, note="b")
    expected = [finding("Action create_record task failed: Initial state must be 'a', got 'b'")]
    assert_error(await client.put(bad, {"status": "b"}), 422, "VALIDATION_FAILED", "Validation failed", expected)
    (await client.put(await invoice(client, note="a"), {"status": "b"})).require(200)
    assert [task["state"] for task in await rows(client, "task")] == ["a"]
