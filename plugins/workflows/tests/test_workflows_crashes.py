"""A process may die at any instant: before, within or after each transaction of a worker. Contract §9.5."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from rocket_kernel import timestamp_text
from rocket_kernel.errors import ConnectionLost
from rocket_workflows.claims import Leases, LostClaim
from rocket_workflows.schedule import start_one
from rocket_workflows.worker import MOST_ATTEMPTS

LEASE_S = 31
"""Longer than any lease is held."""
MANUAL = {"type": "manual", "entity": "invoice"}
CONTEXT = {"id": "record_id", "number": "record.number"}


class Killed(BaseException):
    """The process is gone: nothing that would catch an error may run."""


@dataclass(slots=True)
class DyingStore:
    """A store whose transaction number `number` is the last thing its process does."""

    store: object
    number: int
    when: str
    begun: int = 0

    def __getattr__(self, name):
        return getattr(self.store, name)

    @asynccontextmanager
    async def write(self):
        self.begun += 1
        dies = self.begun == self.number
        if dies and self.when == "before":
            raise Killed
        async with self.store.write() as tx:
            yield tx
            if dies and self.when == "within":
                raise Killed
        if dies:
            raise Killed


def act(id, *actions, then="end"):
    return {"id": id, "type": "action", "actions": list(actions), "then": then}


def log(text):
    return {"type": "create_record", "entity": "log", "data": {"text": text}}


NOTE = {"type": "update_record", "entity": "invoice", "record_id": "context.id", "data": {"note": "noted"}}
STATUS = {"type": "set_field", "entity": "invoice", "record_id": "context.id", "field": "status", "value": "paid"}
GONE = {"type": "delete_record", "entity": "invoice", "record_id": "context.id"}
STEPS = [
    act("first", log("a"), NOTE, STATUS, then="check"),
    {"id": "check", "type": "condition", "expression": "context.number == '1'", "on_true": "rest", "on_false": "end"},
    {"id": "rest", "type": "wait", "duration": "1h", "then": "ask"},
    {"id": "ask", "type": "approval", "timeout": "2h", "on_timeout": "tell"},
    act(
        "tell", {"type": "send_event", "event": "told"}, {"type": "webhook", "url": "https://x"}, log("b"), then="last"
    ),
    act("last", GONE, log("c")),
]


async def prepare(flow):
    await flow.define("w", MANUAL, STEPS, CONTEXT)
    await flow.define("hearer", {"type": "event", "event": "told"}, [act("hear", log("heard"))])
    invoice = await flow.client.create("invoice", {"number": "1"})
    return (await flow.start("w", record_id=invoice["id"]))["id"]


async def finish(flow):
    """Until nothing happens any more, however much time has to pass for that."""
    for _ in range(4):
        await flow.settle()
        await flow.deliver()
        await flow.settle()
        flow.clock.advance(hours=2, seconds=LEASE_S)
    await flow.settle()


async def outcome(flow, id):
    instance = await flow.instance(id)
    history = [(note["step"], note["status"]) for note in instance["history"]]
    logs = sorted(row["text"] for row in (await flow.client.get("log?per_page=200")).data)
    heard = [it["status"] for it in await flow.instances(workflow="hearer")]
    keys = [row["status"] for row in await flow.sent()]
    return instance["status"], instance["error"], history, logs, heard, keys


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.torture)])
@pytest.mark.parametrize(("when", "first"), [("before", 1), ("within", 2), ("after", 3)])
async def test_an_instance_whose_process_dies_ends_as_its_undisturbed_twin(flow, when, first, every):
    twin = await prepare(flow)
    app = await flow.app()
    app.store = counter = DyingStore(app.store, 0, when)
    await finish(flow)
    transactions, expected = counter.begun, await outcome(flow, twin)
    assert expected == (
        "completed",
        None,
        [("first", "completed"), ("check", "on_true"), ("rest", "completed"), ("ask", "timed_out"),
         ("tell", "completed"), ("last", "completed")],
        ["a", "b", "c", "heard"],
        ["completed"],
        ["delivered"],
    )  # fmt: skip
    assert transactions > 20
    for number in range(min(first, every), transactions + 1, every):
        await reset(flow)
        id = await prepare(flow)
        app.store = DyingStore(counter.store, number, when)
        try:
            await finish(flow)
        except Killed:
            flow.clock.advance(seconds=LEASE_S)
            app.store = counter.store
            await finish(flow)
        assert await outcome(flow, id) == expected, f"killed {when} transaction {number}"


async def reset(flow):
    app = await flow.app()
    async with app.writing() as (tx, _):
        for table in ("_sent", "_jobs", "invoice", "log", "line"):
            await tx.execute(f'DELETE FROM "{table}"')
    for row in (await flow.client.get("_admin/workflows")).data:
        (await flow.client.delete(f"_admin/workflows/{row['id']}")).require(200)


async def test_a_worker_that_was_thought_dead_stores_nothing(start_flow):
    """It has slept through its lease; by the time it wakes up another one has gone on."""
    flow = await start_flow()
    id = await prepare(flow)
    app, engine = await flow.app(), flow.engine
    (sleeper,) = await engine.leases.claim_due(app, 5)
    flow.clock.advance(seconds=LEASE_S)
    (other,) = await engine.leases.claim_due(app, 5)
    assert other.row["claim"] != sleeper.row["claim"]
    assert not await engine.leases.renew(sleeper)
    assert await engine.leases.renew(other)
    await engine.worker.run(sleeper)
    assert (await flow.instance(id))["history"] == []
    assert (await flow.client.get("log")).meta["total"] == 0, "its effect went with its checkpoint"
    with pytest.raises(LostClaim):
        await engine.leases.give_back(sleeper)
    await engine.worker.run(other)
    assert [note["step"] for note in (await flow.instance(id))["history"]] == ["first", "check"]


async def test_a_claim_holds_until_the_lease_is_over_and_no_longer(flow):
    await prepare(flow)
    app, leases = await flow.app(), flow.engine.leases
    assert len(await leases.claim_due(app, 5)) == 1
    flow.clock.advance(seconds=leases.held_s - 0.001)
    assert await leases.claim_due(app, 5) == []
    flow.clock.advance(seconds=0.001)
    assert len(await leases.claim_due(app, 5)) == 1
    assert leases.held_s < leases.lease_s - 2, "the rest is for the next look of another process"


@dataclass(slots=True)
class BrokenOff:
    """A store that breaks off after its first commit, so that nobody hears of it."""

    store: object
    done: bool = False

    def __getattr__(self, name):
        return getattr(self.store, name)

    @asynccontextmanager
    async def write(self):
        async with self.store.write() as tx:
            yield tx
        if not self.done:
            self.done = True
            raise ConnectionLost


async def test_a_commit_that_nobody_heard_of_is_not_taken_for_a_failure(flow):
    """It was the fifth attempt at an action; the next one must not be judged by it."""
    await flow.define("w", {"type": "manual"}, [act("a", log("x"), log("y"))])
    id = (await flow.start("w"))["id"]
    app, engine = await flow.app(), flow.engine
    (claim,) = await engine.leases.claim_due(app, 1)
    claim.row["attempt"] = MOST_ATTEMPTS - 1
    app.store = BrokenOff(app.store)
    await engine.worker.run(claim)
    app.store = app.store.store
    assert (await flow.instance(id))["status"] == "running"
    flow.clock.advance(seconds=LEASE_S)
    await flow.settle()
    assert (await flow.instance(id))["status"] == "completed"
    assert sorted(row["text"] for row in (await flow.client.get("log")).data) == ["x", "y"]


async def test_a_clock_that_goes_back_makes_no_timer_early(flow):
    await flow.define("w", {"type": "manual"}, [{"id": "a", "type": "wait", "duration": "1h"}])
    id = (await flow.start("w"))["id"]
    flow.clock.advance(hours=1)
    (claim,) = await flow.engine.leases.claim_due(await flow.app(), 1)
    flow.clock.advance(seconds=-1)
    await flow.engine.worker.run(claim)
    await flow.settle()
    assert (await flow.instance(id))["status"] == "running"
    flow.clock.advance(seconds=1)
    await flow.settle()
    assert (await flow.instance(id))["status"] == "completed"


async def test_a_cancelled_or_deleted_instance_stops_the_worker_that_has_it(flow):
    for call in ("cancel", "delete"):
        await reset(flow)
        id = await prepare(flow)
        (claim,) = await flow.engine.leases.claim_due(await flow.app(), 1)
        if call == "cancel":
            (await flow.client.post(f"_workflows/{id}/cancel")).require(200)
        else:
            (await flow.client.delete(f"_workflows/{id}")).require(200)
        await flow.engine.worker.run(claim)
        assert (await flow.client.get("log")).meta["total"] == 0


async def test_two_kernels_share_the_work(start_flow):
    """Both look at the same instances; each one is done once."""
    first = await start_flow()
    second = await start_flow(app=None)
    await first.define("w", {"type": "manual"}, [act("a", log("x"))])
    for _ in range(10):
        await first.start("w")
    app, other = await first.app(), await second.app()
    assert app is not other
    mine = await first.engine.leases.claim_due(app, 4)
    assert await second.engine.run_due(other) == 6
    for claim in mine:
        await first.engine.worker.run(claim)
    assert (await first.client.get("log")).meta["total"] == 10
    assert {it["status"] for it in await first.instances()} == {"completed"}


async def test_a_schedule_starts_once_over_all_processes(start_flow):
    """Both have seen that it is due before either starts it."""
    first = await start_flow()
    second = await start_flow(app=None)
    await first.define("w", {"type": "schedule", "cron": "* * * * *"}, [act("a", log("tick"))])
    for minute in range(1, 6):
        due_at = timestamp_text(first.clock.advance(minutes=1).replace(second=0, microsecond=0))
        starts = [
            start_one(await flow.app(), flow.engine.starter, first.names["w"], due_at, flow.engine.leases.now())
            for flow in (first, second)
        ]
        assert sorted(await asyncio.gather(*starts)) == [0, 1]
        assert len(await first.instances()) == minute


async def test_a_database_that_is_away_fails_no_instance(flow, monkeypatch):
    from rocket_kernel import Unavailable

    id = await prepare(flow)
    app = await flow.app()
    (claim,) = await flow.engine.leases.claim_due(app, 1)
    store = app.store

    class Away:
        dialect = store.dialect

        def __getattr__(self, name):
            raise Unavailable

    app.store = Away()
    await flow.engine.worker.run(claim)
    app.store = store
    assert (await flow.instance(id))["status"] == "running"
    flow.clock.advance(seconds=LEASE_S)
    await flow.settle()
    assert [note["step"] for note in (await flow.instance(id))["history"]] == ["first", "check"]


async def test_time_stands_in_the_row_alone(flow):
    """Leases, due times and deadlines are those of the kernel's clock."""
    leases = flow.engine.leases
    assert isinstance(leases, Leases)
    assert leases.now() == timestamp_text(flow.clock.now())
