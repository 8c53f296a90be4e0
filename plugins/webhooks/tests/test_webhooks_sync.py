"""Synchronous webhooks: judges before the transaction, and first attempts that a request waits for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rocket_kernel.testing import Receiver, assert_error, entity, one_to_many


@pytest.fixture
async def judged(shop: Any) -> Any:
    await shop.hook(hook="before_write", url=f"{shop.receiver.url}/judge?key=hidden")
    return shop


async def test_a_judge_sees_the_merged_record_and_lets_it_pass(judged: Any) -> None:
    item = await judged.client.create("item", {"name": "bolt", "price": "1.5"})
    (await judged.client.patch(f"item/{item['id']}", {"qty": 2})).require(200)
    create, update = judged.receiver.requests
    assert list(create.json) == [
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
    assert (create.json["event"], create.json["action"], create.json["old"]) == ("before_write", "create", {})
    assert create.json["record"] == item
    assert update.json["record"] == {**item, "qty": 2}
    assert (update.json["old"], update.json["changes"]) == (item, {"qty": {"old": None, "new": 2}})
    assert [(row["status"], row["attempt"], row["max_attempts"]) for row in await judged.logs()] == [
        ("delivered", 1, 1)
    ] * 2
    assert await judged.deliver() == 0


@pytest.mark.parametrize("status", [400, 403, 302, 500])
async def test_a_judge_that_refuses(judged: Any, status: int) -> None:
    judged.receiver.answer(status=status, json={"record": {"name": "changed"}})
    refused = await judged.client.post("item", {"name": "bolt"})
    url = f"{judged.receiver.url}/judge"
    assert_error(refused, 422, "WEBHOOK_REJECTED", f"Webhook {url} failed: HTTP {status}", details=[])
    assert (await judged.client.get("item")).meta["total"] == 0
    log = await judged.log()
    assert (log["status"], log["attempt"], log["error"]) == ("failed", 1, f"HTTP {status}")
    assert log["next_retry_at"] is None
    judged.clock.advance(days=1)
    assert await judged.deliver() == 0


async def test_a_judge_that_cannot_be_asked(start_shop: Any) -> None:
    shop = await start_shop(settings={"timeout_s": 0.2, "allow_addresses": ["127.0.0.1"]})
    webhook = await shop.hook(hook="before_write")
    path = f"_admin/webhooks/{webhook['id']}"
    shop.receiver.answer(delay=5)
    timed_out = await shop.client.post("item", {"name": "bolt"})
    url = f"{shop.receiver.url}/hook"
    assert_error(timed_out, 502, "WEBHOOK_FAILED", f"Webhook {url} failed: http call: timed out")
    for target, reason in (
        ("http://127.0.0.1:1/x", "connection refused"),
        ("http://127.0.0.2/x", "address not allowed"),
        ("http://no-such-name.invalid/x", "name not resolved"),
    ):
        await shop.client.put(path, {"url": target})
        failed = await shop.client.post("item", {"name": "bolt"})
        assert_error(failed, 502, "WEBHOOK_FAILED", f"Webhook {target} failed: http call: {reason}")
    assert (await shop.client.get("item")).meta["total"] == 0
    logs = await shop.logs()
    assert [(row["status"], row["response_status"]) for row in logs] == [("failed", 0)] * 4


async def test_a_condition_that_breaks_refuses(judged: Any) -> None:
    (webhook,) = (await judged.client.get("_admin/webhooks")).data
    await judged.client.put(f"_admin/webhooks/{webhook['id']}", {"condition": "1 / record.qty > 0"})
    refused = await judged.client.post("item", {"name": "bolt", "qty": 0})
    assert_error(refused, 502, "WEBHOOK_FAILED")
    assert refused.error["message"].startswith(f"Webhook {judged.receiver.url}/judge failed: condition: ")
    log = await judged.log()
    assert (log["status"], log["attempt"], log["response_status"]) == ("failed", 0, None)
    assert log["error"].startswith("condition: ")
    (await judged.client.post("item", {"name": "bolt", "qty": 1})).require(201)
    assert len(judged.receiver.requests) == 1


async def test_conditions_spare_the_judge(judged: Any) -> None:
    (webhook,) = (await judged.client.get("_admin/webhooks")).data
    await judged.client.put(f"_admin/webhooks/{webhook['id']}", {"condition": "record.qty > 5"})
    await judged.client.create("item", {"name": "bolt", "qty": 5})
    assert (judged.receiver.requests, await judged.logs()) == ([], [])


async def test_the_first_refusal_ends_the_series_in_the_order_of_creation(shop: Any) -> None:
    for number in (3, 1, 2):
        await shop.hook(hook="before_write", url=f"{shop.receiver.url}/{number}")
    shop.receiver.answer()
    shop.receiver.answer(status=403)
    refused = await shop.client.post("item", {"name": "bolt"})
    assert_error(refused, 422, "WEBHOOK_REJECTED", f"Webhook {shop.receiver.url}/1 failed: HTTP 403")
    assert [received.path for received in shop.receiver.requests] == ["/3", "/1"]


async def test_nothing_is_asked_of_what_is_invalid_anyway(judged: Any) -> None:
    assert (await judged.client.post("item", {"qty": "many"})).status == 422
    assert judged.receiver.requests == []


async def test_deletes_are_judged(shop: Any) -> None:
    await shop.hook(hook="before_delete")
    item = await shop.client.create("item", {"name": "bolt"})
    shop.receiver.answer(status=409)
    refused = await shop.client.delete(f"item/{item['id']}")
    assert_error(refused, 422, "WEBHOOK_REJECTED", f"Webhook {shop.receiver.url}/hook failed: HTTP 409")
    (await shop.client.delete(f"item/{item['id']}")).require(200)
    assert [list(received.json) for received in shop.receiver.requests] == [
        ["event", "entity", "action", "record", "user", "timestamp", "idempotency_key"]
    ] * 2
    assert shop.receiver.requests[0].json["record"] == item


async def test_nested_records_and_cascades_are_judged_too(shop: Any) -> None:
    client = shop.client
    await client.define(entity("order", name="string"), entity("line", sku="string", order_id="uuid"))
    await client.relate(one_to_many("lines", "order", "line", on_delete="cascade"))
    await shop.hook(entity="line", hook="before_write")
    await shop.hook(entity="line", hook="before_delete")
    shop.receiver.answer()
    shop.receiver.answer(status=400)
    assert (await client.post("order", {"lines": [{"sku": "a"}, {"sku": "b"}]})).status == 422
    assert (await client.get("order")).meta["total"] == 0
    order = await client.create("order", {"lines": [{"sku": "a"}, {"sku": "b"}]})
    shop.receiver.requests.clear()
    (await client.delete(f"order/{order['id']}")).require(200)
    assert [received.json["event"] for received in shop.receiver.requests] == ["before_delete"] * 2


async def test_a_row_that_changed_while_it_was_judged(judged: Any) -> None:
    item = await judged.client.create("item", {"name": "bolt", "qty": 1})
    judged.receiver.answer(delay=0.5)
    slow = asyncio.create_task(judged.client.patch(f"item/{item['id']}", {"qty": 2}))
    await judged.receiver.wait_for(2)
    (await judged.client.patch(f"item/{item['id']}", {"name": "nut"})).require(200)
    assert_error(await slow, 409, "CONFLICT")
    assert (await judged.client.get(f"item/{item['id']}")).data["qty"] == 1


async def test_nothing_is_held_while_a_judge_thinks(start_shop: Any) -> None:
    """With one connection for the whole app, others read and write meanwhile."""
    shop = await start_shop(config={"app_pool_size": 1})
    await shop.client.define(entity("box", name="string"))
    await shop.hook(hook="before_write")
    shop.receiver.answer(delay=0.8)
    slow = asyncio.create_task(shop.client.create("item", {"name": "bolt"}))
    await shop.receiver.wait_for(1)
    async with asyncio.timeout(0.7):
        await shop.client.create("box", {"name": "b"})
        (await shop.client.get("box")).require(200)
    assert not slow.done()
    await slow


async def test_explain_asks_nobody(judged: Any) -> None:
    explained = (await judged.client.post("item?explain=true", {"name": "bolt"})).data
    (step,) = [step for step in explained["steps"] if step["plugin"] == "webhooks"]
    assert (step["stage"], step["outcome"]) == ("before_webhooks", "skipped")
    assert (judged.receiver.requests, await judged.logs()) == ([], [])


async def test_a_repeated_create_is_not_judged_again(judged: Any) -> None:
    key = {"Idempotency-Key": "k1"}
    first = await judged.client.post("item", {"name": "bolt"}, headers=key)
    again = await judged.client.post("item", {"name": "bolt"}, headers=key)
    assert (first.status, again.status, again.headers["Idempotency-Replayed"]) == (201, 201, "true")
    assert len(judged.receiver.requests) == 1


async def test_the_first_attempt_is_made_before_the_answer(shop: Any) -> None:
    await shop.hook(**{"async": False})
    item = await shop.client.create("item", {"name": "bolt"})
    (received,) = shop.receiver.requests
    assert (received.json["event"], received.json["record"]) == ("after_write", item)
    assert (await shop.log())["status"] == "delivered"
    assert await shop.deliver() == 0


async def test_its_failure_leaves_the_answer_as_it_is(shop: Any) -> None:
    await shop.hook(**{"async": False})
    await shop.hook(hook="after_delete", **{"async": False})
    shop.receiver.answer(status=500, times=2)
    item = await shop.client.create("item", {"name": "bolt"})
    (await shop.client.delete(f"item/{item['id']}")).require(200)
    assert [(row["status"], row["attempt"]) for row in await shop.logs()] == [("retrying", 1)] * 2
    shop.clock.advance(seconds=31)
    assert await shop.deliver() == 2
    assert [(row["status"], row["attempt"]) for row in await shop.logs()] == [("delivered", 2)] * 2


async def test_the_write_is_committed_before_it_is_told_of(shop: Any) -> None:
    """Who looks the record up when told of it finds it."""
    await shop.hook(**{"async": False})
    shop.receiver.answer(delay=0.5)
    slow = asyncio.create_task(shop.client.create("item", {"name": "bolt"}))
    await shop.receiver.wait_for(1)
    assert (await shop.client.get("item")).meta["total"] == 1
    assert not slow.done()
    await slow


async def test_waiting_in_line_is_not_done_in_a_request(shop: Any) -> None:
    await shop.hook(order="record", **{"async": False})
    shop.receiver.answer(status=500)
    item = await shop.client.create("item", {"name": "bolt"})
    await shop.client.patch(f"item/{item['id']}", {"qty": 1})
    assert [row["status"] for row in await shop.logs()].count("pending") == 1
    shop.clock.advance(seconds=31)
    await shop.deliver()
    assert [received.json["action"] for received in shop.receiver.requests] == ["create", "create", "update"]


async def test_a_process_that_dies_before_the_first_attempt_loses_nothing(start_shop: Any, shop: Any) -> None:
    async with Receiver() as silent:
        silent.answer(delay=60, times=None)
        webhook = await shop.hook(url=silent.url, **{"async": False})
        writing = asyncio.create_task(shop.client.create("item", {"name": "bolt"}))
        await silent.wait_for(1)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        assert (await shop.log())["status"] == "pending"
        await shop.client.put(f"_admin/webhooks/{webhook['id']}", {"url": f"{shop.receiver.url}/hook"})
    shop.clock.advance(seconds=shop.dispatcher.crew.lease_s)
    assert await shop.deliver() == 1
    assert (await shop.log())["status"] == "delivered"
