"""Participants and notices, as a running kernel calls them."""

import inspect
import logging

import pytest

from rocket_kernel import (
    Column,
    ColumnType,
    Conflict,
    Forbidden,
    Plugin,
    Response,
    Storage,
    Table,
    TableRows,
    Unauthorized,
    hookimpl,
)
from rocket_kernel.errors import PluginError
from rocket_kernel.testing import ADMIN, assert_error, entity, one_to_many

SECRET = "the text of a defect"
ORDER = entity("order", name="string!", state="string enum=new|done", total="decimal:2")
LINE = entity("line", name="string", order_id="uuid", qty="int")
LINES = one_to_many("lines", "order", "line", on_delete="cascade")


def plugin(name, *hooks, **members):
    """A plugin class with these functions as its hooks."""
    return type("Made", (Plugin,), {"name": name, **{hook.__name__: hookimpl(hook) for hook in hooks}, **members})


@pytest.fixture
def start(start_kernel):
    """A client of an app with orders and lines, on a kernel with these plugins."""

    async def start(*plugins, define=True):
        running = await start_kernel(list(plugins))
        client = await running.client.app("shop")
        if define:
            await client.define(ORDER, LINE)
            await client.relate(LINES)
        return client

    return start


async def totals(client, *names):
    return [(await client.get(name)).meta["total"] for name in names or ("order", "line")]


async def test_before_write_changes_and_refuses(start):
    seen = []

    async def before_write(self, write):
        seen.append((write.action, write.record.get("name"), write.record.get("total"), sorted(write.supplied)))
        match write.record.get("name"):
            case "assign":
                write.assign("total", "1.005")
                write.assign("state", None)
            case "bad":
                write.assign("total", "much")
                write.assign("state", "lost")
                write.fail("all of it", rule="expression")
                write.fail("and this", field="name", rule="computed")
            case "forbid":
                raise Forbidden("not you")

    client = await start(plugin("judge", before_write))
    made = await client.create("order", {"name": "assign", "state": "new"})
    assert (made["total"], made["state"]) == ("1.01", None)
    # On update it sees the stored row with the payload over it.
    changed = (await client.put(f"order/{made['id']}", {"name": "plain", "state": "done"})).require(200).data
    assert changed == {**made, "name": "plain", "state": "done"}
    assert seen == [("create", "assign", None, ["name", "state"]), ("update", "plain", "1.01", ["name", "state"])]
    details = [
        {"field": "total", "rule": "type", "message": "total must be a valid decimal"},
        {"field": "state", "rule": "enum", "message": "state must be one of: new, done"},
        {"rule": "expression", "message": "all of it"},
        {"field": "name", "rule": "computed", "message": "and this"},
    ]
    assert_error(await client.post("order", {"name": "bad"}), 422, "VALIDATION_FAILED", "Validation failed", details)
    forbidden = await client.put(f"order/{made['id']}", {"name": "x", "lines": [{"name": "forbid"}]})
    assert_error(forbidden, 403, "FORBIDDEN", "not you", [])
    assert await totals(client) == [1, 0]
    assert (await client.get(f"order/{made['id']}")).data == changed


async def test_the_changes_of_a_write(start):
    seen = []

    async def before_write(self, write):
        seen.append(write.changes)

    async def before_delete(self, write):
        seen.append(write.changes)

    client = await start(plugin("changes", before_write, before_delete))
    made = await client.create("order", {"name": "o", "total": 1})
    key = {"id": {"new": made["id"]}}
    assert seen == [{**key, "name": {"new": "o"}, "total": {"new": "1.00"}}]
    (await client.put(f"order/{made['id']}", {"name": "p", "state": None, "total": "1.0"})).require(200)
    assert seen[1:] == [{"name": {"old": "o", "new": "p"}}]
    (await client.delete(f"order/{made['id']}")).require(200)
    assert seen[2:] == [{}]


async def test_findings_of_nested_records_bear_their_path(start):
    async def before_write(self, write):
        write.fail(f"no {write.record['name']}", field="name", rule="expression")
        write.fail("none", rule="expression")

    client = await start(plugin("judge", before_write))
    answer = await client.post("order", {"lines": [{"name": "a"}], "name": "o"})
    details = [
        {"field": "name", "rule": "expression", "message": "no o"},
        {"rule": "expression", "message": "none"},
        {"field": "lines[0].name", "rule": "expression", "message": "no a"},
        {"field": "lines[0]", "rule": "expression", "message": "none"},
    ]
    assert_error(answer, 422, "VALIDATION_FAILED", "Validation failed", details)
    assert await totals(client) == [0, 0]


NOTES = Table("_notes", (Column("name", ColumnType(Storage.TEXT), nullable=False),), ("name",))


async def noted(client):
    app = await client.kernel.apps.app("shop")
    async with app.reading() as (session, _registry):
        return sorted(row["name"] for row in await TableRows(NOTES).select(session))


def notebook(committed, *, veto=()):
    """Writes each event into a table of its own, and vetoes those it is told to."""

    async def note(write, event):
        shown = f"{event} {(write.old if write.action == 'delete' else write.record)['name']}"
        await TableRows(NOTES).insert(write.run.session, {"name": shown})
        if shown in veto:
            raise Conflict("vetoed")
        if f"broken {shown}" in veto:
            raise ValueError(SECRET)

    def register_tables(self):
        return [NOTES]

    async def after_write(self, write):
        assert write.key is not None
        await note(write, "written" if write.action == "create" else "changed")

    async def before_delete(self, write):
        await note(write, "going")

    async def after_delete(self, write):
        await note(write, "gone")

    async def after_commit(self, write):
        committed.append(f"{write.action} {(write.old if write.action == 'delete' else write.record)['name']}")

    return plugin("notebook", register_tables, after_write, before_delete, after_delete, after_commit)


async def test_what_a_plugin_writes_commits_with_the_records(start):
    committed = []
    client = await start(notebook(committed))
    made = await client.create("order", {"name": "o", "lines": [{"name": "a"}, {"name": "b"}]})
    assert await noted(client) == ["written a", "written b", "written o"]
    assert committed == ["create o", "create a", "create b"]
    (await client.delete(f"order/{made['id']}")).require(200)
    assert [name for name in await noted(client) if name.startswith("go")] == [
        "going a", "going b", "going o", "gone a", "gone b", "gone o"
    ]  # fmt: skip
    assert sorted(committed[3:]) == ["delete a", "delete b", "delete o"]


@pytest.mark.parametrize("veto", ["written b", "broken written b"])
async def test_a_veto_after_the_write_undoes_everything(start, veto):
    committed = []
    client = await start(notebook(committed, veto=[veto]))
    answer = await client.post("order", {"name": "o", "lines": [{"name": "a"}, {"name": "b"}]})
    expected = (500, "INTERNAL_ERROR", "Internal server error") if "broken" in veto else (409, "CONFLICT", "vetoed")
    assert_error(answer, *expected, [])
    assert (await totals(client), await noted(client), committed) == ([0, 0], [], [])


@pytest.mark.parametrize("veto", ["going b", "gone b", "broken going b", "broken gone b"])
async def test_a_veto_of_one_deletion_stops_the_cascade(start, veto):
    committed = []
    client = await start(notebook(committed, veto=[veto]))
    made = await client.create("order", {"name": "o", "lines": [{"name": "a"}, {"name": "b"}]})
    before = (await noted(client), list(committed))
    ids = {row["name"]: row["id"] for row in (await client.get("line")).data}
    replaced = {"lines": {"_write_mode": "replace", "data": [{"name": "c"}]}}
    for answer in (
        await client.delete(f"order/{made['id']}"),
        await client.put(f"order/{made['id']}", replaced),
        await client.delete(f"line/{ids['b']}"),
    ):
        expected = (500, "INTERNAL_ERROR", "Internal server error") if "broken" in veto else (409, "CONFLICT", "vetoed")
        assert_error(answer, *expected, [])
        assert (await totals(client), (await noted(client), committed)) == ([1, 2], before)


async def test_after_the_commit_nothing_fails_the_request(start, caplog):
    found = []

    async def after_commit(self, write):
        # Another request sees the record already.
        found.append((await client.get(f"order/{write.key}")).data["name"])
        raise ValueError(SECRET)

    async def after_write(self, write):
        async def callback():
            found.append("callback")
            raise Conflict

        write.run.after_commit.append(callback)

    client = await start(plugin("late", after_commit, after_write))
    await client.create("order", {"name": "a"})
    assert found == ["callback", "a"]
    assert "late:after_commit failed after the commit" in caplog.text
    assert_error(await client.post("order", {"name": ""}), 422, "VALIDATION_FAILED")
    assert found == ["callback", "a"]
    assert await totals(client, "order") == [1]


@pytest.mark.parametrize("hook", ["before_write", "after_write", "on_request", "on_response", "before_delete"])
async def test_a_defect_of_a_plugin_is_a_500_that_tells_nothing(start, caplog, hook):
    armed = []

    async def defect(self):
        if armed:
            raise ValueError(SECRET)

    defect.__name__ = hook
    client = await start(plugin("broken", defect))
    made = await client.create("order", {"name": "a"})
    armed.append(True)
    answer = await (
        client.delete(f"order/{made['id']}") if hook == "before_delete" else client.post("order", {"name": "x"})
    )
    assert_error(answer, 500, "INTERNAL_ERROR", "Internal server error", [])
    assert SECRET not in answer.text
    assert "plugin 'broken'" in caplog.text
    assert hook in caplog.text
    armed.clear()
    assert await totals(client, "order") == [2 if hook == "on_response" else 1]


async def test_on_request_answers_instead(start):
    seen = []

    def gate(name, **members):
        async def on_request(self, request):
            seen.append(name)
            if request.headers.get("x-stop") == name:
                return Response(418, b"tea", {"Content-Type": "text/plain"})
            if request.headers.get("x-refuse") == name:
                raise Unauthorized("not now")
            return None

        return plugin(name, on_request, **members)

    client = await start(gate("a", after=("b",)), gate("b"))
    seen.clear()
    stopped = await client.post("order", {"name": "x"}, headers={"X-Stop": "b"})
    assert (stopped.status, stopped.text, seen) == (418, "tea", ["b"])
    assert stopped.headers["X-Trace-ID"]
    refused = await client.post("order", {"name": "x"}, headers={"X-Refuse": "a"})
    assert_error(refused, 401, "UNAUTHORIZED", "not now", [])
    assert seen == ["b", "b", "a"]
    for path, status in (("/nonsense/at/all", 404), ("/api/absent/order", 404)):
        assert (await client.get(path)).status == status
    assert (await client.post("order", content=b"{")).status == 400
    assert (await client.delete("order")).status == 405
    assert len(seen) == 3
    assert await totals(client, "order") == [0]


async def test_on_response_sees_every_answer_of_a_route(start):
    async def on_response(self, request, response):
        response.headers["X-Seen"] = f"{request.method} {response.status}"
        if request.headers.get("x-refuse"):
            raise Forbidden("not shown")

    client = await start(plugin("stamp", on_response))
    for answer in (await client.get("order"), await client.post("order", {}), await client.get("/health")):
        assert answer.headers["X-Seen"] == f"{answer.method} {answer.status}"
    assert "X-Seen" not in (await client.get("/nonsense/at/all")).headers
    assert_error(await client.get("order", headers={"X-Refuse": "1"}), 403, "FORBIDDEN", "not shown", [])


def announcer(seen, failing=()):
    async def tell(event):
        seen.append(event)
        if event in failing:
            raise ValueError(SECRET)

    def register_tables(self):
        return [NOTES]

    async def on_started(self, kernel):
        await tell("started")

    async def on_stopping(self, kernel):
        await tell("stopping")

    async def on_app_created(self, app, tx):
        await TableRows(NOTES).insert(tx, {"name": f"seed of {app.name}"})
        await tell("created")

    async def on_app_opened(self, app):
        await tell("opened")

    async def on_app_closing(self, app):
        await tell("closing")

    return plugin("teller", register_tables, on_started, on_stopping, on_app_created, on_app_opened, on_app_closing)


async def test_notices(start_kernel):
    seen = []
    running = await start_kernel([announcer(seen)])
    client = await running.client.app("shop")
    assert seen == ["started", "created"]
    assert await noted(client) == ["seed of shop"]
    await client.get("_admin/entities")
    assert seen == ["started", "created", "opened"]
    await running.stop()
    assert seen == ["started", "created", "opened", "stopping", "closing"]


async def test_notices_that_fail(start_kernel, caplog):
    caplog.set_level(logging.CRITICAL)
    with pytest.raises(PluginError, match="plugin 'teller', hook on_started"):
        await start_kernel([announcer([], ["started"])])
    running = await start_kernel([announcer([], ["created"])])
    answer = await running.client.post("/api/_platform/apps", {"name": "shop"})
    assert_error(answer, 500, "INTERNAL_ERROR", "Internal server error", [])
    assert (await running.client.get("/api/_platform/apps")).data == []
    failing = await start_kernel([announcer([], ["opened", "closing", "stopping"])])
    client = await failing.client.app("shop")
    assert_error(await client.get("_admin/entities"), 404, "APP_NOT_FOUND", "App not found: shop", [])
    await failing.stop()


async def test_signatures_are_looked_at_when_the_kernel_is_made_and_never_again(start_kernel, monkeypatch):
    """Looking costs more than most implementations; parameters arrive in whatever order they are asked for."""
    seen = []

    class Curious(Plugin):
        name = "curious"

        @hookimpl
        async def authenticate(self):
            return ADMIN

        @hookimpl
        async def on_request(self):
            seen.append("on_request")

        @hookimpl
        async def on_response(self, response, request):
            seen.append(("on_response", request.method, response.status))

        @hookimpl
        async def before_write(self, write):
            seen.append(("before_write", write.action))

        @hookimpl
        async def after_commit(self):
            seen.append("after_commit")

    class Backwards(Plugin):
        name = "later"

        @hookimpl
        async def on_response(self, response):
            seen.append(("later", response.status))

    client = await (await start_kernel([Curious, Backwards])).client.app("shop")
    await client.define(entity("thing", n="int"))
    seen.clear()

    def refuse(*_arguments, **_options):
        raise AssertionError("a signature was looked at in a request")

    monkeypatch.setattr(inspect, "signature", refuse)
    (await client.post("thing", {"n": 1})).require(201)
    write = ["on_request", ("before_write", "create"), "after_commit"]
    assert seen == [*write, ("on_response", "POST", 201), ("later", 201)]
