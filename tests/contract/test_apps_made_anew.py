"""An app that was deleted and made again under its name is another app: nothing of the old one acts in it.

One kernel deletes and makes, the other one has the old app open and learns of it in the middle of its requests.
"""

from __future__ import annotations

import asyncio

import pytest

from rocket_kernel import AccessClass, Actor, BodyMode, Job, Plugin, Route, TableRows, data, enqueue, hookimpl
from rocket_kernel.errors import Unauthorized
from rocket_kernel.http.dispatch import authenticate
from rocket_kernel.jobs import JOBS
from rocket_kernel.testing import assert_error, entity

PLATFORM = "/api/_platform/apps"
BOSS = frozenset({"admin", "platform_admin"})
THING = entity("thing", id="int", n="int")
NOW = "2026-01-02T03:04:05.678Z"


class Sealed(Plugin):
    """Who shows the secret of an app is its admin; `boss` is one everywhere."""

    name = "sealed"

    def __init__(self, settings=None):
        super().__init__(settings)
        self.seen = []
        self.runs = []

    @hookimpl
    async def authenticate(self, request):
        token = request.headers.get("x-token")
        if token == "boss":
            return Actor(id="boss", email=None, roles=BOSS, platform=True)
        if request.in_app and token == request.app.secret.reveal():
            request.stash["sealed"] = token
            return Actor(id=token, email=None, roles=frozenset({"admin"}))
        return None

    @hookimpl
    async def on_request(self, request):
        if request.in_app:
            self.seen.append((request.app.identity, request.actor.id, dict(request.stash)))

    @hookimpl
    def register_routes(self):
        made = [
            ("POST", "twice", AccessClass.AUTHENTICATED, self.write_twice, BodyMode.JSON),
            ("POST", "stream", AccessClass.AUTHENTICATED, self.read_first, BodyMode.STREAM),
            ("GET", "open", AccessClass.PUBLIC, self.who, BodyMode.JSON),
            ("GET", "other", AccessClass.AUTHENTICATED, self.look_elsewhere, BodyMode.JSON),
        ]
        return [
            Route(method=method, path=f"/api/:app/_sealed/{name}", access=access, handler=handler, body=body)
            for method, name, access, handler, body in made
        ]

    @hookimpl
    def register_jobs(self):
        return [Job(name="sealed:run", run=self.run), Job(name="sealed:often", run=self.run, every_s=3600)]

    async def run(self, job):
        async with job.app.reading():
            self.runs.append((job.app.identity, job.payload.get("n"), job.attempt))

    async def write_twice(self, request):
        for _ in range(2):
            async with request.app.writing() as (tx, _registry):
                await enqueue(tx, "sealed:run", {"n": request.actor.id}, "2999-01-01T00:00:00.000Z")
        return data({})

    async def read_first(self, request):
        size = sum([len(chunk) async for chunk in request.stream])
        async with request.app.reading():
            return data({"size": size})

    async def who(self, request):
        """Public, and for those who show who they are."""
        try:
            await authenticate(request)
        except Unauthorized:
            return data({"who": request.actor.id})
        async with request.app.reading():
            return data({"who": request.actor.id})

    async def look_elsewhere(self, request):
        return data({"found": (await request.kernel.apps.app("nowhere")).name})


@pytest.fixture
async def kernels(start_kernel, request):
    """One that makes apps and one that uses them. The second runs no jobs by itself."""
    together = getattr(request, "param", True)
    one, two = [await start_kernel([Sealed], shared=together) for _ in range(2)]
    await two.kernel.jobs.pause()
    return one, two


either = pytest.mark.parametrize(
    "kernels", [True, False], ids=["same database name", "another database"], indirect=True
)


def boss(running):
    return running.client.with_headers({"X-Token": "boss"})


async def make(running):
    """A new app `shop`, in place of one that may be there; the token of its admin."""
    client = boss(running)
    if (await client.get(f"{PLATFORM}/shop")).status == 200:
        (await client.delete(f"{PLATFORM}/shop")).require(200)
    await (await client.app("shop")).define(THING)
    return (await running.kernel.apps.app("shop")).secret.reveal()


def admin(running, token):
    return running.client.in_app("shop").with_headers({"X-Token": token})


def plugin(running):
    return running.kernel.parts.plugins.find("sealed")


async def queue(running):
    app = await running.kernel.apps.app("shop")
    async with app.reading() as (session, _):
        return [row for row in await TableRows(JOBS).select(session) if row["name"] == "sealed:run"]


CALLS = [
    ("GET", "thing", None),
    ("GET", "thing/1", None),
    ("POST", "thing", {"n": 1}),
    ("POST", "thing?explain=true", {"n": 1}),
    ("PUT", "thing/1", {"n": 2}),
    ("DELETE", "thing/1", None),
    ("GET", "_admin/entities", None),
    ("POST", "_admin/entities", entity("evil")),
    ("PUT", "_admin/entities/thing", entity("thing", id="int", n="int", evil="int")),
    ("DELETE", "_admin/entities/thing", None),
    ("GET", "_admin/export", None),
    ("POST", "_admin/import", {"entities": [entity("evil")]}),
    ("POST", "_sealed/twice", {}),
]


@pytest.mark.parametrize(
    ("kernels", "calls"),
    [
        pytest.param(True, CALLS[2::4], id="same database name"),
        pytest.param(False, CALLS[::4], id="another database"),
        pytest.param(True, CALLS, id="all calls", marks=pytest.mark.torture),
    ],
    indirect=["kernels"],
)
async def test_a_token_of_the_old_app_is_none_of_the_new_one(kernels, calls):
    one, two = kernels
    new = await make(one)
    await admin(one, new).create("thing", {"n": 7})
    for method, path, body in calls:
        client = admin(two, new)
        (await client.get("thing/1")).require(200)
        new = await make(one)
        await admin(one, new).create("thing", {"n": 7})
        before = (await admin(one, new).get("_admin/export")).require(200).data["entities"]
        answer = await client.request(method, path, **({} if body is None else {"json": body}))
        assert_error(answer, 401, "UNAUTHORIZED")
        assert (await admin(one, new).get("_admin/export")).data["entities"] == before
        assert (await admin(one, new).get("thing")).data == [{"id": 1, "n": 7}]
        assert await queue(one) == []
        # Whoever shows the new one's token is let in by both.
        for running in kernels:
            (await admin(running, new).get("thing/1")).require(200)


@either
async def test_a_caller_of_both_is_found_out_anew_without_what_was_noted_for_the_old(kernels):
    one, two = kernels
    client = admin(two, await make(one))
    (await client.get("thing")).require(200)
    new = await make(one)
    plugin(two).seen.clear()
    (await boss(two).in_app("shop").post("thing", {"n": 3})).require(201)
    (first, actor, _), (second, again, noted) = plugin(two).seen
    assert (actor, again, noted) == ("boss", "boss", {})
    assert first != second == (await one.kernel.apps.app("shop")).identity
    assert (await admin(one, new).get("thing")).data == [{"id": 1, "n": 3}]


@either
async def test_a_public_route_forgets_who_called_the_old_app(kernels):
    one, two = kernels
    old = await make(one)
    client = admin(two, old)
    assert (await client.get("_sealed/open")).require(200).data == {"who": old}
    await make(one)
    assert (await client.get("_sealed/open")).require(200).data == {"who": None}


@either
async def test_a_body_that_was_read_for_the_old_app_is_not_taken_for_an_empty_one(kernels):
    one, two = kernels
    client = boss(two).in_app("shop")
    await make(one)
    assert (await client.post("_sealed/stream", content=b"12345")).require(200).data == {"size": 5}
    await make(one)
    answer = await client.post("_sealed/stream", content=b"12345")
    assert_error(answer, 503, "UNAVAILABLE")
    assert answer.headers["Retry-After"] == "1"
    assert (await client.post("_sealed/stream", content=b"12345")).require(200).data == {"size": 5}


async def test_a_handler_that_misses_another_app_keeps_its_own(kernels):
    one, _ = kernels
    client = admin(one, await make(one))
    app = await one.kernel.apps.app("shop")
    answer = await client.get("_sealed/other")
    assert_error(answer, 404, "APP_NOT_FOUND", "App not found: nowhere")
    assert await one.kernel.apps.app("shop") is app


@either
async def test_jobs_of_the_new_app_are_run_with_it_and_those_of_the_old_never(kernels):
    one, two = kernels
    await one.kernel.jobs.stop()
    runs = plugin(two).runs
    await make(one)
    old = await two.kernel.apps.app("shop")
    await two.kernel.jobs.run_due()
    assert runs == [(old.identity, None, 1)]
    async with old.writing() as (tx, _):
        await enqueue(tx, "sealed:run", {"n": "old"}, NOW)
    runs.clear()
    await make(one)
    new = await one.kernel.apps.app("shop")
    async with new.writing() as (tx, _):
        await enqueue(tx, "sealed:run", {"n": "new"}, NOW)
    await two.kernel.jobs.run_due()
    assert runs == []
    assert [row["attempt"] for row in await queue(one)] == [0]
    # The next look is one at the new app, as soon as this process has it open.
    assert await two.kernel.apps.app("shop") is not old
    await two.kernel.jobs.run_due()
    assert set(runs) == {(new.identity, None, 1), (new.identity, "new", 1)}
    assert await queue(one) == []


async def test_a_job_that_outlives_its_app_ends(kernels, caplog):
    one, two = kernels
    await one.kernel.jobs.stop()
    await make(one)
    app = await two.kernel.apps.app("shop")
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(job):
        begun.set()
        await go_on.wait()
        async with job.app.writing():
            raise AssertionError("a transaction in an app that is gone")

    two.kernel.jobs.jobs["sealed:slow"] = Job(name="sealed:slow", run=slow)
    async with app.writing() as (tx, _):
        await enqueue(tx, "sealed:slow", {}, NOW)
    looking = asyncio.create_task(two.kernel.jobs.run_due())
    await begun.wait()
    await make(one)
    go_on.set()
    await looking
    assert app not in two.kernel.apps.opened
    assert "failed" not in caplog.text


@either
async def test_a_server_is_ready_when_another_has_deleted_an_app_that_it_has_open(kernels):
    one, two = kernels
    await make(one)
    await boss(two).in_app("shop").get("thing")
    assert len(two.kernel.apps.opened) == 1
    (await boss(one).delete(f"{PLATFORM}/shop")).require(200)
    (await two.client.get("/ready")).require(200)


async def test_names_that_are_asked_for_in_vain_are_not_kept(kernels):
    one, _ = kernels
    for number in range(20):
        assert_error(await boss(one).get(f"/api/none{number}/thing"), 404, "APP_NOT_FOUND")
    assert not one.kernel.apps._opening


async def written_to(client):
    """Wait for the first row of the app."""
    for _ in range(3000):
        if (await client.get("thing?per_page=1")).require(200).meta["total"]:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("no row was written")


@pytest.mark.parametrize("rounds", [3, pytest.param(60, marks=pytest.mark.torture)])
async def test_requests_under_way_while_an_app_is_made_anew_again_and_again(kernels, rounds):
    """Every row of an app was written with that app's token, whatever was under way while it was made."""
    one, _ = kernels
    now = {"token": await make(one), "number": 0}
    done = asyncio.Event()
    statuses = set()

    async def write(running):
        while not done.is_set():
            # Token and number belong together; by the time they arrive another app may be there.
            token, generation = now["token"], now["number"]
            answer = await admin(running, token).post("thing", {"n": generation})
            statuses.add(answer.status)
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        for running in kernels * 4:
            group.create_task(write(running))
        for generation in range(1, rounds + 1):
            await asyncio.sleep(0.03)
            now.update(token=await make(one), number=generation)
            await written_to(admin(one, now["token"]))
            wrong = await admin(one, now["token"]).get(f"thing?filter[n.neq]={generation}")
            assert wrong.require(200).meta["total"] == 0
        done.set()
    assert {201, 401} <= statuses <= {201, 401, 404, 503}
