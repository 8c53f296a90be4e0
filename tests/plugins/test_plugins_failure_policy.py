"""What a plugin that raises, hangs or blocks does to others: to other plugins and to other apps, nothing."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from contextlib import suppress

import pytest

from rocket_kernel import (
    AccessClass,
    Actor,
    Call,
    Forbidden,
    Plugin,
    ReadGrant,
    Route,
    Stage,
    Step,
    ValidationFailed,
    data,
    hookimpl,
    step_times,
)
from rocket_kernel import plugins as machinery
from rocket_kernel.errors import InternalError, PluginError
from rocket_kernel.testing import assert_error, entity

SECRET = "the text of a defect"
NOTE = entity("note", title="string")
HERE = r"test_plugins_failure_policy.py:"


def plugin(name, *hooks, **members):
    """A plugin class with these functions as its hooks."""
    return type("Made", (Plugin,), {"name": name, **{hook.__name__: hookimpl(hook) for hook in hooks}, **members})


def let_loose(what):
    """Everything that code of a plugin may do in the place of returning."""
    match what:
        case "exception":
            raise KeyError(SECRET)
        case "defect":
            raise InternalError(SECRET)
        case "exit":
            sys.exit(SECRET)
        case "cancelled":
            raise asyncio.CancelledError
        case "group":
            raise ExceptionGroup(SECRET, [ValueError(SECRET)])
        case "recursion":
            let_loose("recursion")


HARMS = ["exception", "exit", "cancelled", "group", "recursion"]


async def two_apps(start_kernel, *plugins):
    running = await start_kernel(list(plugins))
    one, two = [await running.client.app(name) for name in ("one", "two")]
    for app in (one, two):
        await app.define(NOTE)
    return running, one, two


async def works(app):
    made = (await app.post("note", {"title": "fine"})).require(201).data
    return (await app.get(f"note/{made['id']}")).status == 200


def assert_defect(answer):
    assert_error(answer, 500, "INTERNAL_ERROR", "Internal server error")
    assert SECRET not in answer.text


async def test_a_participant_of_a_write_that_breaks_fails_its_request_alone(start_kernel, caplog):
    async def before_write(self, write):
        let_loose(write.record["title"])

    heard = []

    async def after_write(self, write):
        heard.append(write.record["title"])

    _, one, two = await two_apps(start_kernel, plugin("harmful", before_write), plugin("other", after_write))
    for harm in HARMS:
        caplog.clear()
        assert_defect(await one.post("note", {"title": harm}))
        assert "POST /api/one/note failed in plugin 'harmful', hook before_write: raised " in caplog.text
        assert HERE in caplog.text.split("failed in", 1)[1].splitlines()[0]
    assert await works(two)
    assert await works(one)
    assert (await one.get("note")).meta["total"] == 1
    assert heard == ["fine", "fine"]


async def test_a_step_that_breaks_is_named_with_its_plugin(start_kernel, caplog):
    async def check(write):
        let_loose(write.record["title"])

    def compile_write_steps(self, entity):
        return [Step(Stage.RULES, "harmful:check", check)]

    _, one, two = await two_apps(start_kernel, plugin("harmful", compile_write_steps))
    for harm in HARMS:
        caplog.clear()
        assert_defect(await one.post("note", {"title": harm}))
        assert "failed in plugin 'harmful': step harmful:check raised " in caplog.text
    assert await works(one)
    assert await works(two)


async def test_what_breaks_after_the_commit_changes_nothing(start_kernel, caplog):
    heard = []

    async def before_write(self, write):
        async def callback():
            let_loose(write.record["title"])

        write.run.after_commit.append(callback)

    async def after_commit(self, write):
        let_loose(write.record["title"])

    async def told(self, write):
        heard.append(write.record["title"])

    told.__name__ = "after_commit"
    plugins = [plugin("harmful", before_write, after_commit), plugin("later", told, after=("harmful",))]
    _, one, two = await two_apps(start_kernel, *plugins)
    for harm in HARMS:
        caplog.clear()
        assert (await one.post("note", {"title": harm})).status == 201
        assert "step harmful:after_commit failed after the commit" in caplog.text
        assert "a callback after the commit failed" in caplog.text
    assert (await one.get("note")).meta["total"] == len(HARMS)
    assert heard == HARMS
    assert await works(two)


@pytest.mark.parametrize("hook", ["authenticate", "on_request", "on_response"])
async def test_a_participant_of_requests_that_breaks_fails_its_request_alone(hook, start_kernel, caplog):
    async def participant(self, request):
        let_loose(request.headers.get("x-harm"))
        if hook == "authenticate":
            return Actor(id="1", email=None, roles=frozenset({"admin", "platform_admin"}), platform=True)
        return None

    participant.__name__ = hook
    _, one, two = await two_apps(start_kernel, plugin("harmful", participant))
    for harm in (*HARMS, "defect"):
        for path in ("note", "_admin/entities"):
            caplog.clear()
            assert_defect(await one.get(path, headers={"x-harm": harm}))
            assert "failed in plugin 'harmful'" in caplog.text
            assert HERE in caplog.text
    assert await works(one)
    assert await works(two)


async def test_those_after_a_broken_on_response_hear_of_the_error(start_kernel):
    async def breaking(self, request, response):
        response.headers["X-First"] = "1"
        let_loose("exception")

    async def refusing(self, request, response):
        raise Forbidden("not for you")

    seen = []

    async def on_response(self, request, response):
        seen.append(response.status)
        response.headers["X-Last"] = "1"

    breaking.__name__ = refusing.__name__ = "on_response"
    last = plugin("last", on_response, after=("breaking", "refusing"))
    running = await start_kernel([plugin("breaking", breaking), last])
    answer = await running.client.get("/health")
    assert_defect(answer)
    assert (answer.headers["X-Last"], "X-First" in answer.headers) == ("1", False)
    running = await start_kernel([plugin("refusing", refusing), last])
    assert_error(await running.client.get("/health"), 403, "FORBIDDEN", "not for you")
    assert seen == [500, 403]


async def test_code_of_plugins_that_is_no_hook_is_named_too(start_kernel, caplog):
    class Policy:
        def grant(self, actor):
            for harm in actor.roles:
                let_loose(harm)
            return ReadGrant()

    def compile_read_policy(self, entity):
        return Policy()

    async def handler(request):
        let_loose(request.headers["x-role"])
        return data(None)

    def register_routes(self):
        return [Route(method="GET", path="/api/:app/_break", access=AccessClass.PUBLIC, handler=handler)]

    async def authenticate(self, request):
        role = request.headers.get("x-role", "platform_admin")
        return Actor(id="1", email=None, roles=frozenset({"admin", role}), platform=True)

    _, one, two = await two_apps(start_kernel, plugin("harmful", compile_read_policy, register_routes, authenticate))
    for harm in HARMS:
        caplog.clear()
        assert_defect(await one.get("_break", headers={"x-role": harm}))
        assert_defect(await one.get("note", headers={"x-role": harm}))
        lines = [record.message for record in caplog.records if " failed in " in record.message]
        assert len(lines) == 2
        assert all("failed in plugin 'harmful' (" in line and HERE in line for line in lines)
    assert await works(one)
    assert await works(two)


async def test_an_app_that_a_plugin_cannot_open_is_not_there_and_the_others_are(start_kernel, caplog):
    sick = {"one"}

    async def on_app_opened(self, app):
        if app.name in sick:
            let_loose("exit")

    running = await start_kernel([plugin("doctor", on_app_opened)])
    one, two = [await running.client.app(name) for name in ("one", "two")]
    await two.define(NOTE)
    assert_error(await one.get("note"), 404, "APP_NOT_FOUND", "App not found: one")
    assert "app one cannot be loaded" in caplog.text
    assert "plugin 'doctor', hook on_app_opened: raised SystemExit" in caplog.text
    assert await works(two)
    sick.clear()
    await one.define(NOTE)
    assert await works(one)


async def test_a_notice_that_hangs_is_given_up(start_kernel, monkeypatch, caplog):
    async def on_app_opened(self, app):
        if app.name == "one":
            await asyncio.sleep(3600)

    async def on_app_closing(self, app):
        await asyncio.sleep(3600)

    async def on_stopping(self, kernel):
        await asyncio.sleep(3600)

    told = []

    async def closing(self, app):
        told.append(app.name)

    async def stopping(self):
        told.append("stop")

    closing.__name__, stopping.__name__ = "on_app_closing", "on_stopping"
    monkeypatch.setattr(machinery, "NOTICE_LIMITS_S", dict.fromkeys(machinery.NOTICE_LIMITS_S, 0.05))
    first = plugin("first", on_app_opened, on_app_closing, on_stopping)
    running = await start_kernel([first, plugin("second", closing, stopping)])
    one, two = [await running.client.app(name) for name in ("one", "two")]
    await two.define(NOTE)
    assert_error(await one.get("note"), 404, "APP_NOT_FOUND")
    assert "plugin 'first', hook on_app_opened: took longer than 0.05 s" in caplog.text
    assert await works(two)
    await running.stop()
    assert told == ["stop", "two"]
    assert "plugin 'first' failed in on_stopping" in caplog.text
    assert "plugin 'first' failed in on_app_closing" in caplog.text


async def test_every_plugin_hears_of_a_deleted_app_though_another_fails(start_kernel):
    failing, told = [True], []

    async def on_app_deleted(self, name):
        if failing:
            raise ValueError(SECRET)

    async def hears(self, name):
        told.append(name)

    hears.__name__ = "on_app_deleted"
    running, _, two = await two_apps(start_kernel, plugin("failing", on_app_deleted), plugin("hearing", hears))
    assert_defect(await running.client.delete("/api/_platform/apps/one"))
    assert told == ["one"]
    assert await works(two)
    failing.clear()
    assert (await running.client.delete("/api/_platform/apps/one")).status == 200
    assert told == ["one", "one"]


async def test_a_step_that_hangs_is_cut_off_and_others_go_on(start_kernel, caplog):
    hanging = asyncio.Event()

    async def before_write(self, write):
        if write.record["title"] == "hang":
            hanging.set()
            await asyncio.sleep(3600)

    running, one, two = await two_apps(start_kernel, plugin("hanging", before_write))
    running.kernel.watch.stop()  # the test looks itself
    times = running.kernel.parts.plugins.times
    request = asyncio.create_task(one.post("note", {"title": "hang"}))
    await hanging.wait()
    assert await works(two)
    assert (await one.get("note")).status == 200
    assert times.cut_off() == 0
    times.of("hanging:before_write").limit_s = 0.001
    assert times.cut_off() == 1
    assert_defect(await request)
    assert "step hanging:before_write of a plugin is cut off after 0 s" in caplog.text
    assert "plugin 'hanging': step hanging:before_write raised TimeoutError" in caplog.text
    assert HERE in caplog.text
    assert (await one.get("note")).meta["total"] == 0
    assert await works(one)
    tally = times.tallies()["hanging:before_write"]
    assert (tally.count, tally.failures) == (3, 1)


async def test_of_steps_within_steps_the_innermost_is_cut_off(start_kernel, caplog):
    hanging = asyncio.Event()

    async def outer(self, write):
        if write.record["title"] == "outer":
            await write.run.create("note", {"title": "inner"})

    async def inner(self, write):
        if write.record["title"] == "inner":
            hanging.set()
            await asyncio.sleep(3600)

    outer.__name__, inner.__name__ = "after_write", "before_write"
    running, one, _ = await two_apps(start_kernel, plugin("outer", outer), plugin("inner", inner))
    running.kernel.watch.stop()  # the test looks itself
    times = running.kernel.parts.plugins.times
    request = asyncio.create_task(one.post("note", {"title": "outer"}))
    await hanging.wait()
    for name in ("outer:after_write", "inner:before_write"):
        times.of(name).limit_s = 1e-6
    assert times.cut_off() == 1
    assert_defect(await request)
    assert "step inner:before_write of a plugin is cut off" in caplog.text
    assert "step outer:after_write of a plugin is cut off" not in caplog.text
    assert not asyncio.current_task().cancelling()


async def test_a_client_that_goes_away_is_no_failure_of_a_plugin(start_kernel):
    hanging = asyncio.Event()

    async def before_write(self, write):
        hanging.set()
        await asyncio.sleep(3600)

    running, one, _ = await two_apps(start_kernel, plugin("slow", before_write))
    request = asyncio.create_task(one.post("note", {"title": "x"}))
    await hanging.wait()
    request.cancel()
    with suppress(asyncio.CancelledError):
        await request
    assert running.kernel.parts.plugins.times.tallies()["slow:before_write"].failures == 0


async def test_a_slow_step_is_told_of_once_in_a_while(start_kernel, monkeypatch, caplog):
    monkeypatch.setattr(step_times, "SLOW_S", 0.01)

    async def before_write(self, write):
        await asyncio.sleep(0.02)

    _, one, _ = await two_apps(start_kernel, plugin("slow", before_write))
    for _ in range(3):
        assert await works(one)
    assert caplog.text.count("step slow:before_write of a plugin took 0.0 s") == 1


async def test_whoever_blocks_the_loop_is_named(start_kernel, caplog):
    async def before_write(self, write):
        time.sleep(0.6)  # noqa: ASYNC251

    running, one, _ = await two_apps(start_kernel, plugin("blocking", before_write))
    watch = running.kernel.watch
    watch.stop()
    watch.look_s = watch.still_s = 0.1
    watch.start()
    await asyncio.sleep(0.15)
    assert await works(one)
    await asyncio.sleep(0.15)
    lines = [record.message for record in caplog.records if record.name == "rocket_kernel.watch"]
    assert len(lines) == 2
    assert lines[0].startswith("plugin 'blocking' (")
    assert lines[0].endswith("keeps the event loop from turning: nobody is answered meanwhile")
    assert HERE in lines[0]
    assert "has kept the event loop from turning for 0." in lines[1]


async def test_a_loop_that_merely_waits_is_not_told_of(start_kernel, caplog):
    async def before_write(self, write):
        await asyncio.sleep(0.3)

    running, one, _ = await two_apps(start_kernel, plugin("waiting", before_write))
    watch = running.kernel.watch
    watch.stop()
    watch.look_s, watch.still_s = 0.02, 0.25
    watch.start()
    assert await works(one)
    assert [record.message for record in caplog.records if record.name == "rocket_kernel.watch"] == []


@pytest.mark.parametrize("hook", ["on_platform_opened", "on_started"])
async def test_an_error_of_requests_stops_the_start_with_the_plugins_name(hook, start_kernel):
    async def notice(self):
        raise ValidationFailed("of nobody's request")

    notice.__name__ = hook
    with pytest.raises(PluginError) as refused:
        await start_kernel([plugin("early", notice)])
    assert str(refused.value).startswith(f"plugin 'early', hook {hook}: raised ValidationFailed: of nobody's request (")
    assert HERE in str(refused.value)


async def test_metadata_that_a_plugin_cannot_compile_stays_as_it_was(start_kernel, caplog):
    def compile_write_steps(self, entity):
        if entity.name == "bad":
            let_loose("exit")
        return []

    _, one, two = await two_apps(start_kernel, plugin("compiler", compile_write_steps))
    assert_defect(await one.post("_admin/entities", entity("bad", title="string")))
    assert "plugin 'compiler', hook compile_write_steps: raised SystemExit" in caplog.text
    assert [row["name"] for row in (await one.get("_admin/entities")).data] == ["note"]
    assert await works(one)
    assert await works(two)


async def test_a_background_write_says_what_failed(start_kernel):
    from rocket_kernel import SYSTEM, WriteOrder

    async def before_write(self, write):
        let_loose("exit")

    running, _, _ = await two_apps(start_kernel, plugin("harmful", before_write))
    app = await running.kernel.apps.app("one")
    call = Call(SYSTEM, "2026-01-01T00:00:00.000Z", "11111111-1111-4111-8111-111111111111")
    with pytest.raises(PluginError, match="plugin 'harmful', hook before_write: raised SystemExit"):
        await app.perform_write(WriteOrder("create", "note", {"title": "x"}), call)


async def test_logs_do_not_hold_the_text_of_a_participants_error_twice(start_kernel, caplog):
    """The first line is what is searched and forwarded; the text could hold values."""
    caplog.set_level(logging.ERROR)

    async def before_write(self, write):
        let_loose("exception")

    _, one, _ = await two_apps(start_kernel, plugin("harmful", before_write))
    assert_defect(await one.post("note", {"title": "harm"}))
    assert [record.message for record in caplog.records if SECRET in record.message] == []
