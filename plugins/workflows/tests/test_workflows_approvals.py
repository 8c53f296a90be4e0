"""Approvals: who decides, what each caller sees, what is refused, and deadlines. Contract §9.1, §9.4, §9.6."""

import pytest

from rocket_kernel import Actor
from rocket_kernel.testing import assert_error

NOW = "2026-01-02T03:04:05.678Z"
ON_INVOICE = {"type": "manual", "entity": "invoice", "roles": ["starter"]}
NO_ID = "12345678-90ab-4cde-8f01-234567890abc"


def actor(id, *roles, email=None):
    return Actor(id=id, email=email, roles=frozenset(roles))


STARTER = actor("s1", "starter")
MANAGER = actor("m1", "manager")
OTHER_MANAGER = actor("m2", "manager", "clerk")
STRANGER = actor("x1", "clerk", email="x@example.com")
NOT_YOURS = "You are not an assignee of this step"


def approval(id="ask", **more):
    return {"id": id, "type": "approval", "on_approve": "yes", "on_reject": "no", **more}


def log(id):
    return {"id": id, "type": "action", "actions": [{"type": "create_record", "entity": "log", "data": {"text": id}}]}


STEPS = [approval(assignee={"type": "role", "role": "Manager"}, timeout="72h"), log("yes"), log("no")]


@pytest.fixture
async def asked(flow):
    """An instance that STARTER has started and a manager must decide."""
    await flow.define("w", ON_INVOICE, STEPS)
    invoice = await flow.client.create("invoice", {"number": "1"})
    return await flow.start("w", STARTER, record_id=invoice["id"])


async def decide(flow, instance, who, call="approve", **body):
    return await flow.client.as_actor(who).post(f"_workflows/{instance['id']}/{call}", body)


async def test_an_approval_waits_for_its_assignee(flow, asked):
    assert (asked["status"], asked["current_step"], asked["assignee"]) == (
        "running",
        "ask",
        {"type": "role", "role": "Manager"},
    )
    assert asked["current_step_deadline"] == "2026-01-05T03:04:05.678Z"
    decided = (await decide(flow, asked, MANAGER, comment="fine")).require(200).data
    assert decided["history"] == [{"step": "ask", "status": "approved", "by": "m1", "at": NOW, "comment": "fine"}]
    assert (decided["status"], decided["current_step"], decided["assignee"]) == ("running", "yes", None)
    assert decided["current_step_deadline"] is None
    await flow.settle()
    done = await flow.instance(asked["id"])
    assert (done["status"], [note["step"] for note in done["history"]]) == ("completed", ["ask", "yes"])


async def test_rejecting_follows_the_other_way(flow, asked):
    decided = (await decide(flow, asked, MANAGER, "reject")).require(200).data
    assert (decided["current_step"], decided["history"][0]["status"]) == ("no", "rejected")
    assert "comment" not in decided["history"][0]


async def test_what_is_refused(flow, asked):
    async def refused(answer, status, code, message):
        assert_error(await answer, status, code, message)

    await refused(decide(flow, asked, STRANGER), 403, "FORBIDDEN", NOT_YOURS)
    await refused(decide(flow, asked, STARTER), 403, "FORBIDDEN", NOT_YOURS)
    for id in (NO_ID, "nonsense", "%00"):
        for call in ("approve", "reject"):
            answer = flow.client.post(f"_workflows/{id}/{call}")
            assert (await answer).error["message"].startswith("Workflow instance not found: ")
    for comment in ("x" * 4001, 5, ["x"]):
        text = "comment must be a string of at most 4000 characters"
        await refused(decide(flow, asked, MANAGER, comment=comment), 422, "VALIDATION_FAILED", text)
    await refused(decide(flow, asked, MANAGER, comment="a\x00b"), 400, "INVALID_PAYLOAD", "Invalid JSON body")
    await refused(decide(flow, asked, MANAGER, step=5), 422, "VALIDATION_FAILED", "step must be a string")
    await refused(decide(flow, asked, MANAGER, step="yes"), 422, "INVALID_STATE", "step has already been decided")
    (await decide(flow, asked, MANAGER, comment="x" * 4000, step="ask")).require(200)
    await refused(decide(flow, asked, MANAGER), 422, "INVALID_STATE", "current step is not an approval step")
    await refused(decide(flow, asked, MANAGER, step="ask"), 422, "INVALID_STATE", "step has already been decided")
    await flow.settle()
    over = "workflow instance is not running (status: completed)"
    await refused(decide(flow, asked, MANAGER, "reject"), 422, "INVALID_STATE", over)


async def test_bodies_may_be_empty(flow, asked):
    answer = await flow.client.as_actor(MANAGER).post(f"_workflows/{asked['id']}/approve", content=b"")
    assert answer.require(200).data["history"][0]["by"] == "m1"


async def test_who_decides_stands_in_the_token_alone(flow, asked):
    clerk = flow.client.as_actor(MANAGER).with_headers({"X-User-Id": "ceo", "By": "ceo"})
    answer = await clerk.post(f"_workflows/{asked['id']}/approve", {"by": "ceo", "user": "ceo"})
    assert answer.require(200).data["history"][0]["by"] == "m1"


async def test_who_sees_an_instance(flow, asked):
    async def sees(who):
        answer = await flow.client.as_actor(who).get(f"_workflows/{asked['id']}")
        if answer.status != 200:
            assert_error(answer, 404, "NOT_FOUND", f"Workflow instance not found: {asked['id']}")
        diagram = await flow.client.as_actor(who).get(f"_workflows/{asked['id']}/diagram")
        assert diagram.status == answer.status
        return answer.status == 200

    everybody = (STARTER, MANAGER, OTHER_MANAGER, STRANGER, actor(None, "clerk"), actor("a", "admin"))
    assert [await sees(who) for who in everybody] == [True, True, True, False, False, True]
    (await decide(flow, asked, MANAGER)).require(200)
    assert [await sees(who) for who in everybody] == [True, True, False, False, False, True]
    await flow.settle()
    assert [await sees(who) for who in everybody] == [True, True, False, False, False, True]


async def test_what_only_administrators_may_do(flow, asked):
    for method, path in (("GET", ""), ("POST", "/retry"), ("POST", "/cancel"), ("DELETE", "")):
        target = "_workflows" if method == "GET" else f"_workflows/{asked['id']}{path}"
        refused = await flow.client.as_actor(MANAGER).request(method, target, {})
        assert_error(refused, 403, "FORBIDDEN", "Admin access required")
    assert (await flow.client.delete(f"_workflows/{asked['id']}")).require(200).data == {"deleted": True}
    missing = f"Workflow instance not found: {asked['id']}"
    assert_error(await flow.client.delete(f"_workflows/{asked['id']}"), 404, "NOT_FOUND", missing)


async def test_assignees_are_found_through_relations_when_the_step_is_entered(flow):
    path = {"type": "relation", "path": "requester.email"}
    steps = [
        {"id": "first", "type": "wait", "duration": "1h", "then": "ask"},
        approval(assignee=path),
        log("yes"),
        log("no"),
    ]
    await flow.define("w", ON_INVOICE, steps)
    ann = await flow.client.create("employee", {"name": "Ann", "email": "old@example.com"})
    invoice = await flow.client.create("invoice", {"number": "1", "requester_id": ann["id"]})
    started = await flow.start("w", record_id=invoice["id"])
    (await flow.client.put(f"employee/{ann['id']}", {"email": "Ann@Example.com"})).require(200)
    flow.clock.advance(hours=1)
    await flow.settle()
    waiting = await flow.instance(started["id"])
    assert waiting["assignee"] == {"type": "relation", "path": "requester.email", "user": "Ann@Example.com"}
    by_mail = actor("77", email="ann@example.com")
    assert_error(await decide(flow, started, actor("77", email="old@example.com")), 403, "FORBIDDEN", NOT_YOURS)
    assert [it["id"] for it in (await flow.client.as_actor(by_mail).get("_workflows/pending")).data] == [started["id"]]
    (await decide(flow, started, by_mail)).require(200)


@pytest.mark.parametrize("break_at", ["no requester", "no value", "deleted record", "no field any more"])
async def test_assignees_that_cannot_be_found_leave_it_to_administrators(flow, break_at):
    path = {"type": "relation", "path": "requester.manager_id"}
    await flow.define("w", ON_INVOICE, [{"id": "first", "type": "wait", "duration": "1h", "then": "ask"}, approval(assignee=path), log("yes"), log("no")])  # fmt: skip
    body = {"name": "Ann"} if break_at == "no value" else {"name": "Ann", "manager_id": NO_ID}
    ann = await flow.client.create("employee", body)
    invoice = await flow.client.create(
        "invoice", {"number": "1", "requester_id": None if break_at == "no requester" else ann["id"]}
    )
    started = await flow.start("w", record_id=invoice["id"])
    if break_at == "deleted record":
        (await flow.client.delete(f"invoice/{invoice['id']}")).require(200)
    if break_at == "no field any more":
        (await flow.client.delete("_admin/relations/requester")).require(200)
    flow.clock.advance(hours=1)
    await flow.settle()
    waiting = await flow.instance(started["id"])
    assert waiting["assignee"] == {**path, "user": None}
    assert_error(await decide(flow, started, actor(NO_ID)), 403, "FORBIDDEN", NOT_YOURS)
    assert_error(await decide(flow, started, actor("")), 403, "FORBIDDEN", NOT_YOURS)
    (await decide(flow, started, actor("a", "ADMIN".lower()))).require(200)


async def test_fixed_users_and_nobody(flow):
    await flow.define(
        "fixed",
        {"type": "manual"},
        [approval(assignee={"type": "fixed", "user": "Boss@Example.com"}), log("yes"), log("no")],
    )
    await flow.define("nobody", {"type": "manual"}, [approval(), log("yes"), log("no")])
    fixed, nobody = [await flow.start(name) for name in ("fixed", "nobody")]
    assert (fixed["assignee"], nobody["assignee"]) == ({"type": "fixed", "user": "Boss@Example.com"}, None)
    assert_error(await decide(flow, fixed, actor("boss", "boss@example.com")), 403, "FORBIDDEN", NOT_YOURS)
    assert_error(await decide(flow, nobody, actor("boss")), 403, "FORBIDDEN", NOT_YOURS)
    (await decide(flow, fixed, actor("boss@EXAMPLE.com"))).require(200)


async def test_pending_shows_each_caller_what_waits_for_them(flow):
    await flow.define(
        "m", {"type": "manual"}, [approval(assignee={"type": "role", "role": "manager"}), log("yes"), log("no")]
    )
    await flow.define(
        "x", {"type": "manual"}, [approval(assignee={"type": "fixed", "user": "x1"}), log("yes"), log("no")]
    )
    await flow.define("wait", {"type": "manual"}, [{"id": "w", "type": "wait", "duration": "1h"}])
    await flow.define("done", {"type": "manual"}, [{"id": "a", "type": "action", "actions": []}])
    ids = {}
    for name in ("m", "x", "wait", "done"):
        flow.clock.advance(seconds=1)
        ids[name] = (await flow.start(name))["id"]
    await flow.settle()

    async def pending(who):
        found = (await flow.client.as_actor(who).get("_workflows/pending")).require(200).data
        return [it["workflow_name"] for it in found]

    assert await pending(MANAGER) == ["m"]
    assert await pending(STRANGER) == ["x"]
    assert await pending(actor("x1", "manager")) == ["x", "m"]
    assert await pending(STARTER) == []
    assert await pending(actor(None)) == []
    assert await pending(actor("a", "admin")) == ["wait", "x", "m"]
    (await decide(flow, {"id": ids["m"]}, MANAGER)).require(200)
    assert await pending(MANAGER) == []


async def test_lists_are_filtered_and_paged(flow):
    await flow.define("m", {"type": "manual"}, [approval(), log("yes"), log("no")])
    await flow.define("i", {"type": "manual", "entity": "invoice"}, [{"id": "a", "type": "action", "actions": []}])
    invoice = await flow.client.create("invoice", {"number": "1"})
    for _ in range(3):
        flow.clock.advance(seconds=1)
        await flow.start("m")
    flow.clock.advance(seconds=1)
    await flow.start("i", record_id=invoice["id"])
    await flow.settle()

    async def listed(query):
        answer = (await flow.client.get(f"_workflows{query}")).require(200)
        return [it["workflow_name"] for it in answer.data], answer.meta

    meta = {"page": 1, "per_page": 25, "total": 4, "total_pages": 1}
    assert await listed("") == (["i", "m", "m", "m"], meta)
    assert (await listed("?status=completed"))[0] == ["i"]
    assert (await listed("?workflow=m"))[0] == ["m", "m", "m"]
    assert (await listed(f"?workflow={flow.names['i']}"))[0] == ["i"]
    assert (await listed(f"?entity=invoice&record_id={invoice['id']}"))[0] == ["i"]
    assert (await listed("?workflow=none")) == ([], {**meta, "total": 0, "total_pages": 0})
    assert (await listed("?status=nonsense&record_id=x"))[0] == []
    assert await listed("?per_page=3&page=2") == (["m"], {"page": 2, "per_page": 3, "total": 4, "total_pages": 2})
    assert (await listed("?per_page=0&page=-1"))[1] == meta
    assert (await listed("?per_page=9999&page=9999999999999"))[0] == []


async def test_deadlines_of_approvals(flow):
    asks = approval(timeout="1h")
    await flow.define("follow", {"type": "manual"}, [{**asks, "on_timeout": "no"}, log("yes"), log("no")])
    await flow.define("end", {"type": "manual"}, [{**asks, "on_timeout": {"goto": "end"}}, log("yes"), log("no")])
    await flow.define("fail", {"type": "manual"}, [asks, log("yes"), log("no")])
    started = {name: (await flow.start(name))["id"] for name in ("follow", "end", "fail")}
    flow.clock.advance(minutes=59, seconds=59.999)
    await flow.settle()
    assert {(await flow.instance(id))["current_step"] for id in started.values()} == {"ask"}
    flow.clock.advance(seconds=0.001)
    await flow.settle()
    found = {name: await flow.instance(id) for name, id in started.items()}
    at = "2026-01-02T04:04:05.678Z"
    note = {"step": "ask", "status": "timed_out", "at": at}
    assert [entry["status"] for entry in found["follow"]["history"]] == ["timed_out", "completed"]
    assert (found["end"]["status"], found["end"]["history"]) == ("completed", [note])
    failed = found["fail"]
    assert (failed["status"], failed["current_step"], failed["error"]) == ("failed", "ask", "step 'ask' timed out")
    assert failed["history"] == [{**note, "error": "step 'ask' timed out"}]
    assert (failed["assignee"], failed["current_step_deadline"]) == (None, None)
    again = (await flow.client.post(f"_workflows/{failed['id']}/retry")).require(200).data
    assert (again["current_step"], again["current_step_deadline"]) == ("ask", "2026-01-02T05:04:05.678Z")
    (await flow.client.post(f"_workflows/{failed['id']}/approve")).require(200)


async def test_a_decision_at_the_last_moment_and_one_after_it(flow):
    await flow.define("w", {"type": "manual"}, [approval(timeout="1h", on_timeout="no"), log("yes"), log("no")])
    early, late = await flow.start("w"), await flow.start("w")
    flow.clock.advance(hours=1)
    (await flow.client.post(f"_workflows/{early['id']}/approve")).require(200)
    await flow.settle()
    assert [note["status"] for note in (await flow.instance(early["id"]))["history"]] == ["approved", "completed"]
    refused = await flow.client.post(f"_workflows/{late['id']}/approve")
    assert_error(refused, 422, "INVALID_STATE", "workflow instance is not running (status: completed)")


async def test_diagrams(flow):
    steps = [
        {"id": "check", "type": "condition", "expression": "context.x", "on_true": "ask", "on_false": "w"},
        approval(timeout="1h", on_timeout="w"),
        {"id": "w", "type": "wait", "duration": "1h"},
        log("yes"),
        {**log('no"]; click x'), "id": 'no"]; click x'},
    ]
    steps[1]["on_reject"] = steps[4]["id"]
    row = await flow.define("w", {"type": "manual"}, steps, {"x": "trigger.user.id"})
    answer = (await flow.client.get(f"_admin/workflows/{row['id']}/diagram")).require(200)
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.text.splitlines() == [
        "flowchart TD",
        "    start((start)) --> s0",
        '    s0{"check"}',
        '    s1(["ask"])',
        '    s2(("w"))',
        '    s3["yes"]',
        '    s4["no#34;#93;#59; click x"]',
        "    finish((end))",
        "    s0 -->|true| s1",
        "    s0 -->|false| s2",
        "    s1 -->|approved| s3",
        "    s1 -->|rejected| s4",
        "    s1 -->|timed out| s2",
        "    s2 --> finish",
        "    s3 --> finish",
        "    s4 --> finish",
    ]
    started = await flow.start("w")
    await flow.settle()
    shown = (await flow.client.get(f"_workflows/{started['id']}/diagram")).require(200).text.splitlines()
    assert "    class s0 done" in shown
    assert "    class s1 current" in shown
    assert "    linkStyle 0,1 stroke:#2e7d32,stroke-width:3px" in shown
    (await flow.client.post(f"_workflows/{started['id']}/approve")).require(200)
    await flow.settle()
    shown = (await flow.client.get(f"_workflows/{started['id']}/diagram")).text.splitlines()
    assert "    class s0,s1,s3,finish done" in shown
    assert "    linkStyle 0,1,3,7 stroke:#2e7d32,stroke-width:3px" in shown
    assert_error(await flow.client.get(f"_workflows/{NO_ID}/diagram"), 404, "NOT_FOUND")
