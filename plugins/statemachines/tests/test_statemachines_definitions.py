"""Definitions: the collection, its checks in their order, and what hostile ones come to. Contract §8.1 and §8.3."""

import json

import pytest

from rocket_kernel.testing import assert_error, entity

from .conftest import CLERK, INVOICE, MACHINE, MISSING, changed, finding, with_action

PATH = "_admin/state-machines"
T0, T1 = "definition.transitions[0]", "definition.transitions[1]"
ACTION = f"{T0}.actions[1]"

REFUSED = [
    ("entity", MISSING, "entity is required", None),
    ("entity", "", "entity is required", None),
    ("entity", None, "entity is required", None),
    ("entity", "nothing", "entity not found: nothing", None),
    ("entity", ["invoice"], 'entity not found: ["invoice"]', None),
    ("entity", {"a": 1}, 'entity not found: {"a":1}', None),
    ("entity", 5, "entity not found: 5", None),
    ("field", MISSING, "field is required", None),
    ("field", "", "field is required", None),
    ("field", "nothing", "field not found: nothing", None),
    ("field", {}, "field not found: {}", None),
    ("field", "id", "field id cannot hold a state", None),
    ("field", "made", "field made cannot hold a state", None),
    ("field", "data", "field data cannot hold a state", None),
    ("field", "deleted_at", "field deleted_at cannot hold a state", None),
    ("definition", MISSING, "at least one transition is required", "definition"),
    ("definition", "text", "at least one transition is required", "definition"),
    ("definition", [], "at least one transition is required", "definition"),
    ("definition", {}, "at least one transition is required", "definition.transitions"),
    ("definition.transitions", [], "at least one transition is required", "definition.transitions"),
    ("definition.transitions", {}, "at least one transition is required", "definition.transitions"),
    ("definition.initial", MISSING, "initial is required", "definition.initial"),
    ("definition.initial", "", "initial is required", "definition.initial"),
    ("definition.initial", 5, "initial must be a string", "definition.initial"),
    ("definition.transitions.0", "draft", "transition must be an object", T0),
    ("definition.transitions.0.from", MISSING, "from is required", f"{T0}.from"),
    ("definition.transitions.0.from", [], "from is required", f"{T0}.from"),
    ("definition.transitions.0.from", "", "from is required", f"{T0}.from"),
    ("definition.transitions.0.from", {}, "from must be a string", f"{T0}.from"),
    ("definition.transitions.0.from", True, "from must be a string", f"{T0}.from"),
    ("definition.transitions.1.from", ["draft", ""], "from is required", f"{T1}.from[1]"),
    ("definition.transitions.1.from", [["draft"]], "from must be a string", f"{T1}.from[0]"),
    ("definition.transitions.0.to", MISSING, "to is required", f"{T0}.to"),
    ("definition.transitions.0.to", "", "to is required", f"{T0}.to"),
    ("definition.transitions.0.to", ["sent"], "to must be a string", f"{T0}.to"),
    ("definition.transitions.1.roles", "manager", "roles must be a list of non-empty strings", f"{T1}.roles"),
    ("definition.transitions.1.roles", ["manager", ""], "roles must be a list of non-empty strings", f"{T1}.roles"),
    ("definition.transitions.1.roles", [None], "roles must be a list of non-empty strings", f"{T1}.roles"),
    ("definition.transitions.1.guard", 1, "guard must be an expression", f"{T1}.guard"),
    ("definition.transitions.1.guard", {}, "guard must be an expression", f"{T1}.guard"),
    ("definition.transitions.1.actions", {}, "actions must be a list", f"{T1}.actions"),
    ("definition.transitions.1.actions", ["x"], "action must be an object", f"{T1}.actions[0]"),
    ("active", "yes", "active must be true or false", "active"),
    ("active", 1, "active must be true or false", "active"),
]


@pytest.fixture
async def client(start_shop):
    client = await start_shop(machine=None)
    more = (
        ["made", {"type": "timestamp", "auto": "create"}],
        ["data", {"type": "json"}],
        ["deleted_at", {"type": "timestamp"}],
    )
    fields = [*INVOICE["fields"], *({"name": name, **rest} for name, rest in more)]
    (await client.put("_admin/entities/invoice", {**INVOICE, "fields": fields, "soft_delete": True})).require(200)
    await client.define(entity("log", text="string", amount="int"))
    return client


def refused(answer, message, at):
    assert (answer.status, answer.error["code"], answer.error["message"]) == (422, "VALIDATION_FAILED", message)
    details = [] if at is None else [{"field": at, "message": message}]
    assert [{key: item[key] for key in ("field", "message")} for item in answer.error.get("details", [])] == details


async def test_every_check_refuses_with_its_text_and_the_path_of_the_fault(client):
    for path, value, message, at in REFUSED:
        refused(await client.post(PATH, changed(path, value)), message, at)
    assert (await client.get(PATH)).data == []


async def test_checks_come_in_the_order_of_the_contract(client):
    broken = {"definition": {"transitions": [{"roles": 1, "guard": ")", "actions": 1}]}}
    steps = [
        (lambda body: body.update(entity="invoice"), "entity is required"),
        (lambda body: body.update(field="status"), "field is required"),
        (lambda body: None, "initial is required"),
    ]
    transition = broken["definition"]["transitions"][0]
    for fix, message in steps:
        assert (await client.post(PATH, broken)).error["message"] == message
        fix(broken)
    broken["definition"]["initial"] = "a"
    for key, value, message in (
        ("from", "a", "from is required"),
        ("to", "b", "to is required"),
        ("roles", [], "roles must be a list of non-empty strings"),
        ("guard", "", "invalid expression:"),
        ("actions", None, "actions must be a list"),
    ):
        assert (await client.post(PATH, broken)).error["message"].startswith(message)
        transition[key] = value
    (await client.post(PATH, broken)).require(201)


async def test_a_guard_is_compiled_and_every_name_in_it_known(client):
    for source in (
        "record.total <",
        "record.nothing > 1",
        "nothing",
        "context.x",
        "related.nothing",
        "record.total matches '('",
        "record.total.fly()",
        "(" * 100,
        "1 +\n  +",
    ):
        answer = await client.post(PATH, changed("definition.transitions.1.guard", source))
        assert (answer.status, answer.error["code"]) == (422, "VALIDATION_FAILED"), source
        (detail,) = answer.error["details"]
        assert detail["field"] == f"{T1}.guard"
        assert detail["message"] == answer.error["message"]
        assert detail["message"].startswith("invalid expression: ")
        assert detail["message"].endswith(f" at line {detail['line']}, column {detail['column']}")


ACTIONS_REFUSED = [
    ({}, "action type is required", "type"),
    ({"type": None}, "action type is required", "type"),
    ({"type": ["set_field"]}, "action type is required", "type"),
    ({"type": "fly"}, "unknown action type: fly", "type"),
    (
        {"type": "update_record", "entity": "log", "record_id": "x", "data": {}},
        "unknown action type: update_record",
        "type",
    ),
    ({"type": "webhook", "url": "https://example.com"}, "plugin 'webhooks' is not enabled", "type"),
    ({"type": "set_field", "value": 1}, "field is required", "field"),
    ({"type": "set_field", "field": ["note"], "value": 1}, 'field must be a string, not ["note"]', "field"),
    ({"type": "set_field", "field": "nothing", "value": 1}, "field not found: nothing", "field"),
    ({"type": "set_field", "field": "status", "value": 1}, "field status cannot be set by set_field", "field"),
    ({"type": "set_field", "field": "id", "value": 1}, "field id cannot be set by set_field", "field"),
    (
        {"type": "set_field", "field": "deleted_at", "value": "now"},
        "field deleted_at cannot be set by set_field",
        "field",
    ),
    ({"type": "set_field", "field": "note"}, "value is required", "value"),
    ({"type": "create_record", "data": {}}, "entity is required", "entity"),
    ({"type": "create_record", "entity": "nothing", "data": {}}, "entity not found: nothing", "entity"),
    ({"type": "create_record", "entity": "log"}, "data is required", "data"),
    ({"type": "create_record", "entity": "log", "data": []}, "data must be an object", "data"),
    ({"type": "create_record", "entity": "log", "data": {"x": 1}}, "unknown field: x", "data.x"),
    ({"type": "create_record", "entity": "log", "data": {"text": "record.x"}}, "unknown field: x", "data.text"),
    ({"type": "create_record", "entity": "log", "data": {"text": "old.text"}}, "unknown field: text", "data.text"),
    ({"type": "send_event"}, "event is required", "event"),
    ({"type": "send_event", "event": 5}, "event must be a string, not 5", "event"),
    ({"type": "send_event", "event": "e", "payload": []}, "payload must be an object", "payload"),
]


async def test_every_fault_of_an_action_has_its_path(client):
    for action, message, key in ACTIONS_REFUSED:
        refused(await client.post(PATH, with_action(action)), message, f"{ACTION}.{key}")


async def test_an_initial_state_that_the_field_cannot_hold_is_refused(client):
    await client.define(entity("task", level="int", kind="string enum=a|b"))
    for field, initial in (("level", "low"), ("kind", "c"), ("level", "1.5")):
        definition = {"initial": initial, "transitions": [{"from": initial, "to": "2"}]}
        answer = await client.post(PATH, {"entity": "task", "field": field, "definition": definition})
        refused(answer, f"invalid initial for field {field}", "definition.initial")


async def test_the_collection(client):
    made = (await client.post(PATH, MACHINE)).require(201).data
    assert list(made) == ["id", "entity", "field", "definition", "active", "created_at", "updated_at"]
    assert made["active"] is True
    # String and list forms, order of members and unknown keys are returned as stored.
    assert json.dumps(made["definition"]) == json.dumps(MACHINE["definition"])
    assert (await client.get(f"{PATH}/{made['id']}")).data == made
    assert (await client.get(f"{PATH}/{made['id'].upper()}")).data == made
    other = {**MACHINE, "field": "note", "more": 1, "definition": {**MACHINE["definition"], "x": {"y": [1.50, None]}}}
    second = (await client.post(PATH, other)).require(201).data
    assert second["definition"]["x"] == {"y": [1.5, None]}
    assert "more" not in second
    await client.define(entity("apple", state="string"))
    third = {"entity": "apple", "field": "state", "active": None, "definition": MACHINE["definition"]}
    third["definition"] = {"initial": "a", "transitions": [{"from": "a", "to": "b"}]}
    (await client.post(PATH, third)).require(201)
    listed = (await client.get(PATH)).data
    assert [(row["entity"], row["field"]) for row in listed] == [
        ("apple", "state"),
        ("invoice", "note"),
        ("invoice", "status"),
    ]
    assert all(isinstance(row["active"], bool) for row in listed)


async def test_one_machine_a_field(client):
    made = (await client.post(PATH, MACHINE)).require(201).data
    message = "State machine already exists: invoice.status"
    assert_error(await client.post(PATH, MACHINE), 409, "CONFLICT", message, [])
    other = (await client.post(PATH, {**MACHINE, "field": "note"})).require(201).data
    assert_error(await client.put(f"{PATH}/{other['id']}", {"field": "status"}), 409, "CONFLICT", message, [])
    (await client.put(f"{PATH}/{made['id']}", {"field": "status"})).require(200)
    (await client.put(f"{PATH}/{made['id']}", {"field": "number"})).require(200)
    (await client.put(f"{PATH}/{other['id']}", {"field": "status"})).require(200)


async def test_put_lays_its_keys_over_the_stored_row(client):
    made = (await client.post(PATH, MACHINE)).require(201).data
    path = f"{PATH}/{made['id']}"
    changed_row = (await client.put(path, {"active": False})).require(200).data
    assert {**changed_row, "updated_at": 0} == {**made, "active": False, "updated_at": 0}
    refused(
        await client.put(path, {"definition": {"initial": "x"}}),
        "at least one transition is required",
        "definition.transitions",
    )
    refused(await client.put(path, {"entity": None}), "entity is required", None)
    assert (await client.get(path)).data == changed_row
    assert_error(await client.put(f"{PATH}/nothing", {}), 404, "NOT_FOUND", "State machine not found: nothing", [])


async def test_ids_that_name_nothing_are_404(client):
    for key in ("nothing", "00000000-0000-4000-8000-000000000000", "%00", "a" * 3000):
        for method in ("GET", "PUT", "DELETE"):
            answer = await client.request(method, f"{PATH}/{key}", *([{}] if method == "PUT" else []))
            assert (answer.status, answer.error["code"]) == (404, "NOT_FOUND")
        assert (await client.get(f"{PATH}/{key}/diagram")).status == 404


async def test_only_admins_define(client):
    made = (await client.post(PATH, MACHINE)).require(201).data
    clerk = client.as_actor(CLERK)
    for method, path in (
        ("GET", ""),
        ("POST", ""),
        ("GET", "/x"),
        ("PUT", "/x"),
        ("DELETE", "/x"),
        ("GET", "/x/diagram"),
    ):
        answer = await clerk.request(
            method, f"{PATH}{path.replace('x', made['id'])}", *([{}] if method in ("POST", "PUT") else [])
        )
        assert_error(answer, 403, "FORBIDDEN", "Admin access required", [])


async def test_deleting(client):
    made = (await client.post(PATH, MACHINE)).require(201).data
    assert (await client.delete(f"{PATH}/{made['id']}")).data == {"id": made["id"], "deleted": True}
    assert_error(
        await client.delete(f"{PATH}/{made['id']}"), 404, "NOT_FOUND", f"State machine not found: {made['id']}"
    )
    (await client.post(PATH, MACHINE)).require(201)
    (await client.delete("_admin/entities/invoice")).require(200)
    assert (await client.get(PATH)).data == []


async def test_fields_that_a_machine_builds_on_stay(client):
    await client.define(entity("other", text="string"))
    actions = [
        {"type": "set_field", "field": "note", "value": 1},
        {"type": "create_record", "entity": "log", "data": {"text": "record.number", "amount": 1}},
    ]
    (await client.post(PATH, changed("definition.transitions.0.actions", actions))).require(201)
    definition = (await client.get("_admin/entities/invoice")).data["definition"]
    kept = {key: definition[key] for key in ("name", "primary_key", "soft_delete")}

    async def without(name):
        fields = [field for field in definition["fields"] if field["name"] != name]
        return await client.put("_admin/entities/invoice", {**kept, "fields": fields})

    for name in ("status", "note", "number", "voided_at"):
        refused(await without(name), f"field {name} is used by a state machine", None)
    log = entity("log", text="string")
    refused(await client.put("_admin/entities/log", log), "field amount is used by a state machine", None)
    # A guard reads a field that is gone as null.
    (await without("total")).require(200)
    made = await client.create("invoice", {})
    answer = await client.put(f"invoice/{made['id']}", {"status": "void"})
    expected = [finding("Transition from 'draft' to 'void' blocked by guard")]
    assert_error(answer, 422, "VALIDATION_FAILED", "Validation failed", expected)


async def test_stored_machines_are_loaded_whatever_has_changed_since(client, start_kernel):
    from rocket_kernel.testing import Actors
    from rocket_statemachines import StateMachinesPlugin

    (await client.post(PATH, MACHINE)).require(201)
    definition = (await client.get("_admin/entities/invoice")).data["definition"]
    fields = [field for field in definition["fields"] if field["name"] != "total"]
    body = {"name": "invoice", "primary_key": definition["primary_key"], "soft_delete": True, "fields": fields}
    (await client.put("_admin/entities/invoice", body)).require(200)
    again = (await start_kernel([StateMachinesPlugin, Actors])).client.in_app("shop")
    made = await again.create("invoice", {})
    answer = await again.put(f"invoice/{made['id']}", {"status": "void"})
    expected = [finding("Transition from 'draft' to 'void' blocked by guard")]
    assert_error(answer, 422, "VALIDATION_FAILED", "Validation failed", expected)
    (await again.put(f"invoice/{made['id']}", {"status": "sent"})).require(200)
