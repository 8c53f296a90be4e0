"""New rows, which are in no webhook's lane yet: who sorts them, and that nobody sees a difference."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rocket_kernel import AppContext
from rocket_kernel.testing import Receiver
from rocket_webhooks import desk
from rocket_webhooks.queue import sort_new
from rocket_webhooks.tables import DELIVERED, FAILED, LOGS, PENDING, UNSORTED


async def app_of(shop: Any) -> AppContext:
    found: AppContext = await shop.running.kernel.apps.app("shop")
    return found


async def stored(app: AppContext) -> list[dict[str, Any]]:
    async with app.store.read() as session:
        return await LOGS.select(session, {}, order_by=("id",))


async def sort(app: AppContext, limit: int = 100) -> list[str]:
    async with app.store.write() as tx:
        return sorted(await sort_new(tx, limit=limit))


async def create(shop: Any, count: int) -> None:
    """A second apart."""
    for number in range(count):
        shop.clock.advance(seconds=1)
        await shop.client.create("item", {"name": f"bolt {number}", "qty": number})


async def test_sorting_puts_each_row_into_the_lane_of_its_webhook(shop: Any) -> None:
    hooks = sorted([(await shop.hook())["id"], (await shop.hook(condition="record.qty > 0"))["id"]])
    await create(shop, 3)
    app = await app_of(shop)
    assert {(row["lane"], row["webhook_id"]) for row in await stored(app)} == {(UNSORTED, None)}
    before = await shop.logs()
    oldest = before[0]["id"]
    assert await sort(app, limit=1) == [before[0]["webhook_id"]]
    assert [row["id"] for row in await stored(app) if row["lane"] != UNSORTED] == [oldest]
    assert await sort(app) == hooks
    assert await sort(app) == []
    rows = await stored(app)
    assert {(row["lane"], row["new_for"]) for row in rows} == {(id, None) for id in hooks}
    assert all(row["lane"] == row["webhook_id"] for row in rows)
    assert await shop.logs() == before
    assert await shop.deliver() > 0
    assert {row["status"] for row in await shop.logs()} == {DELIVERED}


async def test_processes_that_sort_at_once_sort_each_row_once(start_shop: Any, shop: Any) -> None:
    await shop.hook()
    shops = [shop, *[await start_shop(app=None) for _ in range(3)]]
    for other in shops[1:]:
        await app_of(other)
    for number in range(5):
        await asyncio.gather(*(shop.client.create("item", {"name": f"bolt {at}"}) for at in range(20)))
        await asyncio.gather(*(each.deliver() for each in shops))
        keys = [received.headers["webhook-id"] for received in shop.receiver.requests]
        assert (len(keys), len(set(keys))) == (20 * (number + 1), 20 * (number + 1))


@pytest.mark.parametrize("sorted_before", [0, 2, 5])
async def test_the_log_of_a_webhook_shows_new_rows_before_the_others(shop: Any, sorted_before: int) -> None:
    hook, other = await shop.hook(), await shop.hook(condition="record.qty > 3")
    await create(shop, 5)
    app = await app_of(shop)
    for row in (await shop.logs(webhook_id=hook["id"]))[:sorted_before]:
        async with app.store.write() as tx:
            values = {"lane": hook["id"], "webhook_id": hook["id"], "new_for": None}
            await LOGS.update(tx, {"id": row["id"]}, values)
    everything = [row["id"] for row in await shop.logs() if row["webhook_id"] == hook["id"]]
    assert len(everything) == 5
    assert [row["id"] for row in await shop.logs(webhook_id=hook["id"])] == everything
    assert [row["webhook_id"] for row in await shop.logs(webhook_id=other["id"])] == [other["id"]]
    pages = []
    for page in (1, 2, 3):
        found = (await shop.client.get(f"_admin/webhook-logs?webhook_id={hook['id']}&per_page=2&page={page}")).require(
            200
        )
        assert found.meta == {"page": page, "per_page": 2, "total": 5, "total_pages": 3}
        pages += [row["id"] for row in found.data]
    assert list(reversed(pages)) == everything
    for row in await shop.logs():
        alone = (await shop.client.get(f"_admin/webhook-logs/{row['id']}")).require(200).data
        assert alone == row
    assert await shop.logs(webhook_id=hook["id"], status=DELIVERED) == []
    assert len(await shop.logs(webhook_id=hook["id"], status=PENDING, entity="item")) == 5
    assert await shop.logs(webhook_id=hook["id"], entity="other") == []


async def test_a_webhook_that_was_deleted_leaves_no_row(shop: Any) -> None:
    hook, other = await shop.hook(), await shop.hook()
    await create(shop, 2)
    app = await app_of(shop)
    await sort(app, limit=1)
    (await shop.client.delete(f"_admin/webhooks/{hook['id']}")).require(200)
    assert [row["new_for"] or row["webhook_id"] for row in await stored(app)] == [other["id"]] * 2
    # A writer of another process that had not heard of it yet:
    async with app.store.write() as tx:
        row = (await LOGS.select(tx, {}))[0]
        await LOGS.insert(tx, {**row, "id": hook["id"], "lane": UNSORTED, "webhook_id": None, "new_for": hook["id"]})
    assert await shop.deliver() == 2
    assert [row["webhook_id"] for row in await stored(app)] == [other["id"]] * 2
    (await shop.client.delete(f"_admin/webhooks/{other['id']}")).require(200)
    assert await stored(app) == []


async def test_rows_of_a_deleted_webhook_go_also_where_no_webhook_is_left(shop: Any) -> None:
    hook = await shop.hook()
    await create(shop, 1)
    app = await app_of(shop)
    (row,) = await stored(app)
    (await shop.client.delete(f"_admin/webhooks/{hook['id']}")).require(200)
    async with app.store.write() as tx:
        await LOGS.insert(tx, row)
    assert await shop.deliver() == 0
    assert await stored(app) == []


async def test_new_rows_are_replayed_like_the_others(shop: Any) -> None:
    hook, other = await shop.hook(), await shop.hook()
    await create(shop, 3)
    app = await app_of(shop)
    await sort(app, limit=1)
    replayed = await shop.client.post(f"_admin/webhooks/{hook['id']}/replay", {"status": PENDING})
    assert replayed.require(200).data == {"queued": 3}
    assert {row["status"] for row in await shop.logs(webhook_id=hook["id"])} == {"retrying"}
    assert {row["status"] for row in await shop.logs(webhook_id=other["id"])} == {PENDING}
    assert await shop.deliver() > 0
    assert {row["status"] for row in await shop.logs()} == {DELIVERED}


async def test_new_rows_of_a_410_that_nobody_has_sorted_fail_with_the_others(shop: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(desk, "_SORTED_AT_ONCE", 1)
    await shop.hook()
    await create(shop, 4)
    shop.receiver.answer(status=410, times=None)
    await shop.deliver()
    rows = await stored(await app_of(shop))
    assert {(row["status"], row["lane"], row["new_for"]) for row in rows} == {(FAILED, None, None)}
    assert all(row["webhook_id"] for row in rows)
    assert sorted(row["attempt"] for row in rows)[0] == 0


async def test_many_new_rows_of_a_silent_receiver_hold_up_nobody(start_shop: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(desk, "_SORTED_AT_ONCE", 10)
    shop = await start_shop(own_pace=True, settings={"timeout_s": 30.0})
    async with Receiver() as silent:
        silent.answer(delay=60, times=None)
        hook = await shop.hook(url=silent.url)
        await asyncio.gather(*(shop.client.create("item", {"name": f"bolt {at}"}) for at in range(60)))
        await silent.wait_for(2)
        await shop.hook(condition="record.qty == 7")
        await shop.client.create("item", {"name": "bolt", "qty": 7})
        await shop.receiver.wait_for(1, timeout=10)
        assert len(silent.requests) == 2
        assert len(await shop.logs(webhook_id=hook["id"])) == 61
        await shop.dispatcher.stop(patience_s=0)


async def test_while_all_workers_are_busy_nothing_is_sorted(start_shop: Any) -> None:
    shop = await start_shop(own_pace=True, settings={"timeout_s": 30.0})
    async with Receiver() as silent:
        silent.answer(delay=60, times=None)
        await shop.hook(url=silent.url)
        await create(shop, 2)
        await silent.wait_for(2)
        await create(shop, 5)
        app = await app_of(shop)
        for _ in range(3):
            assert await shop.dispatcher.desks["shop"].look() == 0
        assert [row["lane"] for row in await stored(app)].count(UNSORTED) == 5
        await shop.dispatcher.stop(patience_s=0)
