import asyncio
import os
from pathlib import Path

import pytest

from rocket_kernel import Kernel, Plugin, SystemClock, hookimpl, make_kernel
from rocket_kernel.config import Config
from rocket_kernel.errors import ConfigError, PluginError, StartupError
from rocket_kernel.testing import FakeClock, entity


class Diary(Plugin):
    name = "diary"
    entries: list = []  # noqa: RUF012

    @hookimpl
    async def on_started(self, kernel):
        self.entries.append("started")

    @hookimpl
    async def on_stopping(self, kernel):
        self.entries.append("stopping")


class Broken(Plugin):
    name = "broken"

    @hookimpl
    async def on_started(self):
        raise StartupError("no coffee")


class Misspelt(Plugin):
    name = "misspelt"

    @hookimpl
    async def on_startled(self):
        pass


@pytest.fixture(autouse=True)
def empty_diary():
    Diary.entries = []


async def test_start_up_hooks_run_and_stopping_twice_does_no_harm(start_kernel):
    running = await start_kernel([Diary])
    assert Diary.entries == ["started"]
    await running.stop()
    await running.stop()
    assert Diary.entries == ["started", "stopping"]


async def test_a_failed_start_raises_its_reason(start_kernel):
    with pytest.raises(StartupError, match="no coffee"):
        await start_kernel([Broken])
    with pytest.raises(PluginError, match="no hook of this name"):
        await start_kernel([Misspelt])


async def test_configuration(start_kernel, database):
    running = await start_kernel(config={"limits.max_per_page": 7, "database.pool_size": 3, "server": {"port": 99}})
    config = running.kernel.parts.config
    assert (config.limits.max_per_page, config.database.pool_size, config.server.port) == (7, 3, 99)
    assert config.database.driver == database.driver
    with pytest.raises(ConfigError, match="did you mean limits"):
        await start_kernel(config={"limits.max_per_pag": 7})
    with pytest.raises(ConfigError, match=r"plugins\.settings\.diary\.ink"):
        await start_kernel([Diary], settings={"diary": {"ink": "blue"}})


async def test_kernels_of_one_test_serve_the_same_apps(start_kernel):
    first = await start_kernel()
    one = await first.client.app("shop")
    second = await start_kernel()
    other = second.client.in_app("shop")
    await one.define(entity("book", title="string"))
    await other.create("book", {"title": "Emma"})
    assert [book["title"] for book in (await one.get("book")).data] == ["Emma"]
    await first.stop()
    assert (await other.get("book")).status == 200
    assert (await other.delete("/api/_platform/apps/shop")).status == 200
    third = await start_kernel()
    assert (await third.client.get("/api/_platform/apps")).data == []


async def test_an_app_deleted_by_one_kernel_is_gone_for_the_other(start_kernel):
    one = await (await start_kernel()).client.app("shop")
    other = (await start_kernel()).client.in_app("shop")
    await one.define(entity("book"))
    assert (await other.get("book")).status == 200
    (await one.delete("/api/_platform/apps/shop")).require(200)
    assert (await other.get("book")).status in (404, 503)
    again = await one.app("shop")
    assert (await again.get("_admin/entities")).data == []


@pytest.mark.parametrize("run", [1, 2])
async def test_nothing_of_the_former_test_is_left(client, run):
    assert (await client.get("_admin/entities")).data == []
    await client.define(entity("book"))
    await client.create("book", {})


async def test_others_find_shared_databases_by_the_configuration(start_kernel, database):
    running = await start_kernel(shared=True)
    await running.client.app("shop")
    other = make_kernel(Config(database=database.config(pool_size=2)), plugins=[])
    await other.start()
    assert [row["name"] for row in await other.apps.rows()] == ["shop"]
    await other.stop()
    unshared = await start_kernel()
    assert (unshared.kernel.parts.config.database.name != "rocket") == (database.driver == "postgres")


async def test_the_clock_of_the_test_is_the_kernels(client, clock):
    await client.define(entity("note", at="timestamp auto=create"))
    assert (await client.create("note", {}))["at"] == "2026-01-02T03:04:05.678Z"
    clock.advance(minutes=1)
    assert (await client.create("note", {}))["at"] == "2026-01-02T03:05:05.678Z"


async def test_another_clock(start_kernel):
    clock = SystemClock()
    assert (await start_kernel(clock=clock)).kernel.parts.clock is clock


def test_the_fixture_kernel_is_a_kernel(kernel, clock):
    assert isinstance(kernel, Kernel)
    assert isinstance(clock, FakeClock)
    assert kernel.parts.clock is clock
    assert kernel.open_house


async def test_the_test_runs_in_a_temporary_folder(database, tmp_path):
    assert Path.cwd() == tmp_path
    assert not [name for name in os.environ if name.startswith("ROCKET_") and not name.startswith("ROCKET_TEST_")]
    assert asyncio.get_running_loop().is_running()
