"""Business events, and actions that reach outside the database: what one plugin brings and another one names."""

import pytest

from rocket_kernel import (
    ActionStart,
    ActionType,
    Cause,
    Column,
    ColumnType,
    Conflict,
    Event,
    Plugin,
    Stage,
    Step,
    Storage,
    Table,
    TableRows,
    Then,
    ValidationFailed,
    emit_event,
    hookimpl,
    require_action,
)
from rocket_kernel.errors import PluginError
from rocket_kernel.testing import assert_error, entity

HEARD = Table("_heard", (Column("action", ColumnType(Storage.TEXT), nullable=False),), ("action",))
ORDER = entity("order", name="string!")


def plugin(name, *hooks, **members):
    return type("Made", (Plugin,), {"name": name, **{hook.__name__: hookimpl(hook) for hook in hooks}, **members})


def acting(act, name="acts"):
    def compile_write_steps(self, entity):
        return [Step(Stage.OUTBOX, f"{name}:act", act)]

    return plugin(name, compile_write_steps)


def listening(seen, name="listens"):
    """Stores the name of each event in the transaction that sends it."""

    def register_tables(self):
        return [HEARD]

    async def on_event(self, event, session, registry, call, run):
        seen.append((name, event, call.cause, run))
        await TableRows(HEARD).insert(session, {"action": event.action})
        if run is not None:
            run.workflows.append({"event": event.action})

    return plugin(name, register_tables, on_event)


@pytest.fixture
def start(start_kernel):
    async def start(*plugins):
        client = await (await start_kernel(list(plugins))).client.app("shop")
        await client.define(ORDER)
        return client

    return start


async def heard(client):
    app = await client.kernel.apps.app("shop")
    async with app.reading() as (session, _registry):
        return [row["action"] for row in await TableRows(HEARD).select(session, order_by=("action",))]


async def test_an_event_is_heard_inside_the_transaction_by_every_listener_in_order(start):
    seen = []

    async def act(write):
        run = write.run
        event = Event(write.record["name"], write.entity.name, str(write.key), {"n": 1})
        await emit_event(event, run.session, run.registry, run.call, run)
        if write.record["name"] == "vetoed":
            raise Conflict("no")

    async def on_event(self, event):
        seen.append(("later", event))

    client = await start(acting(act), listening(seen), plugin("later", on_event, after=("listens",)))
    made = await client.create("order", {"name": "paid"})
    (name, event, cause, run), later = seen
    assert (name, event.action, event.entity, event.record_id, event.payload) == (
        "listens",
        "paid",
        "order",
        made["id"],
        {"n": 1},
    )
    assert (event.source, event.component, len(event.id), cause) == ("app", "engine", 36, None)
    assert later == ("later", event)
    assert run.workflows == [{"event": "paid"}]
    assert await heard(client) == ["paid"]
    assert_error(await client.post("order", {"name": "vetoed"}), 409, "CONFLICT", "no")
    explained = (await client.post("order?explain=true", {"name": "explained"})).data
    assert explained["workflows"] == [{"event": "explained"}]
    assert await heard(client) == ["paid"]


async def test_a_listener_that_raises_undoes_the_transaction(start, caplog):
    async def act(write):
        await emit_event(Event("x"), write.run.session, write.run.registry, write.run.call)

    async def on_event(self, event):
        raise ValueError("a secret")

    client = await start(listening([], "first"), acting(act), plugin("last", on_event, after=("first",)))
    assert_error(await client.post("order", {"name": "o"}), 500, "INTERNAL_ERROR", "Internal server error", [])
    assert "plugin 'last', hook on_event: raised ValueError" in caplog.text
    assert ((await client.get("order")).meta["total"], await heard(client)) == (0, [])


async def test_an_event_without_listeners_is_heard_by_nobody(start):
    async def act(write):
        await emit_event(Event("x"), write.run.session, write.run.registry, write.run.call)

    client = await start(acting(act))
    await client.create("order", {"name": "o"})


def check_letter(definition, model):
    if "to" not in definition:
        raise ValidationFailed("to is required")


def posting(started, name="letter"):
    async def post(action: ActionStart):
        started.append(action)
        action.run.outbox.append({"to": action.definition["to"]})

    def register_actions(self):
        return [ActionType(name, check_letter, post)]

    return plugin("post", register_actions)


async def test_an_action_is_started_inside_the_transaction_of_whoever_names_it(start):
    started = []

    async def act(write):
        run = write.run
        action = require_action("letter", run.registry.model)
        action.check({"type": "letter", "to": "x"}, run.registry.model)
        await action.start(
            ActionStart(
                definition={"type": "letter", "to": "x"},
                body={"name": write.record["name"]},
                entity=write.entity.name,
                record_id=str(write.key),
                hook="test",
                session=run.session,
                registry=run.registry,
                call=run.call,
                then=Then("acts:next", {"n": 1}),
                run=run,
            )
        )

    client = await start(posting(started), acting(act))
    made = await client.create("order", {"name": "o"})
    (action,) = started
    assert (action.body, action.record_id, action.hook, action.idempotency_key) == (
        {"name": "o"},
        made["id"],
        "test",
        None,
    )
    assert action.then.ended(ok=False, error="HTTP 500", attempts=3) == {
        "n": 1,
        "outcome": {"ok": False, "error": "HTTP 500", "attempts": 3},
    }
    explained = (await client.post("order?explain=true", {"name": "p"})).data
    assert explained["outbox"] == [{"to": "x"}]


async def test_an_action_that_nobody_brings_is_refused_with_the_name_of_the_absent_plugin(start):
    client = await start(posting([]))
    model = (await client.kernel.apps.app("shop")).registry.model
    assert require_action("letter", model).name == "letter"
    for name, message in (
        ("webhook", "plugin 'webhooks' is not enabled"),
        ("fax", "unknown action type: fax"),
        ("set_field", "unknown action type: set_field"),
        (None, "action type is required"),
        (["letter"], "action type is required"),
        ({}, "action type is required"),
    ):
        with pytest.raises(ValidationFailed) as refused:
            require_action(name, model)
        assert refused.value.message == message
    with pytest.raises(ValidationFailed, match="to is required"):
        require_action("letter", model).check({}, model)
    # What definitions may name stays when metadata changes.
    await client.define(entity("more", name="string"))
    assert "letter" in (await client.kernel.apps.app("shop")).registry.model.actions


@pytest.mark.parametrize("name", ["letter", "set_field", "create_record", "send_event"])
async def test_an_action_type_that_is_taken_stops_the_start(start_kernel, name):
    def register_actions(self):
        return [ActionType("letter", check_letter, None)]

    with pytest.raises(PluginError, match=f"plugin 'post', hook register_actions: action type '{name}' is taken"):
        await start_kernel([posting([], name), plugin("early", register_actions)])


async def test_a_cause_is_handed_down_with_the_call(start):
    causes = []

    async def act(write):
        causes.append(write.run.call.cause)
        if write.run.cause is None:
            await write.run.create("order", {"name": "b"}, cause=Cause("workflow", 4, strict=True))

    client = await start(acting(act))
    await client.create("order", {"name": "a"})
    assert causes == [None, Cause("workflow", 4, strict=True)]
