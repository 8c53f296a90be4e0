"""`?explain=true` on writes: contract §5.11."""

import asyncio
import logging
from typing import ClassVar

import pytest

from rocket_kernel import Actor, Plugin, hookimpl
from rocket_kernel.errors import Conflict, Forbidden, NotFound, RocketError, Unavailable
from rocket_kernel.query.access import OPEN, ReadGrant
from rocket_kernel.query.filters import Compare
from rocket_kernel.store.columns import Column, ColumnType, Storage, Table
from rocket_kernel.store.table_rows import TableRows
from rocket_kernel.testing import Actors, assert_error, entity, many_to_many, one_to_many
from rocket_kernel.write.stages import ACTIONS, STAGES, Stage, Step

MEMBERS = ["would", "record", "changes", "steps", "errors", "statements", "outbox", "workflows"]
CLERK = Actor(id="00000000-0000-4000-8000-00000000000c", email=None, roles=frozenset({"clerk"}))
UNKNOWN_ID = "12345678-90ab-4cde-8f01-234567890abc"
SECRET = "a value nobody may see"

BOOK = entity(
    "book", title="string! unique", pages="int", price="decimal:2", pin="string sensitive", at="timestamp auto=update"
)
SHELF = entity("shelf", name="string")


async def define_shop(client):
    await client.define(BOOK, SHELF, entity("review", book_id="uuid", stars="int!"), entity("tag", label="string"))
    await client.relate(
        one_to_many("reviews", "book", "review", on_delete="cascade"),
        many_to_many("tags", "book", "tag"),
    )


@pytest.fixture
async def shop(client):
    await define_shop(client)
    return client


async def explained(client, method, path, json=None, **options):
    body = {} if json is None else {"json": json}
    answer = (await client.request(method, f"{path}?explain=true", **body, **options)).require(200)
    assert list(answer.json) == ["data"]
    assert list(answer.data) == MEMBERS
    assert "ETag" not in answer.headers
    assert_shape(answer.data)
    return answer.data


def assert_shape(data):
    assert data["would"] in ("create", "update", "delete", "reject")
    assert (data["would"] == "reject") is bool(data["errors"])
    for step in data["steps"]:
        assert list(step) == ["stage", "plugin", "name", "outcome", "ms", "detail"]
        assert step["outcome"] in ("ok", "skipped", "rejected", "error")
        assert step["name"].startswith(step["plugin"] + ":")
        assert isinstance(step["ms"], float)
        assert step["ms"] >= 0
        assert step["detail"] is None or isinstance(step["detail"], str)
    stages = [list(STAGES).index(Stage(step["stage"])) for step in data["steps"]]
    assert stages == sorted(stages)
    for statement in data["statements"]:
        assert list(statement) == ["sql", "params_count", "ms"]
    for change in data["changes"].values():
        assert list(change) == ["old", "new"]
    for error in data["errors"]:
        assert set(error) - {"field", "rule"} == {"code", "status", "message"}


def outcomes(data, plugin=None):
    return {step["name"]: step["outcome"] for step in data["steps"] if plugin in (None, step["plugin"])}


def error(status, code, message, **more):
    return {"code": code, "status": status, "message": message, **more}


async def contents(client):
    """Everything the app holds."""
    names = [item["name"] for item in (await client.get("_admin/entities")).data]
    return {name: (await client.get(f"{name}?sort=id&per_page=200")).json for name in names}


# -- What would happen --


async def test_a_create(shop):
    before = await contents(shop)
    data = await explained(shop, "POST", "book", {"title": "Emma", "price": "9.5"})
    assert data["would"] == "create"
    assert data["record"] == {
        "id": data["record"]["id"],
        "title": "Emma",
        "pages": None,
        "price": "9.50",
        "pin": "***",
        "at": "2026-01-02T03:04:05.678Z",
    }
    assert data["changes"] == {
        name: {"old": None, "new": data["record"][name]} for name in ("id", "title", "price", "at")
    }
    assert data["errors"] == data["outbox"] == data["workflows"] == []
    assert outcomes(data) == {
        "kernel:classify": "ok",
        "kernel:convert": "ok",
        "kernel:lock": "ok",
        "kernel:write": "ok",
        "kernel:nested": "skipped",
        "kernel:commit": "skipped",
        "kernel:respond": "ok",
    }
    assert await contents(shop) == before
    assert (await shop.get(f"book/{data['record']['id']}")).status == 404
    (await shop.post("book", {"title": "Emma"})).require(201)


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_an_update(shop, clock, method):
    made = await shop.create("book", {"title": "Emma", "pages": 3, "price": "1.50"})
    before = await contents(shop)
    clock.advance(seconds=1)
    data = await explained(shop, method, f"book/{made['id']}", {"title": "New", "pages": 3, "price": 1.5})
    assert data["would"] == "update"
    assert data["record"] == {**made, "title": "New", "pin": "***", "at": "2026-01-02T03:04:06.678Z"}
    assert data["changes"] == {
        "title": {"old": "Emma", "new": "New"},
        "at": {"old": "2026-01-02T03:04:05.678Z", "new": "2026-01-02T03:04:06.678Z"},
    }
    assert outcomes(data)["kernel:load"] == "ok"
    assert await contents(shop) == before


async def test_a_delete(shop):
    made = await shop.create("book", {"title": "Emma", "reviews": [{"stars": 1}], "tags": [{"label": "x"}]})
    before = await contents(shop)
    data = await explained(shop, "DELETE", f"book/{made['id']}")
    assert (data["would"], data["record"], data["changes"]) == ("delete", None, {})
    assert outcomes(data) == {
        "kernel:load": "ok",
        "kernel:lock": "ok",
        "kernel:on_delete": "ok",
        "kernel:write": "ok",
        "kernel:commit": "skipped",
        "kernel:respond": "ok",
    }
    assert any(statement["sql"].startswith("DELETE FROM") for statement in data["statements"])
    assert await contents(shop) == before
    assert [tag["label"] for tag in (await shop.get(f"book/{made['id']}?include=tags")).data["tags"]] == ["x"]


async def test_nested_records(shop):
    made = await shop.create("book", {"title": "Emma", "reviews": [{"stars": 1}, {"stars": 2}]})
    reviews = (await shop.get(f"book/{made['id']}?include=reviews")).data["reviews"]
    before = await contents(shop)
    body = {"reviews": [{"id": reviews[0]["id"], "_delete": True}, {"stars": 5}], "tags": [{"label": "new"}]}
    data = await explained(shop, "PUT", f"book/{made['id']}", body)
    assert data["would"] == "update"
    assert outcomes(data)["kernel:nested"] == "ok"
    verbs = {statement["sql"].split()[0] for statement in data["statements"]}
    assert {"SELECT", "INSERT", "DELETE"} <= verbs
    assert await contents(shop) == before


async def test_soft_deletion_and_slugs(client):
    await client.define(
        entity(
            "post",
            {"soft_delete": True, "slug": {"field": "slug", "source": "title"}},
            title="string",
            slug="string unique",
        )
    )
    data = await explained(client, "POST", "post", {"title": "One Two"})
    assert data["record"]["slug"] == "one-two"
    assert data["record"]["deleted_at"] is None
    assert outcomes(data)["kernel:slug"] == "ok"
    (await client.post("post", {"title": "One Two"})).require(201)
    assert (await explained(client, "POST", "post", {"title": "One Two"}))["record"]["slug"] == "one-two-2"
    assert (await explained(client, "DELETE", "post/one-two"))["would"] == "delete"
    assert (await client.get("post/one-two")).status == 200


async def test_numbers_of_the_database(client, database):
    await client.define(entity("line", id="int", sku="string"))
    for _ in range(2):
        data = await explained(client, "POST", "line", {"sku": "x"})
        assert isinstance(data["record"]["id"], int)
    made = (await client.post("line", {"sku": "x"})).require(201)
    if database.driver == "sqlite":
        assert made.data["id"] == 1  # a sequence would have gone on


async def test_statements_hold_no_values(shop):
    data = await explained(shop, "POST", "book", {"title": SECRET, "pin": SECRET, "tags": [{"label": SECRET}]})
    inserts = [statement for statement in data["statements"] if statement["sql"].startswith("INSERT INTO")]
    assert [statement["params_count"] for statement in inserts][:1] == [6]
    assert len(inserts) == 3
    assert SECRET not in str(data["statements"])
    assert all(isinstance(statement["ms"], float) for statement in data["statements"])


async def test_sensitive_fields_are_masked(shop):
    data = await explained(shop, "POST", "book", {"title": "Emma", "pin": SECRET})
    assert data["record"]["pin"] == "***"
    assert data["changes"]["pin"] == {"old": "***", "new": "***"}
    made = await shop.create("book", {"title": "Emma", "pin": "1234"})
    data = await explained(shop, "PUT", f"book/{made['id']}", {"pin": SECRET})
    assert data["changes"]["pin"] == {"old": "***", "new": "***"}
    assert SECRET not in str(data)
    assert "1234" not in str(data["changes"])


# -- Refusals --


async def test_findings(shop):
    before = await contents(shop)
    body = {"pages": "many", "price": "x", "reviews": [{"stars": 1}, {}]}
    real = await shop.post("book", body)
    data = await explained(shop, "POST", "book", body)
    assert (data["would"], data["record"], data["changes"]) == ("reject", None, {})
    assert [list(item) for item in data["errors"]] == [["code", "status", "message", "field", "rule"]] * 4
    assert [{k: item[k] for k in ("field", "rule", "message")} for item in data["errors"]] == real.error["details"]
    assert {(item["code"], item["status"]) for item in data["errors"]} == {("VALIDATION_FAILED", 422)}
    assert outcomes(data) == {
        "kernel:classify": "ok",
        "kernel:convert": "rejected",
        "kernel:lock": "ok",
        "kernel:write": "skipped",
        "kernel:nested": "skipped",
        "kernel:commit": "skipped",
        "kernel:respond": "skipped",
    }
    assert await contents(shop) == before


async def test_unknown_keys(shop):
    data = await explained(shop, "POST", "book", {"nonsense": 1})
    message = "Unknown field or relation: nonsense"
    assert data["errors"] == [error(422, "VALIDATION_FAILED", message, field="nonsense", rule="unknown")]
    assert outcomes(data)["kernel:classify"] == "rejected"
    assert outcomes(data)["kernel:convert"] == "skipped"


async def test_faulty_items(shop):
    data = await explained(shop, "POST", "book", {"title": "x", "reviews": ["no object", {"id": UNKNOWN_ID}]})
    assert [item["field"] for item in data["errors"]] == ["reviews[0]", "reviews[1].id"]
    assert outcomes(data)["kernel:classify"] == "rejected"
    assert outcomes(data)["kernel:convert"] == "skipped"


async def test_conflicts_of_unique_values(shop):
    await shop.create("book", {"title": "Emma"})
    data = await explained(shop, "POST", "book", {"title": "Emma"})
    assert data["errors"] == [error(409, "CONFLICT", "title already exists", field="title", rule="unique")]
    (step,) = [step for step in data["steps"] if step["outcome"] == "rejected"]
    assert (step["name"], step["detail"]) == ("kernel:write", "A record with this value already exists")
    (await shop.post("book", {"title": "Other"})).require(201)


async def test_a_restricted_delete(client):
    await client.define(entity("author", name="string"), entity("book", author_id="uuid"))
    await client.relate(one_to_many("books", "author", "book", on_delete="restrict"))
    author = await client.create("author", {"books": [{}, {}]})
    data = await explained(client, "DELETE", f"author/{author['id']}")
    assert data["errors"] == [error(409, "CONFLICT", "Cannot delete: 2 related book records exist")]
    assert outcomes(data)["kernel:restrict"] == "rejected"
    assert outcomes(data)["kernel:write"] == "skipped"


async def test_statuses_that_stay_as_they_are(start_kernel):
    shop = await (await start_kernel([Actors], config={"server.max_body_bytes": 2000})).client.app("shop")
    await define_shop(shop)
    made = await shop.create("book", {"title": "Emma"})
    json = {"Content-Type": "application/json"}
    query = "?explain=true"
    assert_error(await shop.post(f"book{query}", content=b"{", headers=json), 400, "INVALID_PAYLOAD")
    assert_error(await shop.post(f"book{query}", {"title": "x" * 2000}), 413, "PAYLOAD_TOO_LARGE")
    assert_error(await shop.post(f"nothing{query}", {}), 404, "UNKNOWN_ENTITY")
    assert_error(await shop.put(f"book/{UNKNOWN_ID}{query}", {}), 404, "NOT_FOUND")
    assert_error(await shop.delete(f"book/nonsense{query}"), 404, "NOT_FOUND")
    assert_error(await shop.request("PUT", f"book{query}"), 405, "METHOD_NOT_ALLOWED")
    assert_error(await shop.post(f"/api/other/book{query}", {}), 404, "APP_NOT_FOUND")
    path = f"book/{made['id']}{query}"
    stale = {"If-Match": '"stale"'}
    assert_error(await shop.put(path, {"no": 1}, headers=stale), 412, "PRECONDITION_FAILED")
    assert_error(await shop.delete(path, headers=stale), 412, "PRECONDITION_FAILED")
    tag = (await shop.get(f"book/{made['id']}")).headers["ETag"]
    assert (await shop.put(path, {}, headers={"If-Match": tag})).data["would"] == "update"
    anonymous = (await start_kernel([Actors], settings={"actors": {"default": None}})).client.in_app("shop")
    assert_error(await anonymous.post(f"book{query}", {}), 401, "UNAUTHORIZED")


@pytest.mark.parametrize("value", ["1", "TRUE", "yes", "", "maybe"])
async def test_a_value_that_is_not_plain_writes_nothing(shop, value):
    answer = await shop.post(f"book?explain={value}", {"title": "Emma"})
    assert_error(answer, 400, "INVALID_PAYLOAD", f"Invalid value for explain: {value}")
    assert (await shop.get("book")).meta["total"] == 0


async def test_it_is_for_writes_of_records_only(shop):
    made = (await shop.post("book?explain=false&x=1", {"title": "Emma"})).require(201)
    assert (await shop.get(f"book/{made.data['id']}?explain=true")).data == made.data
    assert (await shop.get("book?explain=maybe")).meta["total"] == 1
    (await shop.post("_admin/entities?explain=true", entity("other", x="int"))).require(201)


# -- Steps of plugins --

OUTBOX = Table(
    name="_test_outbox", columns=(Column("name", ColumnType(Storage.TEXT), nullable=False),), primary_key=("name",)
)


class Chatty(Plugin):
    """A step in every stage open to plugins, participants, an outbox, a callback after the commit."""

    name = "chatty"
    ran: ClassVar[list[str]] = []
    raises: ClassVar[dict[Stage, Exception]] = {}
    fails: ClassVar[dict[Stage, str]] = {}

    @hookimpl
    def register_tables(self):
        return [OUTBOX]

    @hookimpl
    def compile_write_steps(self, entity, model):
        if entity.name not in ("book", "review"):
            return []
        closed = {Stage.CLASSIFY, Stage.LOCK, Stage.WRITE, Stage.NESTED, Stage.COMMIT, Stage.RESPOND}
        open_stages = [stage for stage in STAGES if stage not in closed]
        return [Step(stage, f"chatty:{stage}", self._step(stage), frozenset(ACTIONS)) for stage in open_stages]

    def _step(self, stage):
        async def run(write):
            Chatty.ran.append(str(stage))
            if stage in Chatty.fails and (write.parent or not write.groups):
                write.fail(Chatty.fails[stage], field="pages", rule="odd")
            if stage is Stage.OUTBOX:
                await TableRows(OUTBOX).try_insert(write.run.session, {"name": write.entity.name})
                write.run.outbox.append({"call": write.entity.name, "action": write.action})
                write.run.workflows.append({"workflow": "welcome"})
                write.run.after_commit.append(self._called)
            if stage in Chatty.raises and not write.parent:
                raise Chatty.raises[stage]

        return run

    async def _called(self):
        Chatty.ran.append("callback")

    @hookimpl
    async def after_commit(self, write):
        Chatty.ran.append("after_commit")


@pytest.fixture
async def chatty(start_kernel):
    Chatty.ran, Chatty.raises, Chatty.fails = [], {}, {}
    client = await (await start_kernel([Actors, Chatty])).client.app("shop")
    await define_shop(client)
    return client


async def outbox_rows(client):
    app = await client.kernel.apps.app("shop")
    async with app.reading() as (session, _registry):
        return await TableRows(OUTBOX).count(session)


async def test_steps_are_listed_and_effects_are_not_kept(chatty):
    data = await explained(chatty, "POST", "book", {"title": "Emma"})
    before = ["authorize", "convert", "rules", "state_machine", "before_write", "policy", "slug", "files"]
    assert Chatty.ran == [*before, "after_rules", "after_write", "outbox"]
    shown = outcomes(data, "chatty")
    assert {name for name, outcome in shown.items() if outcome == "skipped"} == {
        "chatty:load",  # nothing is loaded for a create
        "chatty:before_webhooks",
        "chatty:after_webhooks",
        "chatty:after_commit",
    }
    assert set(shown.values()) == {"ok", "skipped"}
    details = {step["name"]: step["detail"] for step in data["steps"]}
    assert details["chatty:before_webhooks"] == "not asked by explain"
    assert details["kernel:commit"] == details["chatty:after_commit"] == "rolled back by explain"
    assert data["outbox"] == [{"call": "book", "action": "create"}]
    assert data["workflows"] == [{"workflow": "welcome"}]
    assert any(OUTBOX.name in statement["sql"] for statement in data["statements"])
    assert await outbox_rows(chatty) == 0
    Chatty.ran.clear()
    await chatty.create("book", {"title": "Emma"})
    assert {"before_webhooks", "after_webhooks", "after_commit", "callback"} <= set(Chatty.ran)
    assert await outbox_rows(chatty) == 1


async def test_each_nested_record_has_its_steps(chatty):
    data = await explained(chatty, "POST", "book", {"title": "Emma", "reviews": [{"stars": 1}, {"stars": 2}]})
    rules = [step for step in data["steps"] if step["name"] == "chatty:rules"]
    assert [step["detail"] for step in rules] == ["reviews[0]", "reviews[1]", None]  # items before their parent
    asked = [step for step in data["steps"] if step["name"] == "chatty:before_webhooks"]
    assert [step["outcome"] for step in asked] == ["skipped"] * 3
    assert asked[1]["detail"] == "reviews[0]: not asked by explain"
    assert len(data["outbox"]) == 3


async def test_findings_of_steps(chatty):
    Chatty.fails = {Stage.RULES: "pages must be odd"}
    data = await explained(chatty, "POST", "book", {"title": "Emma", "reviews": [{"stars": 1}]})
    assert data["errors"] == [
        error(422, "VALIDATION_FAILED", "pages must be odd", field="reviews[0].pages", rule="odd"),
    ]
    rules = [(step["outcome"], step["detail"]) for step in data["steps"] if step["name"] == "chatty:rules"]
    assert rules == [("rejected", "reviews[0]: pages must be odd"), ("ok", None)]
    after = outcomes(data)
    assert after["chatty:state_machine"] == after["kernel:write"] == after["chatty:outbox"] == "skipped"
    assert (data["outbox"], data["workflows"]) == ([], [])


class Teapot(RocketError):
    code = "TEAPOT"
    status = 418
    default_message = "short and stout"


@pytest.mark.parametrize("stage", [Stage.AUTHORIZE, Stage.BEFORE_WRITE, Stage.AFTER_WRITE, Stage.OUTBOX])
@pytest.mark.parametrize(
    ("raised", "item"),
    [
        (Forbidden("not you"), error(403, "FORBIDDEN", "not you")),
        (Conflict("not now"), error(409, "CONFLICT", "not now")),
        (Teapot(), error(418, "TEAPOT", "short and stout")),
    ],
)
async def test_refusals_of_steps(chatty, stage, raised, item):
    Chatty.raises = {stage: raised}
    before = await contents(chatty)
    data = await explained(chatty, "POST", "book", {"title": "Emma"})
    assert data["would"] == "reject"
    assert data["errors"] == [item]
    (step,) = [step for step in data["steps"] if step["outcome"] == "rejected"]
    assert (step["name"], step["detail"]) == (f"chatty:{stage}", item["message"])
    assert (data["outbox"], data["workflows"]) == ([], [])
    assert await contents(chatty) == before
    assert await outbox_rows(chatty) == 0


async def test_other_errors_of_steps(chatty, caplog):
    Chatty.raises = {Stage.RULES: ZeroDivisionError(SECRET)}
    with caplog.at_level(logging.ERROR):
        data = await explained(chatty, "POST", "book", {"title": "Emma"})
    assert data["errors"] == [error(500, "INTERNAL_ERROR", "Internal server error")]
    (step,) = [step for step in data["steps"] if step["outcome"] == "error"]
    assert (step["name"], step["detail"]) == ("chatty:rules", "ZeroDivisionError")
    assert SECRET not in str(data)
    assert SECRET in caplog.text
    Chatty.raises = {Stage.RULES: NotFound("gone")}
    assert_error(await chatty.post("book?explain=true", {"title": "x"}), 404, "NOT_FOUND", "gone")
    Chatty.raises = {Stage.RULES: Unavailable()}
    assert_error(await chatty.post("book?explain=true", {"title": "x"}), 503, "UNAVAILABLE")


# -- Callers without `admin` --


class _Policy:
    def __init__(self, entity):
        self.entity = entity

    def grant(self, actor):
        if actor.is_admin or self.entity.name != "book":
            return OPEN
        if Guarded.closed:
            raise Forbidden("No permission for read on book")
        condition = Compare(self.entity.fields["pages"], "lt", 100) if Guarded.thin_only else None
        return ReadGrant(condition=condition, visible=lambda record: frozenset(record) - Guarded.hidden)


class Guarded(Plugin):
    name = "guarded"
    closed: ClassVar[bool] = False
    thin_only: ClassVar[bool] = False
    hidden: ClassVar[frozenset] = frozenset()

    @hookimpl
    def compile_read_policy(self, entity, model):
        return _Policy(entity)

    @hookimpl
    async def after_write(self, write):
        write.run.outbox.append({"secret": SECRET})
        write.run.workflows.append({"secret": SECRET})


@pytest.fixture
async def clerk(start_kernel):
    Guarded.closed, Guarded.thin_only, Guarded.hidden = False, False, frozenset()
    client = await (await start_kernel([Actors, Guarded])).client.app("shop")
    await define_shop(client)
    return client.as_actor(CLERK)


async def test_internals_are_for_administrators(clerk):
    data = await explained(clerk, "POST", "book", {"title": "Emma"})
    assert data["would"] == "create"
    assert data["record"]["title"] == "Emma"
    assert data["statements"] == data["outbox"] == data["workflows"] == []
    assert [step["detail"] for step in data["steps"]] == [None] * len(data["steps"])
    refused = await explained(clerk, "POST", "book", {"nonsense": 1})
    assert [step["detail"] for step in refused["steps"]] == [None] * len(refused["steps"])
    assert SECRET not in str(data)


async def test_hidden_fields_do_not_show(clerk):
    admin = clerk.with_headers({"X-Test-Actor": ";admin"})
    made = await admin.create("book", {"title": "Emma", "pages": 77, "price": "12.34"})
    Guarded.hidden = frozenset({"price", "at"})
    data = await explained(clerk, "PUT", f"book/{made['id']}", {"title": "New", "price": "43.21"})
    assert set(data["record"]) == {"id", "title", "pages", "pin"}
    assert data["changes"] == {"title": {"old": "Emma", "new": "New"}}
    assert "12.34" not in str(data)
    created = await explained(clerk, "POST", "book", {"title": "Other", "price": "43.21"})
    assert set(created["changes"]) == {"id", "title"}
    real = await clerk.put(f"book/{made['id']}", {"title": "New", "price": "43.21"})
    assert real.data == {**data["record"], "pin": None}


async def test_rows_hidden_from_the_caller_show_nothing_of_what_was(clerk):
    admin = clerk.with_headers({"X-Test-Actor": ";admin"})
    made = await admin.create("book", {"title": "Emma", "pages": 777, "price": "12.34"})
    path = f"book/{made['id']}"
    Guarded.closed = True
    for body in ({"title": "New"}, {"title": "New", "pages": 3}):
        data = await explained(clerk, "PUT", path, body)
        assert (data["would"], data["record"], data["changes"]) == ("update", {"id": made["id"]}, {})
        assert "777" not in str(data)
        assert "12.34" not in str(data)
    Guarded.closed, Guarded.thin_only = False, True
    hidden = await clerk.put(f"{path}?explain=true", {"title": "New"})
    assert_error(hidden, 404, "NOT_FOUND", f"book with id {made['id']} not found", [])
    for closed in (True, False):
        Guarded.closed = closed
        created = await explained(clerk, "POST", "book", {"title": "Fat", "pages": 101})
        assert list(created["record"]) == ["id"]
        assert created["changes"] == {"id": {"old": None, "new": created["record"]["id"]}}
    assert (await admin.get(path)).data == made


# -- Beside other writers --


async def test_it_undoes_nothing_of_others(shop, start_kernel):
    other = (await start_kernel()).client.in_app("shop")
    made = await shop.create("book", {"title": "Emma", "pages": 0})

    async def one(client, number):
        if number % 2:
            return (await client.post("book", {"title": f"Book {number}"})).require(201)
        answer = await client.put(f"book/{made['id']}?explain=true", {"pages": number})
        return answer.require(200)

    answers = await asyncio.gather(*(one((shop, other)[number // 2 % 2], number) for number in range(64)))
    assert [answer.data["would"] for answer in answers if answer.status == 200] == ["update"] * 32
    assert (await shop.get("book")).meta["total"] == 33
    assert (await shop.get(f"book/{made['id']}")).data == made
