"""Apps of the platform: contract §12 and §1.4."""

import asyncio

import pytest

from rocket_kernel.apps.directory import NewApp
from rocket_kernel.apps.system_tables import APPS
from rocket_kernel.errors import Conflict
from rocket_kernel.hookspecs import hookimpl
from rocket_kernel.plugins import Plugin
from rocket_kernel.store.table_rows import TableRows
from rocket_kernel.testing import assert_error, entity

PLATFORM = "/api/_platform/apps"
NOW = "2026-01-02T03:04:05.678Z"
NAME_FORM = "App name must be lowercase letters, numbers, hyphens, underscores (start with letter)"
THING = entity("thing", id="int", n="int")


async def create(running, name, **more):
    return await running.client.post(PLATFORM, {"name": name, **more})


async def names(running):
    return [row["name"] for row in (await running.client.get(PLATFORM)).require(200).data]


async def set_status(running, name, status):
    async with running.kernel.apps.management.write() as tx:
        await TableRows(APPS).update(tx, {"name": name}, {"status": status})


async def exists(running, name):
    """Whether the app's database is there."""
    return await running.kernel.apps.servers[running.kernel.apps.own_driver].database_exists(f"rocket_{name}")


def app_not_found(answer, name):
    assert_error(answer, 404, "APP_NOT_FOUND", f"App not found: {name}", [])


async def test_an_app_is_created_shown_and_deleted(running, database):
    made = (
        await create(running, "shop", display_name="My Shop", owner="me", status="deleting", jwt_secret="x")
    ).require(201)
    row = {
        "name": "shop",
        "display_name": "My Shop",
        "db_name": "rocket_shop",
        "db_driver": database.driver,
        "status": "active",
        "created_at": NOW,
        "updated_at": NOW,
    }
    assert made.data == row
    assert list(made.data) == list(row)
    other = (await create(running, "a-1_b")).require(201).data
    assert (other["display_name"], other["db_name"]) == ("a-1_b", "rocket_a-1_b")
    assert (await running.client.get(f"{PLATFORM}/shop")).require(200).json == {"data": row}
    listed = (await running.client.get(PLATFORM)).require(200)
    assert listed.json == {"data": [other, row]}
    for answer in (made, listed, await running.client.get(f"{PLATFORM}/shop")):
        assert "secret" not in answer.text
    deleted = (await running.client.delete(f"{PLATFORM}/shop")).require(200)
    assert deleted.text == '{"message":"App deleted"}'
    assert await names(running) == ["a-1_b"]
    assert not await exists(running, "shop")
    app_not_found(await running.client.get("/api/shop/thing"), "shop")


async def test_bodies_that_are_refused(running):
    cases = [
        *[(body, "App name is required") for body in ({}, {"name": None}, {"name": ""}, {"display_name": "x"})],
        *[({"name": name}, NAME_FORM) for name in ("A", "1a", "-a", "_a", "a b", "a.b", "ä", "aÄ", "a/b", "a'", 'a"', "a;b", "a\n", " a", "Shop")],
        *[({"name": name}, NAME_FORM) for name in (7, True, ["a"], {"a": 1}, "A" * 57)],
        ({"name": "a" * 57}, "App name must be at most 56 characters"),
        ({"name": "a" * 5000}, "App name must be at most 56 characters"),
        *[({"name": "a", "db_driver": driver}, "Invalid db_driver: must be one of postgres, sqlite") for driver in ("mysql", "SQLite", 7, [], {})],
        ({"name": "a" * 57, "db_driver": "mysql"}, "App name must be at most 56 characters"),
    ]  # fmt: skip
    for body, message in cases:
        answer = await running.client.post(PLATFORM, body)
        assert_error(answer, 422, "VALIDATION_FAILED", message, [])
    assert await names(running) == []


async def test_the_longest_name(running):
    name = "a" * 56
    assert (await create(running, name)).require(201).data["db_name"] == f"rocket_{name}"
    client = running.client.in_app(name)
    await client.define(THING)
    assert await client.create("thing", {"n": 1}) == {"id": 1, "n": 1}
    (await running.client.delete(f"{PLATFORM}/{name}")).require(200)


async def test_apps_that_are_not_there(running):
    await create(running, "shop")
    for name, shown in (
        ("nothing", "nothing"),
        ("Shop", "Shop"),
        ("a%2Fb", "a/b"),
        ("%00", "\x00"),
        ("x'y", "x'y"),
        ("a" * 300, "a" * 300),
    ):
        assert_error(await running.client.get(f"{PLATFORM}/{name}"), 404, "NOT_FOUND", f"App not found: {shown}", [])
        message = f"App not found or failed to delete: App not found: {shown}"
        assert_error(await running.client.delete(f"{PLATFORM}/{name}"), 404, "NOT_FOUND", message, [])
    assert await names(running) == ["shop"]


async def test_an_app_is_there_already(running):
    first = (await create(running, "shop", display_name="first")).require(201).data
    for more in ({}, {"display_name": "second"}, {"db_driver": "sqlite"}):
        assert_error(await create(running, "shop", **more), 409, "CONFLICT", "App already exists: shop", [])
    assert (await running.client.get(f"{PLATFORM}/shop")).data == first
    client = running.client.in_app("shop")
    await client.define(THING)
    assert_error(await create(running, "shop"), 409, "CONFLICT", "App already exists: shop", [])
    assert (await client.get("thing")).status == 200


async def test_names_that_look_alike_are_apps_of_their_own(running):
    """A name is never bent to fit a database."""
    for name in ("a-b", "a_b", "ab", "a--b"):
        (await create(running, name)).require(201)
    for name in ("a-b", "a_b"):
        client = running.client.in_app(name)
        await client.define(entity("thing", n="string"))
        await client.create("thing", {"n": name})
    for name in ("a-b", "a_b"):
        assert [row["n"] for row in (await running.client.in_app(name).get("thing")).data] == [name]
    assert_error(await running.client.get("/api/ab/thing"), 404, "UNKNOWN_ENTITY")
    (await running.client.delete(f"{PLATFORM}/a-b")).require(200)
    assert (await running.client.get("/api/a_b/thing")).meta["total"] == 1
    app_not_found(await running.client.get("/api/a-b/thing"), "a-b")


async def test_a_new_app_of_an_old_name_is_empty(running):
    for _ in range(2):
        client = await running.client.app("shop")
        assert (await client.get("_admin/entities")).data == []
        await client.define(THING)
        assert await client.create("thing", {"n": 7}) == {"id": 1, "n": 7}
        (await running.client.delete(f"{PLATFORM}/shop")).require(200)


async def test_drivers_may_differ_from_app_to_app(running, database):
    if database.driver == "sqlite":
        answer = await create(running, "other", db_driver="postgres")
        assert_error(answer, 422, "VALIDATION_FAILED", "db_driver postgres is not configured", [])
        assert await names(running) == []
        return
    row = (await create(running, "small", db_driver="sqlite")).require(201).data
    assert row["db_driver"] == "sqlite"
    client = running.client.in_app("small")
    await client.define(THING)
    assert await client.create("thing", {"n": 1}) == {"id": 1, "n": 1}
    assert (database.folder / "rocket_small.db").exists() or list(database.folder.glob("rocket_small*"))
    (await running.client.delete(f"{PLATFORM}/small")).require(200)
    assert not list(database.folder.glob("rocket_small*"))


async def test_of_many_that_create_one_app_one_succeeds(running):
    answers = await asyncio.gather(*[create(running, "shop", display_name=str(at)) for at in range(20)])
    assert sorted(answer.status for answer in answers) == [201] + [409] * 19
    for answer in answers:
        if answer.status == 409:
            assert_error(answer, 409, "CONFLICT", "App already exists: shop", [])
    (winner,) = [answer.data for answer in answers if answer.status == 201]
    assert (await running.client.get(PLATFORM)).data == [winner]
    await running.client.in_app("shop").define(THING)


async def test_of_two_kernels_that_create_one_app_one_succeeds(start_kernel):
    kernels = [await start_kernel(), await start_kernel()]
    answers = await asyncio.gather(*[create(kernels[at % 2], "shop") for at in range(8)])
    assert sorted(answer.status for answer in answers) == [201] + [409] * 7
    for running in kernels:
        assert (await running.client.get("/api/shop/_admin/entities")).status == 200


class Grudging(Plugin):
    """Refuses the first content of some apps."""

    name = "grudging"
    version = "1"

    @hookimpl
    async def on_app_created(self, app, tx):
        await tx.execute('CREATE TABLE "half_done" ("id" INTEGER)')
        if app.name == "conflict":
            raise Conflict("not this one")
        if app.name == "broken":
            raise RuntimeError("secret")


async def test_a_creation_that_fails_leaves_nothing(start_kernel):
    running = await start_kernel([Grudging])
    assert_error(await create(running, "conflict"), 409, "CONFLICT", "not this one")
    assert_error(await create(running, "broken"), 500, "INTERNAL_ERROR", "Internal server error")
    for name in ("conflict", "broken"):
        assert not await exists(running, name)
        app_not_found(await running.client.get(f"/api/{name}/thing"), name)
    assert await names(running) == []
    await running.stop()
    running = await start_kernel()
    for name in ("conflict", "broken"):
        (await create(running, name)).require(201)


async def test_a_creation_whose_caller_went_away_leaves_nothing(start_kernel):
    filling = asyncio.Event()

    class Endless(Plugin):
        name = "endless"
        version = "1"

        @hookimpl
        async def on_app_created(self, app, tx):
            filling.set()
            await asyncio.Event().wait()

    running = await start_kernel([Endless])
    creation = asyncio.create_task(running.kernel.apps.create(NewApp("shop", "Shop", running.kernel.apps.own_driver)))
    await asyncio.wait_for(filling.wait(), 10)
    assert [row["status"] for row in await running.kernel.apps.rows()] == ["creating"]
    creation.cancel()
    with pytest.raises(asyncio.CancelledError):
        await creation
    assert await names(running) == []
    assert not await exists(running, "shop")


async def test_a_database_that_is_there_already_is_somebodys(running):
    """Two installations may share a server: an app must not be made of another's database, nor drop it."""
    server = running.kernel.apps.servers[running.kernel.apps.own_driver]
    await server.create_database("rocket_theirs")
    assert_error(await create(running, "theirs"), 409, "CONFLICT", "Database already exists: rocket_theirs")
    assert await exists(running, "theirs")
    assert await names(running) == []
    await server.drop_database("rocket_theirs")
    (await create(running, "theirs")).require(201)


async def test_the_management_database_is_no_app(start_kernel):
    running = await start_kernel(config={"database.name": "rocket_main"})
    assert (await create(running, "main")).status == 409
    (await create(running, "other")).require(201)
    assert await names(running) == ["other"]


@pytest.mark.parametrize("status", ["creating", "deleting"])
@pytest.mark.parametrize("database_made", [True, False], ids=["with a database", "without one"])
async def test_what_a_crash_left_half_done_is_gone_after_the_next_start(start_kernel, status, database_made):
    running = await start_kernel()
    for name in ("half", "whole"):
        await running.client.app(name)
    await set_status(running, "half", status)
    if not database_made:
        await running.kernel.apps.close("half")
        await running.kernel.apps.servers[running.kernel.apps.own_driver].drop_database("rocket_half")
    await running.stop()
    running = await start_kernel()
    assert await names(running) == ["whole"]
    assert not await exists(running, "half")
    app_not_found(await running.client.get("/api/half/_admin/entities"), "half")
    assert (await running.client.get("/api/whole/_admin/entities")).status == 200
    (await create(running, "half")).require(201)


async def test_an_app_that_is_not_active_is_not_found(start_kernel):
    await (await start_kernel()).client.app("shop")
    running = await start_kernel()
    for status in ("creating", "deleting"):
        await set_status(running, "shop", status)
        for path in ("_admin/entities", "thing", "thing/1"):
            app_not_found(await running.client.get(f"/api/shop/{path}"), "shop")
        assert (await running.client.get(f"{PLATFORM}/shop")).data["status"] == status
        assert_error(await create(running, "shop"), 409, "CONFLICT", "App already exists: shop")
    # A deletion that was cut off can be asked for again.
    (await running.client.delete(f"{PLATFORM}/shop")).require(200)
    assert await names(running) == []


class Unloadable(Plugin):
    name = "unloadable"
    version = "1"

    @hookimpl
    async def on_app_opened(self, app):
        if app.name == "odd":
            raise RuntimeError("cannot be loaded")


async def test_an_app_that_cannot_be_loaded_is_not_found(start_kernel):
    running = await start_kernel([Unloadable])
    for name in ("odd", "even"):
        (await create(running, name)).require(201)
    for _ in range(2):
        app_not_found(await running.client.get("/api/odd/_admin/entities"), "odd")
    assert (await running.client.get("/api/even/_admin/entities")).status == 200
    (await running.client.delete(f"{PLATFORM}/odd")).require(200)


async def test_requests_that_run_while_an_app_goes(running, database):
    client = await running.client.app("shop")
    await client.define(THING)
    answers, done = [], asyncio.Event()

    async def keep_asking(method, path):
        while not done.is_set():
            sent = {"json": {"n": 1}} if method == "POST" else {}
            answers.append(await client.request(method, path, **sent))
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        for method, path in (
            ("GET", "thing"),
            ("POST", "thing"),
            ("GET", "_admin/entities"),
            ("GET", "thing/1"),
            ("POST", "thing"),
        ):
            group.create_task(keep_asking(method, path))
        await asyncio.sleep(0.05)
        deleted = await running.client.delete(f"{PLATFORM}/shop")
        await asyncio.sleep(0.05)
        done.set()
    deleted.require(200)
    assert {answer.status for answer in answers} <= {200, 201, 404}
    codes = {answer.error["code"] for answer in answers if answer.status == 404 and not answer.path.endswith("/1")}
    assert codes == {"APP_NOT_FOUND"}
    assert {200, 201} <= {answer.status for answer in answers}
    app_not_found(await client.get("thing"), "shop")
    assert await names(running) == []


async def test_an_app_deleted_by_another_kernel(start_kernel):
    one, two = await start_kernel(), await start_kernel()
    first = await one.client.app("shop")
    await first.define(THING)
    second = two.client.in_app("shop")
    await second.create("thing", {"n": 1})
    (await one.client.delete(f"{PLATFORM}/shop")).require(200)
    for method, path in (("GET", "thing"), ("GET", "thing/1"), ("POST", "thing"), ("PUT", "thing/1"), ("DELETE", "thing/1"),
                         ("GET", "_admin/entities"), ("GET", "_admin/entities/thing"), ("POST", "_admin/entities"),
                         ("GET", "_admin/export"), ("POST", "_admin/import")):  # fmt: skip
        app_not_found(await second.request(method, path), "shop")
    # And one of the same name, made anew, is another.
    await (await one.client.app("shop")).define(entity("other"))
    assert_error(await second.get("thing"), 404, "UNKNOWN_ENTITY")
    assert (await second.get("other")).data == []


@pytest.mark.parametrize(
    ("method", "path", "status", "shared"),
    [("GET", "thing", 200, True), ("GET", "_admin/entities/thing", 200, True), ("POST", "thing", 201, False)],
)
async def test_the_first_request_after_another_kernel_made_the_app_anew(start_kernel, method, path, status, shared):
    """A pool that lost its database finds the new one of that name: the old app's metadata must not answer for it."""
    one, two = await start_kernel(shared=shared), await start_kernel(shared=shared)
    await (await one.client.app("shop")).define(THING)
    second = two.client.in_app("shop")
    assert (await second.get("thing")).status == 200
    (await one.client.delete(f"{PLATFORM}/shop")).require(200)
    await (await one.client.app("shop")).define(entity("thing", id="int", other="string"))
    answer = await second.request(method, path, **({"json": {"other": "x"}} if method == "POST" else {}))
    answer.require(status)
    assert (await second.create("thing", {"other": "y"}))["other"] == "y"
    # Neither do its secrets.
    secrets = [(await running.kernel.apps.app("shop")).secret for running in (one, two)]
    assert secrets[0] == secrets[1]


async def test_metadata_changed_by_another_kernel(start_kernel):
    one, two = await start_kernel(), await start_kernel()
    first = await one.client.app("shop")
    second = two.client.in_app("shop")
    assert_error(await second.get("thing"), 404, "UNKNOWN_ENTITY")
    await first.define(THING)
    assert (await second.get("thing")).status == 200
    assert await second.create("thing", {"n": 1}) == {"id": 1, "n": 1}
    for more in ({"m": "int"}, {}, {"k": "string default=x"}):
        (await first.put("_admin/entities/thing", entity("thing", id="int", n="int", **more))).require(200)
        assert list((await second.get("thing")).data[0]) == ["id", "n", *more]
        assert list((await second.get("thing/1")).data) == ["id", "n", *more]
        assert list((await second.put("thing/1", {"n": 2})).data) == ["id", "n", *more]
        assert (await second.get("_admin/entities/thing")).data == (await first.get("_admin/entities/thing")).data
    (await first.delete("_admin/entities/thing")).require(200)
    assert_error(await second.post("thing", {"n": 1}), 404, "UNKNOWN_ENTITY", "Unknown entity: thing")
