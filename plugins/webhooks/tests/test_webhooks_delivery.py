"""Asynchronous deliveries: from the writer's transaction to the receiver, at least once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rocket_kernel import Plugin, hookimpl
from rocket_kernel.actor import Actor
from rocket_kernel.clock import SystemClock
from rocket_kernel.errors import Conflict
from rocket_kernel.testing import Receiver, entity, one_to_many
from rocket_webhooks.tables import LOGS

CLERK = Actor(id="7", email="clerk@example.com", roles=frozenset({"clerk", "admin"}))
NOW = "2026-01-02T03:04:05.678Z"


async def test_what_a_receiver_of_a_create_is_told(shop: Any) -> None:
    webhook = await shop.hook()
    client = shop.client.as_actor(CLERK)
    item = await client.create("item", {"name": "bolt", "qty": 3, "price": "1.5"})
    pending = await shop.log()
    assert (pending["status"], pending["attempt"], pending["response_status"]) == ("pending", 0, None)
    assert await shop.deliver() == 1
    (received,) = shop.receiver.requests
    assert (received.method, received.path) == ("POST", "/hook")
    assert list(received.json) == [
        "event",
        "entity",
        "action",
        "record",
        "old",
        "changes",
        "user",
        "timestamp",
        "idempotency_key",
    ]
    assert received.json == {
        "event": "after_write",
        "entity": "item",
        "action": "create",
        "record": item,
        "old": {},
        "changes": {name: {"new": value} for name, value in item.items()},
        "user": {"id": "7", "roles": ["admin", "clerk"]},
        "timestamp": NOW,
        "idempotency_key": pending["idempotency_key"],
    }
    assert received.body.decode() == pending["request_body"]
    log = await shop.log()
    assert {**pending, "status": "delivered", "attempt": 1, "response_status": 200} == {
        **log,
        "request_headers": pending["request_headers"],
    }
    assert (log["webhook_id"], log["idempotency_key"][:3], log["max_attempts"]) == (webhook["id"], "wh_", 3)


async def test_updates_and_deletes(shop: Any) -> None:
    await shop.hook()
    await shop.hook(hook="after_delete", method="DELETE")
    item = await shop.client.create("item", {"name": "bolt", "price": "1.50"})
    await shop.deliver()
    changed = (await shop.client.patch(f"item/{item['id']}", {"qty": 2, "price": "1.5"})).data
    await shop.deliver()
    await shop.client.delete(f"item/{item['id']}")
    await shop.deliver()
    update, delete = (received.json for received in shop.receiver.requests[1:])
    assert (update["action"], update["old"], update["record"]) == ("update", item, changed)
    assert update["changes"] == {"qty": {"old": None, "new": 2}}
    assert list(delete) == ["event", "entity", "action", "record", "user", "timestamp", "idempotency_key"]
    assert (delete["event"], delete["action"], delete["record"]) == ("after_delete", "delete", changed)
    assert shop.receiver.requests[2].method == "DELETE"


async def test_methods_headers_and_a_get_without_body(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROCKET_WEBHOOK_TOKEN", " t0ken\n")
    monkeypatch.setenv("PATH_SECRET", "never")
    headers = {
        "Authorization": "Bearer {{env.ROCKET_WEBHOOK_TOKEN}}",
        "Cookie": "a=b",
        "X-Plain": "plain",
        "X-Unset": "<{{ env.ROCKET_WEBHOOK_UNSET }}>",
        "content-type": "application/vnd.shop+json",
        "Traceparent": "mine",
    }
    await shop.hook(method="PUT", headers=headers)
    await shop.hook(method="GET", url=f"{shop.receiver.url}/get?a=b")
    trace = "0af76519-16cd-43dd-8448-eb211c80319c"
    await shop.client.with_headers({"X-Trace-ID": trace}).create("item", {"name": "bolt"})
    before = await shop.logs()
    assert await shop.deliver() == 2
    put, get = sorted(shop.receiver.requests, key=lambda received: received.method, reverse=True)
    assert put.headers["authorization"] == "Bearer  t0ken"
    assert (put.headers["x-plain"], put.headers["x-unset"], put.headers["cookie"]) == ("plain", "<>", "a=b")
    assert put.headers["content-type"] == "application/vnd.shop+json"
    assert put.headers["traceparent"].split("-")[1] == trace.replace("-", "")
    assert (get.path, get.body, "content-type" in get.headers) == ("/get?a=b", b"", False)
    assert [row["request_headers"] for row in before] == [{}, {}]
    for row in await shop.logs():
        assert "t0ken" not in str(row)
        if row["method"] == "GET":
            assert row["request_body"] == ""
        else:
            shown = row["request_headers"]
            assert (shown["Authorization"], shown["Cookie"], shown["X-Unset"]) == ("***", "***", "***")
            assert shown["X-Plain"] == "plain"


async def test_a_variable_that_no_header_can_carry(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROCKET_WEBHOOK_TOKEN", "a\r\nX-Injected: b")
    await shop.hook(headers={"X-Token": "{{env.ROCKET_WEBHOOK_TOKEN}}"}, retry={"max_attempts": 1})
    await shop.client.create("item", {"name": "bolt"})
    await shop.deliver()
    log = await shop.log()
    assert (log["status"], log["error"]) == ("failed", "http call: header X-Token cannot be sent")
    assert shop.receiver.requests == []


async def test_conditions_choose(shop: Any) -> None:
    await shop.hook(condition="action == 'update' and changes.qty.new > record.price and user.id == '7'")
    await shop.hook(
        condition="event == 'after_write' and entity == 'item' and old == null", url=f"{shop.receiver.url}/new"
    )
    client = shop.client.as_actor(CLERK)
    item = await client.create("item", {"name": "bolt", "qty": 1, "price": "2.50"})
    await client.patch(f"item/{item['id']}", {"qty": 2})
    await client.patch(f"item/{item['id']}", {"qty": 3})
    assert len(await shop.logs()) == 2
    await shop.deliver()
    assert sorted((received.path, received.json["record"]["qty"]) for received in shop.receiver.requests) == [
        ("/hook", 3),
        ("/new", 1),
    ]


async def test_a_condition_that_breaks_leaves_a_dead_letter(shop: Any) -> None:
    await shop.hook(condition="1 / record.qty > 0")
    await shop.client.create("item", {"name": "bolt", "qty": 0})
    log = await shop.log()
    assert (log["status"], log["attempt"], log["response_status"]) == ("failed", 0, None)
    assert log["error"].startswith("condition: ")
    assert await shop.deliver() == 0
    assert '"qty":0' in log["request_body"]


async def test_inactive_webhooks_do_not_fire(shop: Any) -> None:
    webhook = await shop.hook(active=False)
    await shop.client.create("item", {"name": "bolt"})
    assert await shop.logs() == []
    await shop.client.put(f"_admin/webhooks/{webhook['id']}", {"active": True})
    await shop.client.create("item", {"name": "nut"})
    await shop.client.put(f"_admin/webhooks/{webhook['id']}", {"active": False})
    assert await shop.deliver() == 1  # what is owed is paid


async def test_every_record_of_a_request_tells_its_own(shop: Any) -> None:
    """Nested children, a cascade, and rows whose key an on_delete clears; not the rows of a join table."""
    client = shop.client
    await client.define(
        entity("order", name="string"), entity("line", sku="string", order_id="uuid"), entity("note", order_id="uuid")
    )
    await client.relate(one_to_many("lines", "order", "line", on_delete="cascade"))
    await client.relate(one_to_many("notes", "order", "note", on_delete="set_null"))
    for name in ("order", "line", "note"):
        await shop.hook(entity=name, url=f"{shop.receiver.url}/write")
        await shop.hook(entity=name, hook="after_delete", url=f"{shop.receiver.url}/delete")
    order = await client.create("order", {"name": "7", "lines": [{"sku": "a"}, {"sku": "b"}], "notes": [{}]})
    await shop.deliver()
    told = [(received.json["entity"], received.json["action"]) for received in shop.receiver.requests]
    assert sorted(told) == [("line", "create"), ("line", "create"), ("note", "create"), ("order", "create")]
    shop.receiver.requests.clear()
    await client.delete(f"order/{order['id']}")
    await shop.deliver()
    told = [(received.path, received.json["entity"], received.json["action"]) for received in shop.receiver.requests]
    assert sorted(told) == [
        ("/delete", "line", "delete"),
        ("/delete", "line", "delete"),
        ("/delete", "order", "delete"),
        ("/write", "note", "update"),
    ]
    (cleared,) = [received.json for received in shop.receiver.requests if received.path == "/write"]
    assert cleared["changes"] == {"order_id": {"old": order["id"], "new": None}}
    assert len({received.json["idempotency_key"] for received in shop.receiver.requests}) == 4


async def test_sample_data_fires_nothing(shop: Any) -> None:
    await shop.hook()
    document = {"entities": [entity("item", name="string!")], "sample_data": {"item": [{"name": "bolt"}]}}
    done = (await shop.client.post("_admin/import", document)).data
    assert done["summary"]["records"] == 1
    assert await shop.logs() == []


class Veto(Plugin):
    name = "veto"
    version = "1"

    @hookimpl
    async def after_write(self, write: Any) -> None:
        if write.record["name"] == "twin":
            await write.run.create("item", {"name": "copy"})
        if write.record["name"] == "veto":
            raise Conflict("vetoed")


async def test_without_a_commit_there_is_no_delivery(start_shop: Any) -> None:
    shop = await start_shop((Veto,))
    await shop.hook()
    assert (await shop.client.post("item", {"name": "veto"})).status == 409
    assert await shop.logs() == []
    assert await shop.deliver() == 0


async def test_the_engine_s_own_writes_name_no_user(start_shop: Any) -> None:
    shop = await start_shop((Veto,))
    await shop.hook()
    await shop.client.create("item", {"name": "twin"})
    await shop.deliver()
    users = {received.json["record"]["name"]: "user" in received.json for received in shop.receiver.requests}
    assert users == {"twin": True, "copy": False}


async def test_explain_lists_what_would_be_sent(shop: Any) -> None:
    webhook = await shop.hook(url=f"{shop.receiver.url}/hook?token=hidden")
    await shop.hook(condition="record.qty > 5")
    await shop.hook(hook="before_write", url=f"{shop.receiver.url}/judge")
    explained = (await shop.client.post("item?explain=true", {"name": "bolt", "secret": "s3cret"})).require(200)
    (entry,) = explained.data["outbox"]
    assert {**entry, "record_id": "…"} == {
        "plugin": "webhooks",
        "webhook_id": webhook["id"],
        "hook": "after_write",
        "entity": "item",
        "record_id": "…",
        "method": "POST",
        "url": f"{shop.receiver.url}/hook",
        "status": "pending",
    }
    steps = {step["name"].split(":")[1]: step for step in explained.data["steps"] if step["plugin"] == "webhooks"}
    assert steps["before_write"]["outcome"] == "skipped"
    assert steps["outbox"]["outcome"] == "ok"
    assert "hidden" not in explained.text
    assert (await shop.logs(), shop.receiver.requests) == ([], [])


async def test_a_retry_goes_where_the_webhook_points_now(shop: Any) -> None:
    webhook = await shop.hook()
    shop.receiver.answer(status=500)
    await shop.client.create("item", {"name": "bolt"})
    await shop.deliver()
    async with Receiver() as moved:
        await shop.client.put(f"_admin/webhooks/{webhook['id']}", {"url": f"{moved.url}/new", "method": "PUT"})
        shop.clock.advance(seconds=31)
        await shop.deliver()
        assert [(received.method, received.path) for received in moved.requests] == [("PUT", "/new")]
        log = await shop.log()
        assert (log["url"], log["method"], log["status"]) == (f"{moved.url}/new", "PUT", "delivered")


async def test_a_webhook_takes_its_deliveries_along(shop: Any) -> None:
    webhook = await shop.hook()
    await shop.client.create("item", {"name": "bolt"})
    (await shop.client.delete(f"_admin/webhooks/{webhook['id']}")).require(200)
    assert (await shop.logs(), await shop.deliver()) == ([], 0)


async def test_deliveries_are_prompt_and_need_no_one_to_ask(start_shop: Any) -> None:
    shop = await start_shop(own_pace=True, clock=SystemClock())
    shop.dispatcher.tick_s = 60.0
    await shop.hook()
    loop = asyncio.get_running_loop()
    began = loop.time()
    await shop.client.create("item", {"name": "bolt"})
    await shop.receiver.wait_for(1)
    assert loop.time() - began < 1.0


async def test_another_process_delivers_what_the_writer_s_left(start_shop: Any, shop: Any) -> None:
    await shop.hook()
    await shop.client.create("item", {"name": "bolt"})
    await shop.running.stop()
    other = await start_shop(app=None)
    await other.running.kernel.apps.app("shop")
    assert await other.deliver() == 1


async def test_a_slow_receiver_holds_up_nobody_else(start_shop: Any) -> None:
    shop = await start_shop(own_pace=True, clock=SystemClock(), settings={"timeout_s": 5.0})
    async with Receiver() as slow:
        slow.answer(delay=60, times=None)
        await shop.hook(url=slow.url)
        await shop.hook()
        for number in range(30):
            await shop.client.create("item", {"name": f"bolt {number}"})
        await shop.receiver.wait_for(30, timeout=4)
        assert len(slow.requests) == 2  # as many as a lane sends at a time
        await shop.dispatcher.stop(patience_s=0)


async def test_order_by_record(shop: Any) -> None:
    """A delivery waits for the earlier ones of its record, also while they are tried again; other records do not."""
    await shop.hook(order="record", retry={"max_attempts": 2})
    shop.receiver.answer(status=500)
    first = await shop.client.create("item", {"name": "a", "qty": 0})
    await shop.deliver()
    for qty in (1, 2, 3):
        await shop.client.patch(f"item/{first['id']}", {"qty": qty})
    second = await shop.client.create("item", {"name": "b", "qty": 0})
    await shop.client.patch(f"item/{second['id']}", {"qty": 1})
    await shop.deliver()
    told = [(received.json["record"]["name"], received.json["record"]["qty"]) for received in shop.receiver.requests]
    assert told == [("a", 0), ("b", 0), ("b", 1)]
    shop.receiver.requests.clear()
    shop.receiver.answer(status=500)  # the last attempt for the first: a dead letter holds up nobody
    shop.clock.advance(seconds=31)
    await shop.deliver()
    assert [received.json["record"]["qty"] for received in shop.receiver.requests] == [0, 1, 2, 3]
    assert sorted(row["status"] for row in await shop.logs()) == ["delivered"] * 5 + ["failed"]


async def test_without_order_a_later_delivery_overtakes(shop: Any) -> None:
    await shop.hook()
    shop.receiver.answer(status=500)
    item = await shop.client.create("item", {"name": "a", "qty": 0})
    await shop.deliver()
    shop.clock.advance(seconds=1)
    await shop.client.patch(f"item/{item['id']}", {"qty": 1})
    await shop.deliver()
    assert [row["status"] for row in await shop.logs()] == ["retrying", "delivered"]


async def test_the_longest_line_of_a_record_is_not_looked_through_again_and_again(shop: Any) -> None:
    await shop.hook(order="record", retry={"max_attempts": 20})
    shop.receiver.answer(status=500, times=None)
    item = await shop.client.create("item", {"name": "a", "qty": 0})
    for qty in range(1, 40):
        await shop.client.patch(f"item/{item['id']}", {"qty": qty})
    assert await shop.deliver() == 1
    async with (await shop.running.kernel.apps.app("shop")).store.read() as session:
        rows = await LOGS.select(session, order_by=("seq",))
    assert [row["seq"] for row in rows] == list(range(40))
    # All of them wait for the first one's next attempt.
    assert {row["due_at"] for row in rows} == {rows[0]["next_retry_at"]}
