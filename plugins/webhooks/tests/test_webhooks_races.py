"""Several processes at one outbox: every delivery is somebody's, and nobody else's."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from rocket_kernel import AppContext, Comparison, timestamp_text
from rocket_kernel.clock import SystemClock
from rocket_kernel.testing import Database, Receiver, entity
from rocket_kernel.testing.processes import ServerProcess
from rocket_webhooks import WebhooksPlugin
from rocket_webhooks.outbox import outbox_row
from rocket_webhooks.queue import claim, settle
from rocket_webhooks.retry import Outcome, judge
from rocket_webhooks.tables import DELIVERED, LOGS, RETRYING

NOW = "2026-01-02T03:04:05.678Z"
LATER = "2026-01-02T04:04:05.678Z"


async def put(app: AppContext, webhook: dict[str, Any], count: int, *, now: str = NOW, **changes: Any) -> None:
    """Deliveries that failed before and are due again."""
    values = {
        "webhook_id": webhook["id"],
        "entity": webhook["entity"],
        "hook": webhook["hook"],
        "url": webhook["url"],
        "method": webhook["method"],
        "request_body": '{"event":"after_write","record":{}}',
        "status": RETRYING,
        "attempt": 1,
        "trace_id": "0af76519-16cd-43dd-8448-eb211c80319c",
        **changes,
    }
    rows = [outbox_row(now, {"lane": webhook["id"], **values}) for _ in range(count)]
    async with app.store.write() as tx:
        await LOGS.insert_many(tx, rows)


async def test_four_kernels_send_each_due_row_once(start_shop: Any, shop: Any) -> None:
    webhook = await shop.hook()
    await put(await shop.running.kernel.apps.app("shop"), webhook, 200)
    shops = [shop, *[await start_shop(app=None) for _ in range(3)]]
    for other in shops[1:]:
        await other.running.kernel.apps.app("shop")
    sent = await asyncio.gather(*(each.deliver() for each in shops))
    # What a look begins; workers go on from there by themselves.
    assert all(began > 0 for began in sent)
    keys = Counter(received.headers["webhook-id"] for received in shop.receiver.requests)
    assert (len(keys), set(keys.values())) == (200, {1})
    assert {row["status"] for row in await shop.logs()} == {DELIVERED}


@pytest.mark.torture
async def test_four_processes_send_two_thousand_due_rows_once(
    tmp_path: Path, database: Database, start_kernel: Any
) -> None:
    config = {
        "plugins.enabled": ["webhooks"],
        "plugins.settings.webhooks.allow_addresses": ["127.0.0.1"],
    }
    async with Receiver() as receiver:
        server = ServerProcess(tmp_path, database.config(), workers=4, config=config)
        with server:
            async with server.caller() as platform:
                (await platform.post("/api/_platform/apps", {"name": "shop"})).require(201)
            async with server.caller("shop") as shop:
                (await shop.post("_admin/entities", entity("item"))).require(201)
                hook = (await shop.post("_admin/webhooks", {"entity": "item", "url": receiver.url})).require(201).data
            server.stop()
            running = await start_kernel([WebhooksPlugin], shared=True)
            # Of today: what is old and delivered the servers would remove.
            now = timestamp_text(SystemClock().now())
            await put(await running.kernel.apps.app("shop"), hook, 2000, now=now)
            await running.stop()
            server.start()
            await receiver.wait_for(2000, timeout=120)
            async with server.caller("shop") as shop:
                while (await shop.get("_admin/webhook-logs?status=retrying&per_page=1")).meta["total"]:  # noqa: ASYNC110  # other processes' doing
                    await asyncio.sleep(0.2)
                delivered = (await shop.get("_admin/webhook-logs?status=delivered&per_page=1")).meta["total"]
            assert delivered == 2000
        keys = Counter(received.headers["webhook-id"] for received in receiver.requests)
        assert (len(keys), set(keys.values())) == (2000, {1})
        # Every process keeps connections of its own.
        assert len({received.headers["traceparent"] for received in receiver.requests}) == 2000


async def test_transactions_that_claim_at_once_get_different_rows(shop: Any) -> None:
    webhook = await shop.hook()
    app = await shop.running.kernel.apps.app("shop")
    await put(app, webhook, 40)
    ready = asyncio.Barrier(4)

    async def take() -> list[str]:
        await ready.wait()
        async with app.store.write() as tx:
            return [row["id"] for row in await claim(tx, webhook["id"], now=NOW, until=LATER, limit=10)]

    taken = [id for ids in await asyncio.gather(*(take() for _ in range(4))) for id in ids]
    assert (len(taken), len(set(taken))) == (40, 40)
    async with app.store.write() as tx:
        assert await claim(tx, webhook["id"], now=NOW, until=LATER, limit=10) == []
        # When the lease is over they are anybody's.
        assert len(await claim(tx, webhook["id"], now=LATER, until=LATER, limit=10)) == 10


async def test_only_the_holder_of_a_claim_stores_an_outcome(shop: Any) -> None:
    webhook = await shop.hook()
    app = await shop.running.kernel.apps.app("shop")
    await put(app, webhook, 1)
    async with app.store.write() as tx:
        (late,) = await claim(tx, webhook["id"], now=NOW, until=LATER, limit=1)
    async with app.store.write() as tx:
        (early,) = await claim(tx, webhook["id"], now=LATER, until=LATER, limit=1)
    outcome = Outcome(status=200)
    verdict = judge(outcome, attempt=2, max_attempts=3, backoff="linear", now=shop.clock.now(), random=0.0)
    async with app.store.write() as tx:
        assert not await settle(tx, late, outcome, verdict, {}, NOW)
        assert await settle(tx, early, outcome, verdict, {}, NOW)
        assert not await settle(tx, early, outcome, verdict, {}, NOW)
    assert ((await shop.log())["status"], (await shop.log())["attempt"]) == (DELIVERED, 2)


async def test_due_rows_are_found_by_their_index(shop: Any, database: Any) -> None:
    """However many have ended, and however many wait in other lanes."""
    webhooks = [await shop.hook() for _ in range(3)]
    app = await shop.running.kernel.apps.app("shop")
    for webhook in webhooks:
        await put(app, webhook, 700)
    await put(app, webhooks[0], 2000, lane=None, due_at=None, status=DELIVERED)
    plans: list[str] = []

    class Explaining:
        """Asks for the plan of every statement instead of running it."""

        def __init__(self, tx: Any) -> None:
            self.tx, self.dialect = tx, tx.dialect

        async def fetch(self, sql: str, params: Any = ()) -> list[Any]:
            word = "EXPLAIN" if database.driver == "postgres" else "EXPLAIN QUERY PLAN"
            plans.append("\n".join(str(row[-1]) for row in await self.tx.fetch(f"{word} {sql}", params)))
            return []

    async with app.store.write() as tx:
        await tx.execute("ANALYZE")
    async with app.store.write() as tx:
        await LOGS.heads(Explaining(tx), "lane", "due_at")
        due = {"lane": webhooks[0]["id"], "due_at": Comparison("<=", NOW)}
        await LOGS.claim(Explaining(tx), due, {"claim": "x"}, order_by=("due_at", "seq"), limit=2)
        line = {"order_key": "7", "lane": webhooks[0]["id"]}
        await LOGS.select(Explaining(tx), line, order_by=("seq",), limit=1)
    heads, claiming, line_up = plans
    for plan in (heads, claiming):
        assert "idx__webhook_logs_due" in plan, plan
        assert "SORT" not in plan.upper(), plan
        assert "TEMP B-TREE" not in plan, plan
    assert "idx__webhook_logs_order" in line_up, line_up
    for plan in plans:
        assert "Seq Scan" not in plan, plan
        assert "SCAN _webhook_logs\n" not in plan, plan


async def test_nothing_is_held_while_receivers_are_waited_for(start_shop: Any, database: Any) -> None:
    """With one connection, and receivers that never answer, requests go on, and no transaction stands open."""
    shop = await start_shop(
        own_pace=True, clock=SystemClock(), settings={"timeout_s": 30.0}, config={"app_pool_size": 1}
    )
    async with Receiver() as silent:
        silent.answer(delay=60, times=None)
        for _ in range(6):
            await shop.hook(url=silent.url)
        for number in range(10):
            await shop.client.create("item", {"name": f"bolt {number}"})
        await silent.wait_for(12)
        app = await shop.running.kernel.apps.app("shop")
        for number in range(10):
            async with asyncio.timeout(2):
                await shop.client.create("item", {"name": f"nut {number}"})
                (await shop.client.get("item")).require(200)
            async with app.store.read(snapshot=False) as session:
                assert await open_transactions(session, database) == []
            await asyncio.sleep(0.05)
        assert len(silent.requests) == 12
        await shop.dispatcher.stop(patience_s=0)


async def open_transactions(session: Any, database: Any) -> list[Any]:
    """Of others, that have had nothing to do for some time."""
    if database.driver != "postgres":
        return []
    idle = "state LIKE 'idle in transaction%' AND datname = current_database()"
    return list(
        await session.fetch(
            f"SELECT query FROM pg_stat_activity WHERE {idle} AND state_change < now() - interval '0.3 s'"
        )
    )
