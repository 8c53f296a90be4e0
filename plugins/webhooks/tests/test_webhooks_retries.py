"""When a delivery is tried again, and when it is given up: contract §11.5. No time passes here."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from rocket_webhooks.pace import LEAST, MOST, Lane
from rocket_webhooks.retry import Outcome, judge, parse_retry_after, pause_s
from rocket_webhooks.tables import LOGS

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FAILED = Outcome(status=500, error="HTTP 500")


@pytest.mark.parametrize(
    ("backoff", "pauses"),
    [("exponential", [30, 60, 120, 240, 480, 960]), ("linear", [30, 60, 90, 120, 150, 180])],
)
def test_pauses(backoff: str, pauses: list[int]) -> None:
    assert [pause_s(attempt, backoff) for attempt in range(1, 7)] == pauses
    for attempt, pause in enumerate(pauses, 1):
        for random in (0.0, 0.5, 1.0):
            verdict = judge(FAILED, attempt=attempt, max_attempts=20, backoff=backoff, now=NOW, random=random)
            assert verdict.status == "retrying"
            assert verdict.next_retry_at == NOW + timedelta(seconds=pause * (1 + 0.1 * random))


def test_every_attempt_up_to_the_twentieth_has_its_time() -> None:
    for attempt in range(1, 20):
        verdict = judge(FAILED, attempt=attempt, max_attempts=20, backoff="exponential", now=NOW, random=1.0)
        assert verdict.next_retry_at is not None
        assert verdict.next_retry_at <= NOW + timedelta(days=101)
    last = judge(FAILED, attempt=20, max_attempts=20, backoff="exponential", now=NOW, random=1.0)
    assert (last.status, last.next_retry_at) == ("failed", None)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_delivered(status: int) -> None:
    verdict = judge(Outcome(status=status), attempt=1, max_attempts=1, backoff="linear", now=NOW, random=0)
    assert (verdict.status, verdict.next_retry_at) == ("delivered", None)


@pytest.mark.parametrize("status", [0, 100, 199, 300, 302, 304, 400, 404, 429, 500, 503, 599])
def test_not_delivered(status: int) -> None:
    outcome = Outcome(status=status, error="x")
    assert judge(outcome, attempt=1, max_attempts=2, backoff="linear", now=NOW, random=0).status == "retrying"
    assert judge(outcome, attempt=2, max_attempts=2, backoff="linear", now=NOW, random=0).status == "failed"


def test_gone_is_not_tried_again() -> None:
    assert (
        judge(Outcome(status=410), attempt=1, max_attempts=20, backoff="linear", now=NOW, random=0).status == "failed"
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("86400", 86400),
        ("86401", 86400),
        ("999999999999999999999", 86400),
        (format_datetime(NOW + timedelta(hours=2), usegmt=True), 7200),
        (format_datetime(NOW + timedelta(days=9), usegmt=True), 86400),
        ("Friday, 02-Jan-26 03:05:05 GMT", 60),
        ("Fri Jan  2 03:05:05 2026", 60),
        ("0", None),
        ("-5", None),
        ("1.5", None),
        ("", None),
        ("soon", None),
        ("٣", None),
        (format_datetime(NOW - timedelta(hours=2), usegmt=True), None),
        ("Fri, 02 Jan 99999 03:04:05 GMT", None),
        (None, None),
    ],
)
def test_retry_after(text: str | None, seconds: int | None) -> None:
    assert parse_retry_after(text, NOW) == (None if seconds is None else NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize(("asked", "pause"), [("10", 30), ("31", 31), ("3600", 3600), ("nonsense", 30)])
def test_the_later_of_the_two_counts(asked: str, pause: int) -> None:
    outcome = Outcome(status=503, error="HTTP 503", retry_after=asked)
    verdict = judge(outcome, attempt=1, max_attempts=3, backoff="linear", now=NOW, random=0.0)
    assert verdict.next_retry_at == NOW + timedelta(seconds=pause)


def test_a_lane_sends_more_at_a_time_only_to_a_receiver_that_is_slow_and_takes_it() -> None:
    lane = Lane()
    assert lane.limit == LEAST
    for _ in range(50):
        lane.note(True, 0.005)
    assert lane.limit == LEAST
    for _ in range(50):
        lane.note(True, 0.4)
    assert lane.limit == MOST
    lane.note(False, 30.0)
    assert lane.limit == LEAST


async def test_three_attempts_by_default_then_a_dead_letter(shop: Any) -> None:
    await shop.hook()
    shop.receiver.answer(status=500, body=b"no")
    shop.receiver.answer(status=302, headers={"Location": f"{shop.receiver.url}/elsewhere"})
    shop.receiver.answer(close=True)
    await shop.client.create("item", {"name": "bolt"})
    seen = []
    for pause in (0, 29, 1, 59, 1, 3600, 86400):
        shop.clock.advance(seconds=pause)
        await shop.deliver()
        log = await shop.log()
        seen.append((log["attempt"], log["status"], log["response_status"], log["error"], log["next_retry_at"]))
    gone = "http call: answer is not HTTP, or broke off"
    assert seen == [
        (1, "retrying", 500, "HTTP 500", "2026-01-02T03:04:35.678Z"),
        (1, "retrying", 500, "HTTP 500", "2026-01-02T03:04:35.678Z"),
        (2, "retrying", 302, "HTTP 302", "2026-01-02T03:05:35.678Z"),
        (2, "retrying", 302, "HTTP 302", "2026-01-02T03:05:35.678Z"),
        (3, "failed", 0, gone, None),
        (3, "failed", 0, gone, None),
        (3, "failed", 0, gone, None),
    ]
    assert [received.path for received in shop.receiver.requests] == ["/hook"] * 3
    assert len({received.headers["webhook-id"] for received in shop.receiver.requests}) == 1
    assert len({received.body for received in shop.receiver.requests}) == 1
    times = [int(received.headers["webhook-timestamp"]) for received in shop.receiver.requests]
    assert [time - times[0] for time in times] == [0, 30, 90]


async def test_what_a_receiver_asks_for(shop: Any) -> None:
    await shop.hook(retry={"max_attempts": 5, "backoff": "linear"})
    shop.receiver.answer(status=429, headers={"Retry-After": "600"}, body=b"\xff\x00later")
    await shop.client.create("item", {"name": "bolt"})
    await shop.deliver()
    log = await shop.log()
    assert (log["next_retry_at"], log["response_body"]) == ("2026-01-02T03:14:05.678Z", "��later")
    shop.clock.advance(seconds=599)
    assert await shop.deliver() == 0
    shop.clock.advance(seconds=1)
    assert await shop.deliver() == 1


async def test_gone_deactivates_the_webhook_for_every_process(start_shop: Any, shop: Any) -> None:
    webhook = await shop.hook()
    other = await start_shop(app=None)
    client = other.client.in_app("shop")
    shop.receiver.answer(status=410, times=None)
    for _ in range(3):
        await client.create("item", {"name": "bolt"})
    await shop.deliver()
    logs = await shop.logs()
    assert {row["status"] for row in logs} == {"failed"}
    told = [row for row in logs if row["error"] == "HTTP 410"]
    assert (len(told), len(shop.receiver.requests)) == (len(shop.receiver.requests), len(told))
    assert {row["error"] for row in logs} <= {"HTTP 410", "webhook deactivated: its receiver answered HTTP 410"}
    for each in (shop.client, client):
        assert (await each.get(f"_admin/webhooks/{webhook['id']}")).data["active"] is False
        await each.create("item", {"name": "nut"})
    assert len(await shop.logs()) == 3


async def test_gone_closes_no_gate(shop: Any) -> None:
    """A judge that says 410 refuses the write; deactivating it would let the next one through unjudged."""
    webhook = await shop.hook(hook="before_write")
    shop.receiver.answer(status=410)
    assert (await shop.client.post("item", {"name": "bolt"})).status == 422
    assert (await shop.client.get(f"_admin/webhooks/{webhook['id']}")).data["active"] is True


async def test_a_dead_process_s_delivery_is_taken_over_when_its_lease_is_over(start_shop: Any, shop: Any) -> None:
    await shop.hook()
    await shop.client.create("item", {"name": "bolt"})
    app = await shop.running.kernel.apps.app("shop")
    row = (await shop.logs())[0]
    lease = shop.dispatcher.crew.lease_s
    until = (shop.clock.now() + timedelta(seconds=lease)).isoformat(timespec="milliseconds")[:23] + "Z"
    async with app.store.write() as tx:
        await LOGS.update(tx, {"id": row["id"]}, {"claim": "dead", "due_at": until})
    other = await start_shop(app=None)
    await other.running.kernel.apps.app("shop")
    shop.clock.advance(seconds=lease - 1)
    assert await other.deliver() == 0
    shop.clock.advance(seconds=1)
    assert await other.deliver() == 1
    assert (await shop.log())["status"] == "delivered"


async def test_whoever_lost_the_claim_stores_nothing(shop: Any) -> None:
    """A process that was stopped for longer than its lease comes back with an outcome that is not its own any more."""
    await shop.hook()
    await shop.client.create("item", {"name": "bolt"})
    app = await shop.running.kernel.apps.app("shop")
    shop.receiver.answer(status=500, delay=0.3)
    delivering = asyncio.create_task(shop.deliver())
    await shop.receiver.wait_for(1)
    async with app.store.write() as tx:
        assert await LOGS.update(tx, {}, {"claim": "somebody else's"}) == 1
    await delivering
    log = await shop.log()
    assert (log["status"], log["attempt"], log["response_status"]) == ("pending", 0, None)


async def test_a_timeout_is_a_failure(start_shop: Any) -> None:
    shop = await start_shop(settings={"timeout_s": 0.2})
    await shop.hook()
    shop.receiver.answer(delay=5)
    await shop.client.create("item", {"name": "bolt"})
    await shop.deliver()
    log = await shop.log()
    assert (log["status"], log["response_status"], log["error"]) == ("retrying", 0, "http call: timed out")


async def test_addresses_are_judged_at_every_attempt(start_shop: Any) -> None:
    shop = await start_shop(settings={"allow_addresses": []})
    await shop.hook()
    await shop.client.create("item", {"name": "bolt"})
    await shop.deliver()
    log = await shop.log()
    assert (log["status"], log["response_status"], log["error"]) == ("retrying", 0, "http call: address not allowed")
    assert shop.receiver.requests == []
