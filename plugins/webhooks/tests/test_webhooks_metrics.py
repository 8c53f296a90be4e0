"""What the plugin tells of its deliveries, and how cheaply it finds out."""

from __future__ import annotations

from uuid import uuid4

import pytest

from rocket_kernel import timestamp_text
from rocket_webhooks.tables import LOGS

INDEX = "idx__webhook_logs_due"


def counted(shop, name):
    (metric,) = [metric for _, metric in shop.running.kernel.metrics.of_process if metric.name == name]
    return dict(metric.read())


async def told(shop, name):
    (metric,) = [metric for _, metric in shop.running.kernel.metrics.of_apps if metric.name == name]
    ((_, value),) = await metric.read(await shop.running.kernel.apps.app("shop"))
    return value


async def test_attempts_are_counted_by_what_became_of_them(shop):
    await shop.hook(retry={"max_attempts": 2})
    shop.receiver.answer(status=500, times=2)
    await shop.client.create("item", {"name": "a"})
    await shop.deliver()
    shop.clock.advance(minutes=5)
    await shop.deliver()
    await shop.client.create("item", {"name": "b"})
    await shop.deliver()
    assert counted(shop, "rocket_webhooks_attempts_total") == {
        ("shop", "retrying"): 1,
        ("shop", "failed"): 1,
        ("shop", "delivered"): 1,
    }
    seconds = counted(shop, "rocket_webhooks_attempt_seconds")[()]
    assert sum(seconds.counts) == 3
    assert seconds.total > 0


async def test_judges_are_counted_too(shop):
    await shop.hook(hook="before_write", **{"async": False})
    shop.receiver.answer(status=422)
    (await shop.client.post("item", {"name": "a"})).require(422)
    await shop.client.create("item", {"name": "b"})
    assert counted(shop, "rocket_webhooks_attempts_total") == {("shop", "failed"): 1, ("shop", "delivered"): 1}


async def test_the_backlog_is_what_has_not_ended(shop):
    await shop.hook()
    assert await told(shop, "rocket_webhooks_backlog") == 0
    assert await told(shop, "rocket_webhooks_backlog_lag_seconds") == 0
    for name in "abc":
        await shop.client.create("item", {"name": name})
    shop.clock.advance(seconds=75)
    assert await told(shop, "rocket_webhooks_backlog") == 3
    assert await told(shop, "rocket_webhooks_backlog_lag_seconds") == 75
    shop.receiver.answer(status=500)
    await shop.deliver()
    # One is to be tried again later: it waits, but nothing is late.
    assert await told(shop, "rocket_webhooks_backlog") == 1
    assert await told(shop, "rocket_webhooks_backlog_lag_seconds") == 0


async def test_an_app_that_is_deleted_is_forgotten(shop):
    await shop.hook()
    await shop.client.create("item", {"name": "a"})
    await shop.deliver()
    (await shop.client.delete("/api/_platform/apps/shop")).require(200)
    assert counted(shop, "rocket_webhooks_attempts_total") == {}


class Recording:
    """A session that notes its statements."""

    def __init__(self, session):
        self.session, self.dialect, self.asked = session, session.dialect, []

    async def fetch(self, sql, params=()):
        self.asked.append((sql, params))
        return await self.session.fetch(sql, params)


@pytest.mark.parametrize("name", ["rocket_webhooks_backlog", "rocket_webhooks_backlog_lag_seconds"])
async def test_what_has_ended_costs_nothing(shop, name, monkeypatch):
    webhook = await shop.hook()
    await shop.client.create("item", {"name": "a"})
    app = await shop.running.kernel.apps.app("shop")
    now = timestamp_text(shop.clock.now())
    row = {"webhook_id": webhook["id"], "entity": "item", "url": "http://x", "request_body": "", "status": "delivered"}
    async with app.writing() as (tx, _):
        ended = [
            {**row, "id": str(uuid4()), "idempotency_key": str(number), "created_at": now, "updated_at": now}
            for number in range(3000)
        ]
        await LOGS.insert_many(tx, ended)
        await tx.execute("ANALYZE")
    recordings = []

    async def read(work, _caller=None):
        async with app.reading() as (session, registry):
            recordings.append(Recording(session))
            return await work(recordings[-1], registry)

    (metric,) = [metric for _, metric in shop.running.kernel.metrics.of_apps if metric.name == name]
    with monkeypatch.context() as patched:
        patched.setattr(type(app), "read", lambda _self, work, caller=None: read(work, caller))
        await metric.read(app)
    ((sql, params),) = recordings[0].asked
    async with app.reading() as (session, _):
        plan = "\n".join(str(line[-1]) for line in await session.fetch(session.dialect.explained(sql), params))
    assert INDEX in plan
    assert "Seq Scan" not in plan
    assert "SCAN _webhook_logs\n" not in f"{plan}\n"
