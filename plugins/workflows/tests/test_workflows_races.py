"""Several processes at one instance: one decision, one firing, whoever dies meanwhile. Contract §9.4 to §9.6."""

import asyncio
import secrets
import time
from collections import Counter
from contextlib import AsyncExitStack, ExitStack
from datetime import UTC, datetime
from random import Random

import pytest

from rocket_kernel import timestamp_text
from rocket_kernel.testing import entity
from rocket_kernel.testing.processes import ServerProcess

ENDS_S = 60
LOG = entity("log", text="string", ref="string")


@pytest.fixture
def app():
    """A name that no other test uses: processes name their databases after it."""
    return f"a{secrets.token_hex(5)}"


@pytest.fixture
def serve(tmp_path, database):
    """Starts processes on the test's database."""
    with ExitStack() as running:

        def start(number, **settings):
            config = {"plugins.enabled": ["workflows"], "plugins.settings": {"workflows": settings}}
            place = tmp_path / "server"
            return [
                running.enter_context(ServerProcess(place, database.config(), config=config)) for _ in range(number)
            ]

        yield start


def log(text):
    return {"type": "create_record", "entity": "log", "data": {"text": text, "ref": "context.ref"}}


async def prepared(caller, *workflows):
    (await caller.post("/api/_platform/apps", {"name": caller.app})).require(201)
    (await caller.post("_admin/entities", LOG)).require(201)
    for workflow in workflows:
        (await caller.post("_admin/workflows", workflow)).require(201)


async def logs(caller):
    """How often each text was written."""
    found, page = [], 1
    while True:
        answer = (await caller.get(f"log?per_page=200&page={page}")).require(200)
        found += [f"{row['text']} {row['ref'] or ''}".strip() for row in answer.data]
        if page >= answer.meta["total_pages"]:
            return Counter(found)
        page += 1


def now():
    return timestamp_text(datetime.now(UTC))


async def until(holds, *, seconds=ENDS_S):
    deadline = time.monotonic() + seconds
    while not await holds():
        assert time.monotonic() < deadline, "it did not come to an end in time"
        await asyncio.sleep(0.1)


DECIDED = {
    "name": "ask",
    "trigger": {"type": "manual"},
    "context": {"ref": "record_id"},
    "steps": [
        {"id": "ask", "type": "approval", "on_approve": "yes", "on_reject": "no"},
        {"id": "yes", "type": "action", "actions": [log("yes")]},
        {"id": "no", "type": "action", "actions": [log("no")]},
    ],
}
CALLERS = 32


@pytest.mark.parametrize("rounds", [3, pytest.param(500, marks=pytest.mark.torture)])
async def test_one_decision_and_the_next_step_once(serve, app, rounds, record_property):
    servers = serve(2)
    statuses = Counter()
    async with AsyncExitStack() as stack:
        callers = [await stack.enter_async_context(servers[n % 2].caller(app)) for n in range(CALLERS)]
        first = callers[0]
        await prepared(first, DECIDED)
        expected = Counter()
        for _ in range(rounds):
            id = (await first.post("_workflows", {"workflow": "ask"})).require(201).data["id"]
            for caller in callers:
                await caller.connect()
            calls = ["approve" if n % 4 < 2 else "reject" for n in range(CALLERS)]
            answers = await asyncio.gather(
                *(caller.post(f"_workflows/{id}/{call}", {}) for caller, call in zip(callers, calls, strict=True))
            )
            statuses.update(answer.status for answer in answers)
            won = [call for call, answer in zip(calls, answers, strict=True) if answer.status == 200]
            lost = {answer.error["code"] for answer in answers if answer.status != 200}
            assert (len(won), lost) == (1, {"INVALID_STATE"}), [answer.text for answer in answers]
            decision = "approved" if won[0] == "approve" else "rejected"
            expected["yes" if won[0] == "approve" else "no"] += 1

            async def over(id=id):
                return (await first.get(f"_workflows/{id}")).data["status"] == "completed"

            await until(over)
            history = (await first.get(f"_workflows/{id}")).data["history"]
            assert [note["status"] for note in history] == [decision, "completed"]
        assert await logs(first) == expected
    for status, number in sorted(statuses.items()):
        record_property(f"answers {status}", number)


CRATE = 900
ITEM = entity("item", note="string", crate_id="uuid")


def timer(duration):
    return {
        "name": "timer",
        "trigger": {"type": "create", "entity": "item"},
        "context": {"ref": "record_id"},
        "steps": [
            {"id": "wait", "type": "wait", "duration": duration, "then": "fire"},
            {"id": "fire", "type": "action", "actions": [log("fired")]},
        ],
    }


@pytest.mark.parametrize(
    ("timers", "duration", "kills", "lease_s"),
    [(40, "2s", 1, 2), pytest.param(4500, "40s", 20, 30, marks=pytest.mark.torture)],
)
async def test_each_timer_fires_once_whoever_dies(serve, app, timers, duration, kills, lease_s, record_property):
    """Timers become due while processes are killed and started again, one after another."""
    servers, random = serve(4 if timers > 100 else 2, lease_s=lease_s), Random(7)
    async with servers[0].caller(app) as caller:
        await prepared(caller)
        for definition in (ITEM, entity("crate", note="string")):
            (await caller.post("_admin/entities", definition)).require(201)
        items = {"name": "items", "type": "one_to_many", "source": "crate", "target": "item", "target_key": "crate_id"}
        (await caller.post("_admin/relations", items)).require(201)
        (await caller.post("_admin/workflows", timer(duration))).require(201)

        async def due():
            """The last one is, so all of them are, and they have only just begun to fire."""
            (last,) = (await caller.get("_workflows?per_page=1")).data
            return last["current_step_deadline"] is None or last["current_step_deadline"] <= now()

        for begin in range(0, timers, CRATE):
            notes = [{"note": str(number)} for number in range(begin, min(begin + CRATE, timers))]
            (await caller.post("crate", {"items": notes})).require(201)
        await until(due)
    began, killed_at = time.monotonic(), 0.0
    for _ in range(kills):
        await asyncio.sleep(random.uniform(0.1, 0.5))
        victim = random.choice(servers)
        await asyncio.to_thread(victim.kill)
        killed_at = time.monotonic()
        await asyncio.to_thread(victim.start)
    async with servers[0].caller(app) as caller:

        async def over():
            return (await caller.get("_workflows?status=running&per_page=1")).meta["total"] == 0

        await until(over, seconds=ENDS_S * 4)
        taken_over = time.monotonic() - killed_at
        fired = await logs(caller)
        assert (len(fired), set(fired.values())) == (timers, {1})
        completed = (await caller.get("_workflows?status=completed&per_page=1")).meta["total"]
        assert completed == timers
    record_property("all fired after s", round(time.monotonic() - began, 1))
    record_property("seconds from the last kill to the last firing", round(taken_over, 1))
