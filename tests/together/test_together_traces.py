"""What requests show of themselves when every plugin has something to do: contract §16.4."""

from __future__ import annotations

import pytest

from rocket_auth.testing import SECRET, signed_in
from rocket_kernel.testing import entity, one_to_many

TRACE = "11111111-2222-4333-8444-55555555555"
MACHINE = {"initial": "draft", "transitions": [{"from": "draft", "to": "paid"}]}
APPROVAL = [
    {
        "id": "ask",
        "type": "approval",
        "assignee": {"type": "role", "role": "admin"},
        "on_approve": {"goto": "end"},
        "on_reject": {"goto": "end"},
    }
]


@pytest.fixture
async def office(open_app, receiver):
    """The administrator of an app in which everything happens, and a function that does everything that is due."""
    running, make = await open_app()
    plugins = running.kernel.parts.plugins
    engine, dispatcher = plugins.find("workflows").engine, plugins.find("webhooks").dispatcher
    await engine.stop()
    await dispatcher.pause()
    await running.kernel.jobs.pause()
    admin = await make("shop")
    app = await running.kernel.apps.app("shop")
    await admin.define(
        entity("order", state="string", total="decimal:2", receipt="file"),
        entity("line", title="string!", order_id="uuid"),
    )
    await admin.relate(one_to_many("lines", "order", "line"))
    for path, body in definitions(receiver.url).items():
        (await admin.post(f"_admin/{path.rstrip('+')}", body)).require(201)

    async def settle():
        while await engine.run_due(app) + await dispatcher.run_due() + await running.kernel.jobs.run_due():
            pass

    return running, admin, settle


def definitions(address):
    permission = {"entity": "order", "roles": ["clerk"], "conditions": []}
    trigger = {"type": "state_change", "entity": "order", "field": "state", "to": "paid"}
    return {
        "rules": {
            "entity": "order",
            "hook": "before_write",
            "type": "expression",
            "definition": {"expression": "record.total < 0", "message": "Below nothing"},
        },
        "state-machines": {"entity": "order", "field": "state", "definition": MACHINE},
        "webhooks": {"entity": "order", "hook": "before_write", "async": False, "url": f"{address}/judge"},
        "webhooks+": {"entity": "order", "hook": "after_write", "url": f"{address}/told"},
        "workflows": {"name": "check", "trigger": trigger, "steps": APPROVAL},
        "permissions": {**permission, "action": "read"},
    }


def names(rows):
    return {"/".join((row["source"], row["component"], row["action"])) for row in rows}


async def traced(client, number, method, path, body=None, **options):
    """The answer of a request, and its trace id."""
    trace = f"{TRACE}{number}"
    headers = {"X-Trace-ID": trace, **options.pop("headers", {})}
    return await client.request(method, path, *([] if body is None else [body]), headers=headers, **options), trace


async def waterfall(client, trace):
    return (await client.get(f"_events/trace/{trace}")).require(200).data


async def test_a_write_shows_all_that_took_part(office, receiver):
    _, admin, settle = office
    created, trace = await traced(admin, 1, "POST", "order", {"total": "5", "lines": {"data": [{"title": "pen"}]}})
    order = created.require(201).data
    await settle()
    found = await waterfall(admin, trace)
    assert names(found["spans"]) >= {
        "http/handler/request.start",
        "auth/permissions/permission.check",
        "engine/handler/record.create",
        "engine/writer/nested_write.execute",
        "engine/rules/rules.evaluate",
        "webhook/dispatcher/webhook.dispatch",
        "sql/statement/sql.insert",
    }
    ids = {row["span_id"]: row for row in found["spans"]}
    root = found["root_span"]
    assert all(row["parent_span_id"] in ids for row in found["spans"] if row["span_id"] != root["span_id"])
    dispatches = [row for row in found["spans"] if row["action"] == "webhook.dispatch"]
    assert {row["metadata"]["hook"] for row in dispatches} == {"before_write", "after_write"}
    assert {(row["entity"], row["status"], row["metadata"]["status_code"]) for row in dispatches} == {
        ("order", "ok", 200)
    }
    sent = {request.path: request.headers["traceparent"].split("-") for request in receiver.requests}
    for path, hook in (("/judge", "before_write"), ("/told", "after_write")):
        (row,) = [row for row in dispatches if row["metadata"]["hook"] == hook]
        assert sent[path] == ["00", trace.replace("-", ""), row["span_id"].replace("-", "")[16:], "01"]
    told = next(row for row in dispatches if row["metadata"]["hook"] == "after_write")
    assert ids[told["parent_span_id"]]["action"] == "webhooks:outbox:after_write"

    moved, trace = await traced(admin, 2, "PUT", f"order/{order['id']}", {"state": "paid"})
    moved.require(200)
    rows = (await waterfall(admin, trace))["spans"]
    assert names(rows) >= {"engine/state_machine/state.transition", "workflow/engine/workflow.trigger"}
    transition = next(row for row in rows if row["action"] == "state.transition")
    assert (transition["entity"], transition["record_id"]) == ("order", order["id"])
    started = next(row for row in rows if row["action"] == "workflow.trigger")["metadata"]
    assert started["workflow"] == "check"

    await settle()
    decided, trace = await traced(admin, 3, "POST", f"_workflows/{started['instance_id']}/approve", {})
    decided.require(200)
    assert "workflow/handler/workflow.approve" in names((await waterfall(admin, trace))["spans"])
    refused, trace = await traced(admin, 4, "POST", f"_workflows/{started['instance_id']}/reject", {})
    assert refused.status == 422
    rows = (await waterfall(admin, trace))["spans"]
    assert next(row for row in rows if row["action"] == "workflow.reject")["status"] == "error"


async def test_files_show_what_is_done_to_them(office):
    _, admin, _ = office
    boundary = "b"
    content = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n'
        f"Content-Type: text/plain\r\n\r\nsecret words\r\n--{boundary}--\r\n"
    ).encode()
    form = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    uploaded, first = await traced(admin, 1, "POST", "_files/upload", content=content, headers=form)
    file = uploaded.require(201).data
    _, second = await traced(admin, 2, "GET", f"_files/{file['id']}")
    _, third = await traced(admin, 3, "DELETE", f"_files/{file['id']}")
    for trace, action in ((first, "upload"), (second, "serve"), (third, "delete")):
        rows = (await waterfall(admin, trace))["spans"]
        (row,) = [row for row in rows if row["source"] == "storage"]
        assert (row["component"], row["action"], row["status"]) == ("file", f"file.{action}", "ok")
        assert row["metadata"]["file_id"] == file["id"]
        assert "secret words" not in str(rows)


async def test_what_is_refused_shows_where(office):
    running, admin, _ = office
    await admin.create("_admin/users", {"email": "clerk@example.com", "password": SECRET, "roles": ["clerk"]})
    clerk = await signed_in(running.client.in_app("shop"), "clerk@example.com", SECRET)
    read, first = await traced(clerk, 1, "GET", "order")
    written, second = await traced(clerk, 2, "POST", "order", {})
    ruled, third = await traced(admin, 3, "POST", "order", {"total": "-1"})
    assert (read.status, written.status, ruled.status) == (200, 403, 422)
    checks = {}
    for trace, source in ((first, "auth"), (second, "auth"), (third, "engine")):
        rows = (await waterfall(admin, trace))["spans"]
        assert {row["user_id"] for row in rows if row["user_id"]} == {rows[0]["user_id"]}
        checks[trace] = [
            (row["action"], row["status"])
            for row in rows
            if row["source"] == source and row["action"] in ("permission.check", "rules.evaluate")
        ]
    assert checks[first] == [("permission.check", "ok")]
    assert checks[second] == [("permission.check", "error")]
    assert checks[third] == [("rules.evaluate", "error")]


async def test_neither_passwords_nor_tokens_are_noted(office):
    _, admin, _ = office
    answer, trace = await traced(
        admin, 1, "POST", "auth/login", {"email": "nobody@example.com", "password": "canary-1"}
    )
    assert answer.status == 401
    token = admin.headers["Authorization"].removeprefix("Bearer ")
    await traced(admin, 1, "GET", f"order?token={token}")
    everything = str((await waterfall(admin, trace))["spans"])
    assert "canary-1" not in everything
    assert token not in everything
