"""The history of records beside all other plugins: whoever writes is told, and whoever may not read is not."""

from __future__ import annotations

import asyncio

import pytest

from rocket_auth.testing import SECRET, signed_in
from rocket_kernel.testing import assert_error, entity

NO_ID = "12345678-90ab-4cde-8f01-234567890abc"
ORDER = entity(
    "order",
    {"audit": True},
    title="string!",
    state="string",
    net="decimal:2",
    gross="decimal:2",
    owner="uuid",
    cost="int",
    photo="file",
)
NOTE = entity("note", {"audit": True}, text="string")
MACHINE = {
    "entity": "order",
    "field": "state",
    "definition": {
        "initial": "draft",
        "transitions": [
            {
                "from": "draft",
                "to": "sent",
                "actions": [
                    {"type": "set_field", "field": "cost", "value": 7},
                    {"type": "create_record", "entity": "note", "data": {"text": "record.title"}},
                ],
            },
            {"from": "sent", "to": "paid"},
        ],
    },
}
RULE = {
    "entity": "order",
    "hook": "before_write",
    "type": "computed",
    "definition": {"field": "gross", "expression": "record.net * 2"},
}
FLOW = {
    "name": "pay",
    "trigger": {"type": "state_change", "entity": "order", "field": "state", "to": "sent"},
    "context": {"id": "record_id"},
    "steps": [
        {
            "id": "pay",
            "type": "action",
            "actions": [
                {"type": "set_field", "entity": "order", "record_id": "context.id", "field": "state", "value": "paid"}
            ],
        }
    ],
}


@pytest.fixture
async def shop(open_app):
    running, make = await open_app()
    admin = await make("shop")
    await admin.define(ORDER, NOTE)
    return running, admin, make


async def person(shop, name, *roles):
    running, admin, _ = shop
    email = f"{name}@example.com"
    made = await admin.create("_admin/users", {"email": email, "password": SECRET, "roles": list(roles)})
    return made["id"], await signed_in(running.client.in_app("shop"), email, SECRET)


async def allow(admin, action, *roles, **more):
    body = {"entity": "order", "action": action, "roles": list(roles), "conditions": [], **more}
    await admin.create("_admin/permissions", body)


async def history(client, path):
    return (await client.get(f"{path}/_history")).require(200).data


async def test_whoever_writes_and_in_whatever_way(shop):
    _, admin, _ = shop
    await admin.create("_admin/state-machines", MACHINE)
    await admin.create("_admin/rules", RULE)
    await admin.create("_admin/workflows", FLOW)
    await allow(admin, "read", "clerk")
    await allow(admin, "create", "clerk")
    await allow(admin, "update", "clerk")
    clerk_id, clerk = await person(shop, "clerk", "clerk")
    made = await clerk.create("order", {"title": "A", "net": "1.5"})
    sent = await clerk.patch(f"order/{made['id']}", {"state": "sent"}, headers={"X-Trace-ID": NO_ID})
    assert sent.require(200).data["cost"] == 7
    for _ in range(400):
        rows = await history(clerk, f"order/{made['id']}")
        if len(rows) == 3:
            break
        await asyncio.sleep(0.05)
    paid, moved, created = rows
    assert (created["user_id"], created["user_email"]) == (clerk_id, "clerk@example.com")
    assert created["changes"]["gross"] == {"old": None, "new": "3.00"}
    assert created["changes"]["state"] == {"old": None, "new": "draft"}
    assert moved["changes"] == {"state": {"old": "draft", "new": "sent"}, "cost": {"old": None, "new": 7}}
    assert moved["trace_id"] == NO_ID
    assert (paid["user_id"], paid["user_email"]) == (None, None)
    assert paid["changes"] == {"state": {"old": "sent", "new": "paid"}}
    (note,) = (await admin.get("note")).data
    (told,) = await history(admin, f"note/{note['id']}")
    assert (told["user_id"], told["changes"]["text"]["new"]) == (None, "A")


async def test_files_are_told_as_the_record_shows_them(shop):
    _, admin, _ = shop
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nHello\r\n--x--\r\n'
    form = {"content": body, "headers": {"Content-Type": "multipart/form-data; boundary=x"}}
    file = (await admin.post("_files/upload", **form)).require(201).data
    made = await admin.create("order", {"title": "A", "photo": file["id"]})
    await admin.patch(f"order/{made['id']}", {"photo": None})
    cleared, created = await history(admin, f"order/{made['id']}")
    assert created["changes"]["photo"] == {"old": None, "new": made["photo"]}
    assert cleared["changes"]["photo"] == {"old": made["photo"], "new": None}


async def test_history_obeys_the_permissions_of_the_record_and_of_its_fields(shop):
    _, admin, _ = shop
    own_id, clerk = await person(shop, "clerk", "clerk")
    _, boss = await person(shop, "boss", "boss")
    _, nobody = await person(shop, "nobody", "guest")
    mine = [{"field": "owner", "operator": "eq", "value": "{{user.id}}"}]
    await allow(admin, "read", "clerk", conditions=mine, fields={"exclude": ["cost"]})
    sent = [*mine, {"field": "state", "operator": "eq", "value": "sent"}]
    await allow(admin, "read", "clerk", conditions=sent, fields={"include": ["title", "cost"]})
    await allow(admin, "read", "boss")
    own = await admin.create("order", {"title": "own", "owner": own_id, "cost": 1, "state": "draft"})
    other = await admin.create("order", {"title": "other", "cost": 2})
    await admin.patch(f"order/{own['id']}", {"cost": 3})
    assert [set(row["changes"]) for row in await history(clerk, f"order/{own['id']}")] == [
        {"id", "title", "owner", "state"}
    ]
    await admin.patch(f"order/{own['id']}", {"state": "sent"})
    shown = await history(clerk, f"order/{own['id']}")
    assert [set(row["changes"]) for row in shown] == [{"state"}, {"cost"}, {"id", "title", "owner", "state", "cost"}]
    for path in (f"order/{other['id']}", f"order/{NO_ID}", "order/x"):
        refused = await clerk.get(f"{path}/_history")
        assert (refused.status, refused.body) == (404, (await clerk.get(path)).body)
    assert len(await history(boss, f"order/{other['id']}")) == 1
    assert_error(
        await nobody.get(f"order/{own['id']}/_history"), 403, "FORBIDDEN", "Permission denied for read on order"
    )
    await admin.patch(f"order/{own['id']}", {"owner": None})
    assert (await clerk.get(f"order/{own['id']}/_history")).status == 404


CONDITION = {"conditions": [{"field": "state", "operator": "eq", "value": "open"}]}
DEAR = {"conditions": [{"field": "cost", "operator": "gt", "value": 5}]}
GRANTS = [
    [],
    [{"roles": ["boss"]}],
    [{}],
    [CONDITION],
    [{"fields": {"include": ["title"]}}],
    [{"fields": {"exclude": ["cost", "state"]}}],
    [{**CONDITION, "fields": {"include": ["cost"]}}],
    [{**CONDITION, "fields": {"exclude": ["cost"]}}, {**DEAR, "fields": {"include": ["state"]}}],
    [{"conditions": [*CONDITION["conditions"], *DEAR["conditions"]]}],
    [{"roles": ["boss"], **CONDITION}, {**DEAR, "roles": ["boss", "CLERK"], "fields": {"include": ["net"]}}],
]


async def test_history_is_as_tight_as_the_record_whatever_is_granted(shop):
    _, admin, _ = shop
    _, clerk = await person(shop, "clerk", "clerk")
    ids = [NO_ID, "x"]
    for state, cost in (("open", 1), ("open", 9), ("shut", 9), (None, None)):
        made = await admin.create("order", {"title": "t", "state": "new", "cost": 0, "net": "1"})
        await admin.patch(f"order/{made['id']}", {"state": state, "cost": cost})
        ids.append(made["id"])
    compared = 0
    for grants in GRANTS:
        for row in (await admin.get("_admin/permissions")).data:
            (await admin.delete(f"_admin/permissions/{row['id']}")).require(200)
        for grant in grants:
            await allow(admin, "read", *grant.get("roles", ["clerk"]), **{k: grant[k] for k in grant if k != "roles"})
        for id in ids:
            record, told = await clerk.get(f"order/{id}"), await clerk.get(f"order/{id}/_history")
            assert told.status == record.status, (grants, id)
            if record.status != 200:
                assert told.body == record.body
                continue
            compared += 1
            assert {name for row in told.data for name in row["changes"]} <= set(record.data)
            assert all(row["changes"] for row in told.data)
    assert compared > 10


async def test_what_is_deleted_is_for_administrators(shop):
    _, admin, _ = shop
    _, boss = await person(shop, "boss", "boss")
    await allow(admin, "read", "boss")
    made = await admin.create("order", {"title": "A"})
    await admin.delete(f"order/{made['id']}")
    gone = f"order with id {made['id']} not found"
    assert_error(await boss.get(f"order/{made['id']}/_history"), 404, "NOT_FOUND", gone)
    assert [row["action"] for row in await history(admin, f"order/{made['id']}")] == ["delete", "create"]


async def test_whoever_is_not_signed_in_here_sees_nothing(shop):
    running, admin, make = shop
    stranger = await make("mall")
    made = await admin.create("order", {"title": "A"})
    path = f"/api/shop/order/{made['id']}/_history"
    assert_error(await running.client.get(path), 401, "UNAUTHORIZED", "Missing auth token")
    assert_error(await stranger.get(path), 401, "UNAUTHORIZED", "Invalid or expired token")
    assert_error(await stranger.get("order/x/_history"), 404, "UNKNOWN_ENTITY", "Unknown entity: order")
    assert (await running.client.with_headers({"Authorization": "Bearer x.y.z"}).get(path)).status == 401
