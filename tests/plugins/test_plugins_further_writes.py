"""Writes of plugins: inside the transaction of another write, and in a transaction of their own."""

from datetime import UTC, datetime

import pytest

from rocket_kernel import (
    SYSTEM,
    Actor,
    Call,
    Cause,
    Column,
    ColumnType,
    Conflict,
    NotFound,
    Plugin,
    RocketError,
    Stage,
    Step,
    Storage,
    Table,
    TableRows,
    ValidationFailed,
    WriteOrder,
    hookimpl,
    timestamp_text,
)
from rocket_kernel.testing import Actors, assert_error, entity, one_to_many

CLERK = Actor(id="00000000-0000-4000-8000-0000000000c1", email="clerk@example.com", roles=frozenset({"clerk"}))
TRACE = "11111111-1111-4111-8111-111111111111"
NOTES = Table("_notes", (Column("text", ColumnType(Storage.TEXT), nullable=False),), ("text",))
ORDER = entity("order", name="string!", state="string default=new", at="timestamp auto=update")
ENTRY = entity(
    "entry", name="string! unique", by="string", state="string default=open", written="timestamp auto=create"
)
PAGE = entity(
    "page",
    {"primary_key": {"field": "id", "type": "string"}, "slug": {"field": "slug", "source": "name"}},
    id="string",
    name="string",
    slug="string unique",
)
ALL = frozenset({"create", "update", "delete"})


def plugin(name, *hooks, **members):
    return type("Made", (Plugin,), {"name": name, **{hook.__name__: hookimpl(hook) for hook in hooks}, **members})


def acting(stage, act, *, on="order", name="acts", actions=frozenset({"create", "update"})):
    """Calls `act(write)` in a stage of one entity's writes."""

    def compile_write_steps(self, entity):
        return [Step(Stage(stage), f"{name}:act", act, actions)] if entity.name == on else []

    return plugin(name, compile_write_steps)


def watching(seen, stage="after_webhooks", on=None, name="watches"):
    def compile_write_steps(self, entity):
        async def note(write):
            seen.append((write.action, write.entity.name, write.actor, write.run.cause))

        return [Step(Stage(stage), f"{name}:note", note, ALL)] if on in (None, entity.name) else []

    return plugin(name, compile_write_steps)


def register_tables(self):
    return [NOTES]


@pytest.fixture
def start(start_kernel):
    async def start(*plugins, **config):
        running = await start_kernel([*plugins, plugin("tables", register_tables), Actors], config=config)
        client = await running.client.app("shop")
        await client.define(ORDER, ENTRY, PAGE)
        return client

    return start


async def app_of(client):
    return await client.kernel.apps.app("shop")


def call(actor=SYSTEM, cause=None):
    return Call(actor, timestamp_text(datetime(2026, 5, 4, tzinfo=UTC)), TRACE, cause)


async def totals(client, *names):
    return [(await client.get(name)).meta["total"] for name in names or ("order", "entry")]


@pytest.mark.parametrize("stage", ["rules", "state_machine", "before_write", "after_rules", "after_write", "outbox"])
async def test_a_further_write_passes_the_whole_pipeline_and_commits_with_the_request(start, stage):
    seen, made = [], []

    async def act(write):
        assert write.run.in_transaction
        made.append(await write.run.create("entry", {"name": f"of {write.record['name']}"}))

    client = await start(acting(stage, act), watching(seen, "authorize"))
    clerk = client.as_actor(CLERK)
    order = await clerk.create("order", {"name": "o"})
    (entry,) = (await client.get("entry")).data
    assert (entry["name"], entry["state"], entry["written"]) == ("of o", "open", order["at"])
    assert made[0].record == entry
    assert made[0].key == entry["id"]
    assert seen == [("create", "order", CLERK, None), ("create", "entry", SYSTEM, Cause("action", 1))]
    # The name of an entry is unique, so the second one refuses the whole request.
    assert (await clerk.post("order", {"name": "o"})).status == 409
    assert await totals(client) == [1, 1]


async def test_what_a_request_writes_beside_itself_vanishes_with_it(start):
    committed = []

    async def act(write):
        await write.run.create("entry", {"name": write.record["name"]})
        write.run.after_commit.append(_noting(committed, "outer"))

    async def inner(write):
        write.run.after_commit.append(_noting(committed, "inner"))

    async def veto(write):
        if write.record["name"] == "no":
            raise Conflict("vetoed")

    seen = []
    client = await start(
        acting("before_write", act),
        acting("after_write", inner, on="entry", name="inner"),
        acting("outbox", veto, name="veto"),
        watching(seen),
    )
    assert_error(await client.post("order", {"name": "no"}), 409, "CONFLICT", "vetoed")
    assert (await totals(client), committed, seen) == ([0, 0], [], [])
    await client.create("order", {"name": "yes"})
    assert await totals(client) == [1, 1]
    assert committed == ["inner", "outer"]
    assert [(action, name) for action, name, _, _ in seen] == [("create", "order"), ("create", "entry")]


def _noting(notes, text):
    async def note():
        notes.append(text)

    return note


async def test_a_further_write_that_fails_is_undone_alone_and_may_be_caught(start):
    caught, committed = [], []

    async def act(write):
        for body in ({"name": "a"}, {"name": "a"}, {"name": ""}, {"name": "b", "nonsense": 1}, {"name": "c"}):
            try:
                await write.run.create("entry", body)
            except RocketError as error:
                caught.append((error.status, [detail.message for detail in error.details]))

    async def inner(write):
        write.run.outbox.append({"name": write.record["name"]})
        write.run.after_commit.append(_noting(committed, write.record["name"]))

    client = await start(acting("before_write", act), acting("rules", inner, on="entry", name="inner"))
    explained = (await client.post("order?explain=true", {"name": "o"})).data
    assert explained["outbox"] == [{"name": "a"}, {"name": "c"}]
    caught.clear()
    await client.create("order", {"name": "o"})
    assert caught == [
        (409, ["name already exists"]),
        (422, ["name is required"]),
        (422, ["Unknown field or relation: nonsense"]),
    ]
    assert await totals(client) == [1, 2]
    assert committed == ["a", "c"]


async def test_a_further_write_that_fails_refuses_the_request(start):
    async def act(write):
        await write.run.create("entry", {})

    client = await start(acting("before_write", act))
    missing = {"field": "name", "rule": "required", "message": "name is required"}
    assert_error(await client.post("order", {"name": "o"}), 422, "VALIDATION_FAILED", "Validation failed", [missing])
    assert await totals(client) == [0, 0]


async def test_update_and_delete_name_a_record_by_its_key_and_never_by_a_slug(start):
    async def act(write):
        what, key = write.record["name"].split(" ")
        if what == "rename":
            await write.run.update("page", key, {"name": "renamed"})
        else:
            await write.run.delete("page", key)

    client = await start(acting("after_write", act))
    await client.create("page", {"id": "first", "name": "second"})
    await client.create("page", {"id": "second", "name": "first"})
    await client.create("order", {"name": "rename first"})
    # Over HTTP `first` is the slug of the other page.
    assert {row["id"]: row["name"] for row in (await client.get("page")).data} == {
        "first": "renamed",
        "second": "first",
    }
    await client.create("order", {"name": "delete second"})
    assert [row["id"] for row in (await client.get("page")).data] == ["first"]
    for order in ("rename second", "delete second", "delete nothing"):
        missing = await client.post("order", {"name": order})
        assert_error(missing, 404, "NOT_FOUND", f"page with id {order.split(' ')[1]} not found")
    assert await totals(client, "order", "page") == [2, 1]


async def test_the_answer_shows_what_a_further_write_has_changed(start):
    async def act(write):
        if write.run.cause is None:
            await write.run.update("order", write.key, {"state": "set beside"})

    client = await start(acting("after_write", act))
    made = await client.create("order", {"name": "o"})
    assert made["state"] == "set beside"
    assert (await client.get(f"order/{made['id']}")).data == made


async def test_the_answer_shows_a_further_write_also_where_the_request_changes_nothing(start):
    async def act(write):
        if write.run.cause is None and write.action == "update":
            await write.run.update("entry", write.key, {"state": "set beside"})

    client = await start(acting("before_write", act, on="entry"))
    made = await client.create("entry", {"name": "e"})
    assert (await client.put(f"entry/{made['id']}", {})).require(200).data["state"] == "set beside"


async def test_a_chain_of_further_writes_ends_at_ten(start):
    depths = []

    async def act(write):
        depths.append(0 if write.run.cause is None else write.run.cause.depth)
        if len(depths) <= int(write.record["state"]):
            await write.run.create("order", {"name": "again", "state": write.record["state"]})

    client = await start(acting("after_write", act))
    await client.create("order", {"name": "o", "state": "10"})
    assert depths == list(range(11))
    depths.clear()
    refused = await client.post("order", {"name": "o", "state": "11"})
    limit = {"rule": "limit", "message": "Chain of writes too deep (max 10)"}
    assert_error(refused, 422, "VALIDATION_FAILED", "Validation failed", [limit])
    assert await totals(client, "order") == [11]


async def test_records_of_further_writes_count_for_the_limit_of_a_request(start):
    async def act(write):
        for number in range(int(write.record["state"])):
            await write.run.create("entry", {"name": str(number)})

    client = await start(acting("after_write", act), **{"limits.nested_records": 5})
    refused = await client.post("order", {"name": "o", "state": "5"})
    limit = {"rule": "limit", "message": "Too many records in one request (max 5)"}
    assert_error(refused, 422, "VALIDATION_FAILED", "Validation failed", [limit])
    await client.create("order", {"name": "o", "state": "4"})
    assert await totals(client) == [1, 4]


async def test_explain_shows_further_writes_and_leaves_nothing(start):
    async def act(write):
        await write.run.create("entry", {"name": "of " + write.record["name"]})

    async def inner(write):
        await TableRows(NOTES).insert(write.run.session, {"text": "note"})
        write.run.outbox.append({"to": "somewhere"})
        write.run.workflows.append({"name": "approval"})

    seen = []
    client = await start(acting("after_write", act), acting("outbox", inner, on="entry", name="inner"), watching(seen))
    explained = (await client.post("order?explain=true", {"name": "o"})).require(200).data
    assert (explained["would"], explained["outbox"], explained["workflows"]) == (
        "create",
        [{"to": "somewhere"}],
        [{"name": "approval"}],
    )
    details = {step["name"]: step["detail"] for step in explained["steps"] if step["stage"] == "outbox"}
    assert details == {"inner:act": "create entry"}
    assert [step["detail"] for step in explained["steps"] if step["name"] == "watches:note"].count(None) == 0
    assert any("INSERT" in statement["sql"] and "entry" in statement["sql"] for statement in explained["statements"])
    assert (await totals(client), seen) == ([0, 0], [])
    app = await app_of(client)
    async with app.reading() as (session, _registry):
        assert await TableRows(NOTES).count(session) == 0
    clerk = (await client.as_actor(CLERK).post("order?explain=true", {"name": "o"})).data
    assert (clerk["outbox"], clerk["workflows"], clerk["statements"]) == ([], [], [])


def judged(asked, on="entry"):
    """The outside world judges writes of an entity."""

    def compile_write_steps(self, entity):
        async def ask(write):
            asked.append(write.record["name"])

        return [Step(Stage.BEFORE_WEBHOOKS, "judge:ask", ask, ALL)] if entity.name == on else []

    return plugin("judge", compile_write_steps)


async def test_what_the_outside_world_judges_cannot_be_written_inside_another_write(start):
    asked = []

    async def act(write):
        await write.run.create("entry", {"name": write.record["name"]})

    client = await start(acting("state_machine", act), judged(asked))
    refused = await client.post("order", {"name": "o"})
    message = "entry cannot be written inside another write: before_webhooks judge it first"
    assert_error(refused, 422, "VALIDATION_FAILED", message, [])
    assert (await totals(client), asked) == ([0, 0], [])
    await client.create("entry", {"name": "alone"})
    assert asked == ["alone"]


async def test_a_step_that_is_run_twice_writes_in_the_transaction_only(start, caplog):
    asked, rounds = [], []

    async def act(write):
        rounds.append(write.run.in_transaction)
        if write.run.in_transaction or write.record["name"] == "hasty":
            await write.run.create("entry", {"name": write.record["name"]})

    client = await start(acting("state_machine", act), judged(asked, on="order"))
    await client.create("order", {"name": "o"})
    assert (rounds, asked, await totals(client)) == ([False, True], ["o"], [1, 1])
    assert_error(await client.post("order", {"name": "hasty"}), 500, "INTERNAL_ERROR", "Internal server error", [])
    assert "plugin 'acts': step acts:act raised RuntimeError" in caplog.text
    assert await totals(client) == [1, 1]


async def test_a_write_of_ones_own_commits_with_what_comes_along(start):
    seen, stored = [], []
    client = await start(watching(seen))
    app = await app_of(client)

    async def also(run, write):
        stored.append((write.entity.name, write.record["name"], run.cause))
        await TableRows(NOTES).insert(run.session, {"text": write.record["name"]})
        await run.create("entry", {"name": f"beside {write.record['name']}"})

    cause = Cause("workflow", 3, strict=True)
    written = await app.perform_write(WriteOrder("create", "order", {"name": "o"}), call(cause=cause), also)
    assert (written.record["name"], stored) == ("o", [("order", "o", cause)])
    assert [entry[3] for entry in seen] == [cause, Cause("action", 4)]
    assert await totals(client) == [1, 1]

    async def fail(run, write):
        await also(run, write)
        raise Conflict("no checkpoint")

    with pytest.raises(Conflict, match="no checkpoint"):
        await app.perform_write(WriteOrder("create", "order", {"name": "p"}), call(), fail)
    with pytest.raises(NotFound):
        await app.perform_write(WriteOrder("update", "order", {}, "nothing", by_key=True), call(), also)
    with pytest.raises(ValidationFailed) as deep:
        await app.perform_write(WriteOrder("create", "order", {"name": "p"}), call(cause=Cause("workflow", 11)))
    assert [detail.rule for detail in deep.value.details] == ["limit"]
    assert await totals(client) == [1, 1]
    async with app.reading() as (session, _registry):
        assert await TableRows(NOTES).select(session) == [{"text": "o"}]


async def test_a_write_of_ones_own_asks_the_outside_world_before_its_transaction(start):
    asked, also_ran = [], []
    client = await start(judged(asked, on="order"), app_pool_size=1)
    app = await app_of(client)

    async def also(run, write):
        also_ran.append((list(asked), run.in_transaction))

    await app.perform_write(WriteOrder("create", "order", {"name": "o"}), call(), also)
    assert also_ran == [(["o"], True)]


async def test_nested_records_of_a_further_write_are_written_too(start):
    async def act(write):
        await write.run.create("box", {"name": "b", "parts": [{"name": "p1"}, {"name": "p2"}]})

    client = await start(acting("after_write", act))
    await client.define(entity("box", name="string"), entity("part", name="string!", box_id="uuid"))
    await client.relate(one_to_many("parts", "box", "part"))
    await client.create("order", {"name": "o"})
    (box,) = (await client.get("box?include=parts")).data
    assert [part["name"] for part in sorted(box["parts"], key=lambda part: part["name"])] == ["p1", "p2"]
