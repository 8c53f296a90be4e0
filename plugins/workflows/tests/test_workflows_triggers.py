"""What starts an instance, what it remembers of it, and that it does so in the writer's transaction."""

import pytest

from rocket_kernel import SYSTEM, Actor, Call, Cause, Conflict, Plugin, hookimpl
from rocket_kernel.testing import assert_error
from rocket_workflows.context import Occasion, parse_path

WAIT = {"id": "w", "type": "wait", "duration": "1h"}
CLERK = Actor(id="7", email="clerk@example.com", roles=frozenset({"clerk"}))
CREATED = [
    # state given, does {to}, does {from}: start
    ({}, {}, True),
    ({}, {"to": "draft"}, True),
    ({"status": "sent"}, {"to": ["sent", "paid"]}, True),
    ({"status": "sent"}, {"to": "paid"}, False),
    ({"status": None}, {}, False),
    ({"status": ""}, {}, True),
    ({}, {"from": "draft"}, False),
]
UPDATED = [
    ({"status": "sent"}, {}, True),
    ({"status": "draft"}, {}, False),
    ({"note": "x"}, {}, False),
    ({"status": None}, {}, False),
    ({"status": ""}, {}, False),
    ({"status": "sent"}, {"to": "sent", "from": ["new", "draft"]}, True),
    ({"status": "sent"}, {"to": "sent", "from": "new"}, False),
    ({"status": "sent"}, {"to": "paid", "from": "draft"}, False),
]


def by_state(**more):
    return {"type": "state_change", "entity": "invoice", "field": "status", **more}


async def test_a_created_state_starts(flow):
    for number, (record, trigger, starts) in enumerate(CREATED):
        await flow.define(f"w{number}", by_state(**trigger), [WAIT])
        created = await flow.client.create("invoice", {"number": f"{number}", **record})
        found = await flow.instances(workflow=f"w{number}", record_id=created["id"])
        assert len(found) == int(starts), (record, trigger)


async def test_a_changed_state_starts(flow):
    for number, (changes, trigger, starts) in enumerate(UPDATED):
        created = await flow.client.create("invoice", {"number": f"{number}"})
        await flow.define(f"w{number}", by_state(**trigger), [WAIT])
        (await flow.client.put(f"invoice/{created['id']}", changes)).require(200)
        found = await flow.instances(workflow=f"w{number}", record_id=created["id"])
        assert len(found) == int(starts), (changes, trigger)


async def test_creates_changes_and_deletes_start(flow):
    for type in ("create", "update", "delete"):
        await flow.define(
            type, {"type": type, "entity": "invoice"}, [WAIT], {"n": "record.number", "o": "trigger.old.number"}
        )
    created = await flow.client.create("invoice", {"number": "1"})
    (await flow.client.put(f"invoice/{created['id']}", {"number": "2"})).require(200)
    (await flow.client.put(f"invoice/{created['id']}", {"number": "2"})).require(200)
    (await flow.client.delete(f"invoice/{created['id']}")).require(200)
    found = await flow.instances()
    assert {(it["workflow_name"], it["context"]["n"], it["context"]["o"]) for it in found} == {
        ("create", "1", None),
        ("update", "2", "1"),
        ("delete", "2", "2"),
    }
    assert len(found) == 3
    assert {(it["entity"], it["record_id"]) for it in found} == {("invoice", created["id"])}


async def test_nested_records_and_those_an_on_delete_takes_along_start_too(flow):
    for type in ("create", "delete"):
        await flow.define(f"line_{type}", {"type": type, "entity": "line"}, [WAIT], {"sku": "record.sku"})
    await flow.define("orphan", {"type": "update", "entity": "invoice"}, [WAIT], {"was": "trigger.old.requester_id"})
    ann = await flow.client.create("employee", {"name": "Ann"})
    body = {"number": "1", "requester_id": ann["id"], "lines": [{"sku": "a"}, {"sku": "b"}]}
    invoice = await flow.client.create("invoice", body)
    assert [it["context"]["sku"] for it in await flow.instances(workflow="line_create")] in (["a", "b"], ["b", "a"])
    (await flow.client.delete(f"employee/{ann['id']}")).require(200)
    assert (await flow.only(workflow="orphan"))["context"] == {"was": ann["id"]}
    (await flow.client.delete(f"invoice/{invoice['id']}")).require(200)
    assert sorted(it["context"]["sku"] for it in await flow.instances(workflow="line_delete")) == ["a", "b"]


async def test_one_instance_for_each_active_workflow(flow):
    for name in ("a", "b"):
        await flow.define(name, {"type": "create", "entity": "log"}, [WAIT])
    await flow.define("off", {"type": "create", "entity": "log"}, [WAIT], active=False)
    await flow.client.create("log", {"text": "x"})
    assert sorted(it["workflow_name"] for it in await flow.instances()) == ["a", "b"]
    (await flow.client.put(f"_admin/workflows/{flow.names['a']}", {"active": False})).require(200)
    await flow.client.create("log", {"text": "y"})
    assert sorted(it["workflow_name"] for it in await flow.instances()) == ["a", "b", "b"]


async def test_the_instance_as_it_was_just_started(flow):
    context = {"id": "trigger.record_id", "row": "trigger.record", "total": "record.total", "level": "record.meta.a.b",
               "who": "trigger.user.id", "mail": "trigger.user.email", "what": "trigger.entity", "none": "nonsense",
               "event": "trigger.event", "payload": "trigger.payload.x", "short": "record_id"}  # fmt: skip
    row = await flow.define("w", {"type": "create", "entity": "invoice"}, [WAIT], context)
    invoice = await flow.client.as_actor(CLERK).create(
        "invoice", {"number": "1", "total": "15000", "meta": {"a": {"b": 3}}}
    )
    instance = await flow.only()
    row_in_context = instance["context"].pop("row")
    assert row_in_context == {name: value for name, value in invoice.items() if name != "deleted_at"}
    assert instance == {
        "id": instance["id"],
        "workflow_id": row["id"],
        "workflow_name": "w",
        "workflow_version": 1,
        "entity": "invoice",
        "record_id": invoice["id"],
        "status": "running",
        "current_step": "w",
        "current_step_deadline": "2026-01-02T04:04:05.678Z",
        "assignee": None,
        "started_by": "7",
        "context": {"id": invoice["id"], "total": "15000.00", "level": 3, "who": "7", "mail": "clerk@example.com",
                    "what": "invoice", "none": None, "event": None, "payload": None, "short": invoice["id"]},
        "error": None,
        "history": [],
        "created_at": "2026-01-02T03:04:05.678Z",
        "updated_at": "2026-01-02T03:04:05.678Z",
    }  # fmt: skip
    order = ["id", "workflow_id", "workflow_name", "workflow_version", "entity", "record_id", "status", "current_step",
             "current_step_deadline", "assignee", "started_by", "context", "error", "history", "created_at",
             "updated_at"]  # fmt: skip
    assert list(instance) == order


class Veto(Plugin):
    """Refuses a write after everything else has been done in its transaction."""

    name = "veto"
    version = "1"
    after = ("workflows",)

    @hookimpl
    async def after_write(self, write):
        if write.record.get("number") == "vetoed":
            raise Conflict("vetoed")


async def test_no_commit_no_instance(start_flow):
    flow = await start_flow([Veto])
    await flow.define("w", {"type": "create", "entity": "invoice"}, [WAIT])
    assert_error(await flow.client.post("invoice", {"number": "vetoed"}), 409, "CONFLICT", "vetoed")
    assert await flow.instances() == []
    await flow.client.create("invoice", {"number": "1"})
    assert_error(await flow.client.post("invoice", {"number": "1"}), 409, "CONFLICT")
    assert len(await flow.instances()) == 1


async def test_explain_shows_what_would_start_and_leaves_nothing(flow):
    row = await flow.define("w", {"type": "create", "entity": "invoice"}, [WAIT])
    explained = (await flow.client.post("invoice?explain=true", {"number": "1"})).require(200).data
    (shown,) = explained["workflows"]
    assert shown == {
        "workflow": "w",
        "workflow_id": row["id"],
        "version": 1,
        "entity": "invoice",
        "record_id": shown["record_id"],
        "status": "running",
    }
    assert ("outbox", "workflows:start:w", "ok") in [
        (step["stage"], step["name"], step["outcome"]) for step in explained["steps"]
    ]
    assert await flow.instances() == []


async def test_sample_data_starts_nothing(flow):
    await flow.define("w", {"type": "create", "entity": "log"}, [WAIT])
    entities = (await flow.client.get("_admin/export")).data["entities"]
    document = {"entities": entities, "sample_data": {"log": [{"text": "x"}]}}
    assert (await flow.client.post("_admin/import", document)).data["summary"]["records"] == 1
    assert await flow.instances() == []


async def test_an_entity_that_nobody_watches_has_no_steps(flow):
    await flow.define("w", {"type": "create", "entity": "log"}, [WAIT])
    app = await flow.app()
    steps = {
        (name, action): [
            step.name for (at, _), found in compiled.pipeline.steps.items() if at == action for step in found
        ]
        for name, compiled in app.registry.compiled.items()
        for action in ("create", "update", "delete")
    }
    assert steps.pop(("log", "create")) == ["workflows:start:w"]
    assert set(map(tuple, steps.values())) == {()}


async def test_starting_by_hand(flow):
    await flow.define("free", {"type": "manual", "roles": ["Clerk"]}, [WAIT], {"by": "trigger.user.id"})
    await flow.define("bound", {"type": "manual", "entity": "invoice"}, [WAIT], {"n": "record.number"})
    await flow.define("other", {"type": "create", "entity": "log"}, [WAIT])
    await flow.define("off", {"type": "manual"}, [WAIT], active=False)
    clerk = flow.client.as_actor(CLERK)
    started = (await clerk.post("_workflows", {"workflow": "free"})).require(201).data
    assert (started["started_by"], started["context"], started["entity"]) == ("7", {"by": "7"}, None)
    by_id = await flow.client.post("_workflows", {"workflow": flow.names["free"].upper()})
    assert by_id.require(201).data["workflow_name"] == "free"
    invoice = await flow.client.create("invoice", {"number": "1"})
    bound = await flow.start("bound", record_id=invoice["id"])
    assert (bound["context"], bound["record_id"]) == ({"n": "1"}, invoice["id"])

    async def refused(body, status, code, message, client=flow.client):
        assert_error(await client.post("_workflows", body), status, code, message)

    await refused({}, 422, "VALIDATION_FAILED", "workflow is required")
    await refused({"workflow": "no"}, 404, "NOT_FOUND", "Workflow not found: no")
    await refused({"workflow": ["x"]}, 404, "NOT_FOUND", 'Workflow not found: ["x"]')
    await refused({"workflow": "other"}, 422, "VALIDATION_FAILED", "workflow other has no manual trigger")
    await refused({"workflow": "off"}, 422, "INVALID_STATE", "workflow off is not active")
    await refused({"workflow": "bound"}, 422, "VALIDATION_FAILED", "record_id is required")
    for id in ("no", "12345678-90ab-4cde-8f01-234567890abc"):
        await refused({"workflow": "bound", "record_id": id}, 404, "NOT_FOUND", f"invoice with id {id} not found")
    await refused({"workflow": "bound", "record_id": {}}, 404, "NOT_FOUND", "invoice with id {} not found")
    await refused({"workflow": "bound"}, 403, "FORBIDDEN", "No permission to start workflow bound", clerk)
    (await flow.client.delete(f"invoice/{invoice['id']}")).require(200)
    gone = {"workflow": "bound", "record_id": invoice["id"]}
    await refused(gone, 404, "NOT_FOUND", f"invoice with id {invoice['id']} not found")


async def test_events_start(flow):
    await flow.define("w", {"type": "event", "event": "order.paid", "roles": ["Clerk"]}, [WAIT],
                      {"event": "trigger.event", "sum": "trigger.payload.sum", "of": "trigger.entity"})  # fmt: skip
    now = "2026-01-02T03:04:05.678Z"
    stranger = Actor(id="8", email=None, roles=frozenset({"guest"}))
    for actor, cause in ((stranger, None), (CLERK, None), (SYSTEM, Cause("action", 1))):
        call = Call(actor, now, "12345678-90ab-4cde-8f01-234567890abc", cause)
        await flow.emit("order.paid", call, entity="order", record_id="5", payload={"sum": 3})
        await flow.emit("order.lost", call)
    found = await flow.instances()
    assert sorted((it["started_by"] or "", it["record_id"]) for it in found) == [("", "5"), ("7", "5")]
    assert all(it["context"] == {"event": "order.paid", "sum": 3, "of": "order"} for it in found)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("trigger.record_id", "5"), ("record_id", "5"), ("trigger.record", {"a": 1, "b.c": {"d": 2}}),
        ("trigger.record.a", 1), ("record.a", 1), ("record.b.c.d", 2), ("trigger.record.x", None),
        ("trigger.record.a.b", None), ("trigger.old.a", 0), ("trigger.old.x", None), ("trigger.entity", "e"),
        ("trigger.event", "v"), ("trigger.payload.p", [1]), ("trigger.payload.p.q", None), ("trigger.user.id", "7"),
        ("trigger.user.email", "clerk@example.com"),
    ],
)  # fmt: skip
def test_paths(path, value):
    occasion = Occasion(CLERK, "e", "5", {"a": 1, "b.c": {"d": 2}}, {"a": 0}, "v", {"p": [1]})
    assert parse_path(path).resolve(occasion) == value


@pytest.mark.parametrize(
    "text", ["", "x", "record", "trigger", "trigger.", "trigger.x", "trigger.user", "trigger.user.roles",
             "trigger.payload", "trigger.record_id.x", "old.a", "literal text", 5, None, ["record_id"], {}]
)  # fmt: skip
def test_what_is_no_path(text):
    assert parse_path(text) is None
