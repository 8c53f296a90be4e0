"""New rows, which are in no webhook's lane yet: who sorts them, and that nobody sees a difference."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rocket_kernel import AppContext, RocketError
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
async def test_the_log_of_a_webhook_shows_new_rows_in_their_place(shop: Any, sorted_before: int) -> None:
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


async def test_while_all_workers_are_busy_only_a_tick_sorts(start_shop: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(desk, "_SORTED_AT_ONCE", 1)
    shop = await start_shop(own_pace=True, settings={"timeout_s": 30.0})
    shop.dispatcher.tick_s = 600.0
    async with Receiver() as silent:
        silent.answer(delay=60, times=None)
        await shop.hook(url=silent.url)
        await create(shop, 2)
        await silent.wait_for(2)
        await create(shop, 5)
        app, at_desk = await app_of(shop), shop.dispatcher.desks["shop"]
        for _ in range(3):
            assert await at_desk.look() == 0
        before = [row["lane"] for row in await stored(app)].count(UNSORTED)
        assert before >= 4
        assert await at_desk.look(sorting=2) == 0
        assert [row["lane"] for row in await stored(app)].count(UNSORTED) == before - 2
        await shop.dispatcher.stop(patience_s=0)


async def test_whoever_ends_looks_for_more_new_rows(start_shop: Any, monkeypatch: Any) -> None:
    """Without a tick, and without another write."""
    monkeypatch.setattr(desk, "_SORTED_AT_ONCE", 3)
    shop = await start_shop(own_pace=True, settings={"timeout_s": 30.0})
    shop.dispatcher.tick_s = 600.0
    await shop.hook()
    shop.receiver.answer(delay=0.02, times=None)
    await asyncio.gather(*(shop.client.create("item", {"name": f"bolt {at}"}) for at in range(40)))
    await shop.receiver.wait_for(40, timeout=20)
    assert len({received.headers["webhook-id"] for received in shop.receiver.requests}) == 40
    await shop.dispatcher.stop()


async def test_retries_come_to_their_turn_between_new_rows(shop: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(desk, "_SORTED_AT_ONCE", 2)
    failing, _idle = await shop.hook(retry={"max_attempts": 2}), await shop.hook(condition="record.qty < 0")
    shop.receiver.answer(status=500)
    await create(shop, 1)
    await shop.deliver()
    shop.clock.advance(seconds=60)
    await create(shop, 6)
    shop.receiver.requests.clear()
    at_desk, sorting = shop.dispatcher.desks["shop"], desk.sort_new
    due_first: list[int] = []

    async def sort_noticing(tx: Any, *, limit: int) -> Any:
        due_first.append(at_desk.lanes[failing["id"]].running if failing["id"] in at_desk.lanes else 0)
        return await sorting(tx, limit=limit)

    monkeypatch.setattr(desk, "sort_new", sort_noticing)
    await shop.deliver()
    assert due_first[0] == 1
    assert {row["status"] for row in await shop.logs()} == {DELIVERED}


async def test_nothing_is_claimed_once_it_stops(start_shop: Any) -> None:
    shop = await start_shop(own_pace=True)
    await shop.dispatcher.pause()
    await shop.hook()
    await create(shop, 3)
    assert await shop.dispatcher.desks["shop"].look(sorting=5) == 0
    assert {(row["lane"], row["claim"]) for row in await stored(await app_of(shop))} == {(UNSORTED, None)}


async def test_a_lane_with_more_workers_than_it_may_have_is_not_free(shop: Any) -> None:
    hook = await shop.hook()
    at_desk = shop.dispatcher.desks["shop"]
    await app_of(shop)
    lane = at_desk._lane(hook["id"])
    lane.running = 8
    assert not at_desk._could_send()
    lane.running = 1
    assert at_desk._could_send()


async def test_a_test_delivery_is_newer_than_new_rows(shop: Any) -> None:
    hook = await shop.hook()
    await create(shop, 3)
    shop.clock.advance(seconds=1)
    tested = (await shop.client.post(f"_admin/webhooks/{hook['id']}/test")).require(200).data
    await create(shop, 1)
    listed = await shop.logs(webhook_id=hook["id"])
    assert [row["id"] for row in listed] == [row["id"] for row in await shop.logs()]
    assert [row["id"] for row in listed].index(tested["id"]) == 3
    page = (await shop.client.get(f"_admin/webhook-logs?webhook_id={hook['id']}&per_page=2&page=1")).require(200)
    assert [row["id"] for row in page.data] == [listed[4]["id"], tested["id"]]


async def test_deleting_a_webhook_and_sorting_its_rows_stand_in_nobody_s_way(shop: Any) -> None:
    app = await app_of(shop)
    for _ in range(10):
        hook = await shop.hook()
        await create(shop, 5)

        async def sorted_meanwhile() -> None:
            for _ in range(5):
                try:
                    await sort(app, limit=2)
                except RocketError:
                    await asyncio.sleep(0)

        deleted, _ = await asyncio.gather(
            shop.client.delete(f"_admin/webhooks/{hook['id']}"), asyncio.wait_for(sorted_meanwhile(), 20)
        )
        assert deleted.status == 200
        await sort(app)
        assert await stored(app) == []
