"""A plugin may remember who calls: what it remembers counts only while nobody who may call has changed."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import ClassVar

import pytest

from rocket_kernel import AccessClass, Actor, Plugin, Route, Unauthorized, data, hookimpl
from rocket_kernel.apps.system_tables import STATE
from rocket_kernel.store.table_rows import Increment, TableRows
from rocket_kernel.testing import assert_error, entity

HEADER = {"X-Badge": "7"}


class Badges(Plugin):
    """Callers show a badge. Whose it is stands in a register that all processes share."""

    name = "badges"
    register: ClassVar[dict[str, set[str]]] = {}

    def __init__(self, settings=None):
        super().__init__(settings)
        self.looked_up = self.from_memory = self.requests = 0
        self.met: list[Actor] = []
        self._memory: dict[str, Actor] = {}

    @hookimpl
    async def authenticate(self, request):
        badge = request.headers.get("x-badge")
        if badge is None or not request.in_app:
            return Actor(id="root", email=None, roles=frozenset({"admin", "platform_admin"}), platform=True)
        known = self._memory.get(badge)
        if known is not None and request.confirms_caller and known.known_at == request.app.registry.callers:
            self.from_memory += 1
            return known
        self.looked_up += 1
        async with request.app.reading() as (_session, registry):
            found = self.register.get(badge)
            if found is None:
                raise Unauthorized("Unknown badge")
            actor = Actor(id=badge, email=None, roles=frozenset(found), known_at=registry.callers)
        self._memory[badge] = actor
        return actor

    @hookimpl
    async def on_request(self, request):
        self.requests += 1
        request.stash.setdefault("badges", []).append(sorted(request.actor.roles))
        return data(request.stash["badges"]) if "x-echo" in request.headers else None

    @hookimpl
    def register_routes(self):
        return [Route(method="GET", path="/api/:app/_badge", access=AccessClass.AUTHENTICATED, handler=self.show)]

    async def show(self, request):
        self.met.append(request.actor)
        return data(sorted(request.actor.roles))


@pytest.fixture(autouse=True)
def register(monkeypatch):
    monkeypatch.setattr(Badges, "register", {"7": {"admin"}})
    return Badges.register


@pytest.fixture
async def doors(start_kernel):
    """Two processes that both remember badge 7, each with its plugin and a client."""
    found = []
    for number in range(2):
        running = await start_kernel([Badges])
        client = running.client if number else await running.client.app("shop")
        shop = client.in_app("shop").with_headers(HEADER)
        if not number:
            await shop.define(entity("book", title="string!"))
        (await shop.get("book")).require(200)
        (await shop.get("book")).require(200)
        plugin = running.kernel.parts.plugins.find("badges")
        found.append((running.kernel, plugin, shop))
    return found


async def change(kernel, badge, roles):
    """As a plugin does it: what is remembered counts no longer from the commit on."""
    app = await kernel.apps.app("shop")
    async with app.writing() as (tx, _registry):
        if roles is None:
            Badges.register.pop(badge, None)
        else:
            Badges.register[badge] = set(roles)
        await app.callers_changed(tx)


async def test_a_remembered_caller_is_not_looked_up(doors):
    for _kernel, plugin, shop in doors:
        before = plugin.looked_up
        await shop.create("book", {"title": "Emma"})
        (await shop.get("book")).require(200)
        assert plugin.looked_up == before
        assert plugin.from_memory >= 2


async def test_other_routes_look_the_caller_up(doors):
    _kernel, plugin, shop = doors[0]
    before = plugin.looked_up
    for _ in range(2):
        (await shop.get("_badge")).require(200)
    assert plugin.looked_up == before + 2
    assert [actor.known_at for actor in plugin.met] == [None, None]


@pytest.mark.parametrize("at", [0, 1])
async def test_a_caller_that_has_gone_is_refused_at_every_record_endpoint(doors, at):
    kernel, (_, plugin, shop) = doors[0][0], doors[at]
    for request in (
        lambda: shop.get("book"),
        lambda: shop.get("book?filter[nonsense]=1"),
        lambda: shop.get("book/1"),
        lambda: shop.get("nonsense"),
        lambda: shop.post("book", {"title": "Emma"}),
        lambda: shop.post("book", {"title": "Emma"}, headers={**HEADER, "Idempotency-Key": "k"}),
        lambda: shop.post("book", {"nonsense": 1}),
        lambda: shop.post("book", {"title": "Emma"}, headers={**HEADER, "Idempotency-Key": "\t"}),
        lambda: shop.put("book/1", {}),
        lambda: shop.delete("book/1"),
        lambda: shop.get("_admin/nonsense"),
    ):
        await change(kernel, "7", {"admin"})
        (await shop.get("book")).require(200)
        await change(kernel, "7", None)
        before = plugin.from_memory
        assert_error(await request(), 401, "UNAUTHORIZED", "Unknown badge")
        assert plugin.from_memory == before + 1
    await change(kernel, "7", {"admin"})
    assert (await shop.get("book")).meta["total"] == 0


async def test_a_caller_with_another_role_is_answered_anew(doors):
    (kernel, _, _), (_, plugin, shop) = doors
    await change(kernel, "7", {"clerk"})
    before = Counter(looked_up=plugin.looked_up, requests=plugin.requests)
    assert_error(await shop.put("_admin/nonsense", {}), 403, "FORBIDDEN", "Admin access required")
    assert plugin.looked_up == before["looked_up"] + 1
    await change(kernel, "7", {"admin"})
    assert_error(await shop.put("_admin/nonsense", {}), 404, "UNKNOWN_ENTITY")
    await change(kernel, "7", {"admin"})
    before = Counter(requests=plugin.requests)
    await shop.create("book", {"title": "Emma"})
    assert plugin.requests == before["requests"] + 2
    assert (await shop.get("book")).meta["total"] == 1


async def test_an_answer_in_place_of_the_handler_is_for_the_caller_as_it_stands_now(doors):
    (kernel, _, _), (_, plugin, there) = doors
    echo = {**HEADER, "X-Echo": "1"}
    assert (await there.get("book", headers=echo)).data == [["admin"]]
    await change(kernel, "7", {"clerk"})
    before = plugin.looked_up
    assert (await there.get("book", headers=echo)).data == [["clerk"]]
    assert plugin.looked_up == before + 1
    await change(kernel, "7", None)
    assert_error(await there.get("book", headers=echo), 401, "UNAUTHORIZED", "Unknown badge")


async def test_a_caller_who_keeps_changing_is_looked_up_in_the_end(doors, monkeypatch):
    (kernel, _, _), (other, plugin, shop) = doors
    app = await other.apps.app("shop")
    read = type(app).read

    async def changed_first(self, work, caller=None):
        await change(kernel, "7", {"admin"})
        return await read(self, work, caller)

    monkeypatch.setattr(type(app), "read", changed_first)
    assert (await shop.get("book")).status == 200
    assert plugin.looked_up >= 3


async def test_changes_follow_one_another(doors):
    (one, _, shop), (two, _, _) = doors

    async def counted() -> int:
        async with (await one.apps.app("shop")).reading() as (session, registry):
            (row,) = await TableRows(STATE).select(session)
            assert row["callers"] == registry.callers
            return row["callers"]

    before = await counted()
    await asyncio.gather(*(change(kernel, "7", {"admin"}) for kernel in (one, two) for _ in range(10)))
    assert await counted() == before + 20
    (await shop.get("book")).require(200)


async def test_a_change_that_is_undone_changes_nothing(doors):
    kernel, plugin, shop = doors[0]
    app = await kernel.apps.app("shop")

    async def fail():
        async with app.writing() as (tx, _registry):
            await app.callers_changed(tx)
            raise RuntimeError("undone")

    with pytest.raises(RuntimeError, match="undone"):
        await fail()
    before = plugin.looked_up
    (await shop.get("book")).require(200)
    assert plugin.looked_up == before


async def test_metadata_and_callers_change_apart(doors):
    (kernel, _, shop), (_, plugin, there) = doors
    await shop.define(entity("author", name="string"))
    before = plugin.looked_up
    (await there.get("author")).require(200)
    assert plugin.looked_up == before
    await change(kernel, "7", {"admin"})
    await shop.define(entity("page", text="string"))
    (await there.get("page")).require(200)
    assert plugin.looked_up == before + 1


async def test_a_column_grows_by_what_is_said(doors):
    app = await doors[0][0].apps.app("shop")
    rows = TableRows(STATE)
    async with app.writing() as (tx, _registry):
        (before,) = await rows.select(tx)
        await rows.update(tx, {}, {"callers": Increment(5), "status": "active"})
        await rows.update(tx, {}, {"callers": Increment(-2)})
        (after,) = await rows.select(tx)
    assert after == {**before, "callers": before["callers"] + 3}
