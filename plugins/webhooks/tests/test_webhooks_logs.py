"""The log of deliveries: reading, retry, replay, test, masking, retention."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rocket_kernel.actor import Actor
from rocket_kernel.testing import assert_error, entity

SHOWN = [
    "id",
    "webhook_id",
    "entity",
    "hook",
    "url",
    "method",
    "request_headers",
    "request_body",
    "response_status",
    "response_body",
    "status",
    "attempt",
    "max_attempts",
    "next_retry_at",
    "error",
    "idempotency_key",
    "created_at",
    "updated_at",
]
RETRIED = [
    "id",
    "webhook_id",
    "entity",
    "hook",
    "url",
    "method",
    "status",
    "attempt",
    "max_attempts",
    "next_retry_at",
    "updated_at",
]
NOBODY = "00000000-0000-4000-8000-00000000abcd"


async def failed(shop: Any, count: int = 1, **changes: Any) -> dict[str, Any]:
    """A webhook with so many dead letters, a minute between them."""
    webhook = await shop.hook(retry={"max_attempts": 1}, **changes)
    shop.receiver.answer(status=500, times=count)
    for number in range(count):
        await shop.client.create("item", {"name": f"bolt {number}"})
        await shop.deliver()
        shop.clock.advance(minutes=1)
    shop.receiver.requests.clear()
    return webhook


async def test_a_row_has_the_contract_s_members_and_no_more(shop: Any) -> None:
    await failed(shop)
    log = await shop.log()
    assert list(log) == SHOWN
    assert list((await shop.client.get(f"_admin/webhook-logs/{log['id']}")).data) == SHOWN


async def test_filters_and_pages(shop: Any) -> None:
    await shop.client.define(entity("box", name="string"))
    first = await failed(shop, 3)
    second = await shop.hook(entity="box")
    await shop.client.create("box", {"name": "b"})
    await shop.deliver()

    async def found(**params: object) -> list[str]:
        answer = (await shop.client.get("_admin/webhook-logs", params=params)).require(200)
        assert answer.meta["total"] >= len(answer.data)
        return [row["entity"] for row in answer.data]

    assert await found() == ["box", "item", "item", "item"]
    assert await found(webhook_id=first["id"]) == ["item"] * 3
    assert await found(webhook_id=second["id"].upper(), status="delivered", entity="box") == ["box"]
    assert await found(status="failed", entity="box") == []
    for nothing in ({"webhook_id": NOBODY}, {"webhook_id": "7"}, {"status": "nonsense"}, {"entity": "gone"}):
        assert await found(**nothing) == []
    page = await shop.client.get("_admin/webhook-logs?per_page=3&page=2")
    assert (len(page.data), page.meta) == (1, {"page": 2, "per_page": 3, "total": 4, "total_pages": 2})
    assert (await shop.client.get("_admin/webhook-logs?per_page=1000")).meta["per_page"] == 200
    assert (await shop.client.get("_admin/webhook-logs?page=99999999999999999999")).data == []
    assert (await shop.client.get("_admin/webhook-logs?webhook_id=%00")).status == 400


async def test_who_may_look(shop: Any) -> None:
    webhook = await failed(shop)
    log = await shop.log()
    clerk = shop.client.as_actor(Actor(id="7", email=None, roles=frozenset({"clerk"})))
    for method, path in (
        ("GET", "_admin/webhooks"),
        ("GET", "_admin/webhook-logs"),
        ("GET", f"_admin/webhook-logs/{log['id']}"),
        ("POST", f"_admin/webhook-logs/{log['id']}/retry"),
        ("POST", f"_admin/webhooks/{webhook['id']}/test"),
        ("POST", f"_admin/webhooks/{webhook['id']}/replay"),
        ("POST", f"_admin/webhooks/{webhook['id']}/rotate-secret"),
    ):
        refused = await clerk.request(method, path)
        assert_error(refused, 403, "FORBIDDEN", "Admin access required")
    assert (await shop.log(), shop.receiver.requests) == (log, [])


@pytest.mark.parametrize("id", [NOBODY, "7", "webhook-logs", "x" * 300])
async def test_unknown_rows(shop: Any, id: str) -> None:
    message = f"Webhook log not found: {id}"
    assert_error(await shop.client.get(f"_admin/webhook-logs/{id}"), 404, "NOT_FOUND", message)
    assert_error(await shop.client.post(f"_admin/webhook-logs/{id}/retry"), 404, "NOT_FOUND", message)


async def test_retry_gives_one_attempt_more(shop: Any) -> None:
    await failed(shop)
    log = await shop.log()
    answer = (await shop.client.post(f"_admin/webhook-logs/{log['id']}/retry")).require(200)
    assert list(answer.data) == RETRIED
    now = answer.data["updated_at"]
    assert (answer.data["status"], answer.data["attempt"], answer.data["max_attempts"]) == ("retrying", 1, 2)
    assert answer.data["next_retry_at"] == now
    assert await shop.deliver() == 1
    done = await shop.log()
    assert (done["status"], done["attempt"], done["idempotency_key"]) == ("delivered", 2, log["idempotency_key"])
    (received,) = shop.receiver.requests
    assert received.body.decode() == log["request_body"]
    cannot = "Can only retry failed or retrying webhook logs"
    assert_error(await shop.client.post(f"_admin/webhook-logs/{log['id']}/retry"), 422, "VALIDATION_FAILED", cannot)


async def test_what_is_retrying_can_be_hurried(shop: Any) -> None:
    await shop.hook()
    shop.receiver.answer(status=500)
    await shop.client.create("item", {"name": "bolt"})
    await shop.deliver()
    log = await shop.log()
    answer = (await shop.client.post(f"_admin/webhook-logs/{log['id']}/retry")).data
    assert (answer["max_attempts"], answer["next_retry_at"] < log["next_retry_at"]) == (3, True)
    assert await shop.deliver() == 1
    assert (await shop.log())["status"] == "delivered"


async def test_judgements_and_pending_rows_are_not_retried(shop: Any) -> None:
    await shop.hook(hook="before_write")
    shop.receiver.answer(status=403)
    await shop.client.post("item", {"name": "bolt"})
    judged = await shop.log()
    await shop.hook()
    shop.clock.advance(seconds=1)
    await shop.client.create("item", {"name": "bolt"})
    pending = next(row for row in await shop.logs() if row["status"] == "pending")
    for row in (judged, pending):
        refused = await shop.client.post(f"_admin/webhook-logs/{row['id']}/retry")
        assert_error(refused, 422, "VALIDATION_FAILED", "Can only retry failed or retrying webhook logs")


async def test_a_test_is_one_attempt_with_the_newest_record(shop: Any) -> None:
    await shop.client.define(entity("box", {"soft_delete": True}, name="string!", made="timestamp auto=create"))
    webhook = await shop.hook(entity="box", condition="record.name == 'never'", active=False)
    path = f"_admin/webhooks/{webhook['id']}/test"
    empty = (await shop.client.post(path)).require(200).data
    assert list(empty) == SHOWN
    assert (empty["status"], empty["attempt"], empty["max_attempts"]) == ("delivered", 1, 1)
    sent = json.loads(empty["request_body"])
    assert sent["record"] == {"id": None, "name": None, "made": None}
    assert list(sent)[-1] == "test"
    assert (sent["test"], sent["event"], sent["old"]) == (True, "after_write", {})
    for name in ("old", "new"):
        await shop.client.create("box", {"name": name})
        shop.clock.advance(seconds=1)
    shop.receiver.answer(status=503, body=b"busy")
    second = (await shop.client.post(path)).require(200).data
    assert (second["status"], second["error"], second["response_body"]) == ("failed", "HTTP 503", "busy")
    assert json.loads(second["request_body"])["record"]["name"] == "new"
    shop.clock.advance(days=2)
    assert await shop.deliver() == 0
    refused = await shop.client.post(f"_admin/webhook-logs/{second['id']}/retry")
    assert_error(refused, 422, "VALIDATION_FAILED", "Can only retry failed or retrying webhook logs")
    assert (await shop.client.post(f"_admin/webhooks/{webhook['id']}/replay")).data == {"queued": 0}
    assert len(shop.receiver.requests) == 2


async def test_a_test_of_every_hook(shop: Any) -> None:
    for hook in ("after_write", "before_write", "after_delete", "before_delete"):
        webhook = await shop.hook(hook=hook)
        row = (await shop.client.post(f"_admin/webhooks/{webhook['id']}/test")).require(200).data
        sent = json.loads(row["request_body"])
        assert (sent["event"], sent["action"]) == (hook, "delete" if "delete" in hook else "create")
        assert ("old" in sent, "changes" in sent) == (("write" in hook),) * 2


async def test_replay_sends_the_same_once_more(shop: Any) -> None:
    webhook = await failed(shop, 4)
    other = await shop.hook(entity="item", hook="after_delete")
    before = await shop.logs()
    path = f"_admin/webhooks/{webhook['id']}/replay"
    window = {"from": before[1]["created_at"], "to": before[3]["created_at"]}
    assert (await shop.client.post(path, window)).require(200).data == {"queued": 2}
    waiting = [row for row in await shop.logs() if row["status"] == "retrying"]
    assert [(row["attempt"], row["max_attempts"]) for row in waiting] == [(1, 2)] * 2
    assert await shop.deliver() == 2
    received = sorted((one.headers["webhook-id"], one.body.decode()) for one in shop.receiver.requests)
    assert received == sorted((row["idempotency_key"], row["request_body"]) for row in before[1:3])
    assert (await shop.client.post(path, {"status": "delivered"})).data == {"queued": 2}
    assert await shop.deliver() == 2
    assert sorted(one.headers["webhook-id"] for one in shop.receiver.requests[2:]) == [key for key, _ in received]
    assert (await shop.client.post(path, {"to": "2000-01-01"})).data == {"queued": 0}
    assert (await shop.client.post(f"_admin/webhooks/{other['id']}/replay")).data == {"queued": 0}
    assert (await shop.client.post(path)).data == {"queued": 2}


async def test_what_is_sent_once_more_keeps_the_order_of_its_record(shop: Any) -> None:
    webhook = await shop.hook(order="record", retry={"max_attempts": 1})
    shop.receiver.answer(status=500, times=3)
    item = await shop.client.create("item", {"name": "a", "qty": 0})
    for qty in (1, 2):
        await shop.client.patch(f"item/{item['id']}", {"qty": qty})
    await shop.deliver()
    assert [row["status"] for row in await shop.logs()] == ["failed"] * 3
    shop.receiver.requests.clear()
    shop.receiver.answer(status=500)
    assert (await shop.client.post(f"_admin/webhooks/{webhook['id']}/replay")).data == {"queued": 3}
    await shop.deliver()
    assert [received.json["record"]["qty"] for received in shop.receiver.requests] == [0, 1, 2]
    (dead,) = [row for row in await shop.logs() if row["status"] == "failed"]
    (await shop.client.post(f"_admin/webhook-logs/{dead['id']}/retry")).require(200)
    assert await shop.deliver() == 1


async def test_judgements_are_not_replayed(shop: Any) -> None:
    webhook = await shop.hook(hook="before_write")
    shop.receiver.answer(status=403)
    await shop.client.post("item", {"name": "bolt"})
    assert (await shop.client.post(f"_admin/webhooks/{webhook['id']}/replay")).data == {"queued": 0}
    # Nor when the webhook has become one of another hook since.
    await shop.client.put(f"_admin/webhooks/{webhook['id']}", {"hook": "after_write"})
    assert (await shop.client.post(f"_admin/webhooks/{webhook['id']}/replay")).data == {"queued": 0}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"from": "yesterday"}, "from must be a valid timestamp"),
        ({"to": 7}, "to must be a valid timestamp"),
        ({"to": ""}, "to must be a valid timestamp"),
        ({"status": "lost"}, "status must be one of: pending, retrying, delivered, failed"),
        ({"status": 1}, "status must be one of: pending, retrying, delivered, failed"),
        ({"status": ["failed"]}, "status must be one of: pending, retrying, delivered, failed"),
    ],
)
async def test_bad_replays(shop: Any, body: Any, message: str) -> None:
    webhook = await shop.hook()
    answer = await shop.client.post(f"_admin/webhooks/{webhook['id']}/replay", body)
    assert_error(answer, 422, "VALIDATION_FAILED", message)


async def test_sensitive_values_reach_the_receiver_and_no_log_answer(shop: Any) -> None:
    fields = entity("person", name="string", pin="string", score="int")
    fields["fields"][2]["sensitive"] = True
    await shop.client.define(fields)
    await shop.hook(entity="person", hook="before_write", url=f"{shop.receiver.url}/judge")
    await shop.hook(entity="person")
    hook = await shop.hook(entity="person", hook="after_delete")
    echo = {"got": {"pin": "s3cret-1"}, "note": "pin was s3cret-2"}
    shop.receiver.answer(json=echo, times=None)
    person = await shop.client.create("person", {"name": "Ann", "pin": "s3cret-1", "score": 7})
    (await shop.client.patch(f"person/{person['id']}", {"pin": "s3cret-2"})).require(200)
    await shop.deliver()
    (await shop.client.post(f"_admin/webhooks/{hook['id']}/test")).require(200)
    assert any(b"s3cret-2" in received.body for received in shop.receiver.requests)
    listed = await shop.client.get("_admin/webhook-logs")
    assert len(listed.data) == 5
    for row in listed.data:
        one = await shop.client.get(f"_admin/webhook-logs/{row['id']}")
        assert "s3cret-1" not in listed.text + one.text
        body = json.loads(row["request_body"])
        assert (body["record"]["pin"], body["record"]["name"]) == ("***", "Ann")
        assert '"pin":"***"' in row["response_body"]
    update = next(row for row in listed.data if '"update"' in row["request_body"] and row["hook"] == "after_write")
    body = json.loads(update["request_body"])
    assert body["changes"] == {"pin": {"old": "***", "new": "***"}}
    assert body["old"]["pin"] == "***"
    assert "s3cret-2" not in update["response_body"]


async def test_retention(shop: Any) -> None:
    await failed(shop, 2)
    await shop.hook(url=f"{shop.receiver.url}/kept")
    shop.receiver.answer(status=500, times=None)
    shop.clock.advance(days=25)
    await shop.client.create("item", {"name": "late"})
    await shop.deliver()

    async def left() -> list[str]:
        jobs = shop.running.kernel.jobs
        await jobs.run_due()
        return sorted(row["status"] for row in await shop.logs())

    assert await left() == ["failed", "failed", "failed", "retrying"]
    shop.clock.advance(days=6)
    assert await left() == ["failed", "retrying"]
    shop.clock.advance(days=60)
    # What still waits to be delivered is kept, however old.
    assert await left() == ["retrying"]
