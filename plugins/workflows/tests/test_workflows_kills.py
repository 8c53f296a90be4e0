"""SIGKILL at every boundary of every step, in real server processes. Contract §9.5."""

import asyncio
import secrets
import sys
import time
from pathlib import Path

import pytest

from rocket_kernel.testing import entity
from rocket_kernel.testing.processes import ServerProcess

SERVER = Path(__file__).with_name("dying_server.py")
LEASE_S = 1
ENDS_S = 30
STEPS = {
    "actions": [
        {"id": "a", "type": "action", "then": "b", "actions": [
            {"type": "create_record", "entity": "log", "data": {"text": "made", "lines": [{"sku": "1"}]}},
            {"type": "set_field", "entity": "item", "record_id": "context.id", "field": "note", "value": "set"},
            {"type": "update_record", "entity": "item", "record_id": "context.id", "data": {"state": "updated"}},
        ]},
        {"id": "b", "type": "action", "actions": [
            {"type": "delete_record", "entity": "item", "record_id": "context.id"},
            {"type": "create_record", "entity": "log", "data": {"text": "deleted"}},
        ]},
    ],
    "event": [
        {"id": "a", "type": "action", "actions": [
            {"type": "send_event", "event": "told"}, {"type": "send_event", "event": "told"}]},
    ],
    "webhook": [
        {"id": "a", "type": "action", "actions": [
            {"type": "webhook", "url": "https://x"}, {"type": "create_record", "entity": "log", "data": {"text": "sent"}}]},
    ],
    "condition": [
        {"id": "a", "type": "condition", "expression": "context.id != null", "on_true": "b", "on_false": "end"},
        {"id": "b", "type": "condition", "expression": "context.id == null", "on_true": "end", "on_false": "end"},
    ],
    "wait": [
        {"id": "a", "type": "wait", "duration": "1s", "then": "b"},
        {"id": "b", "type": "action", "actions": [{"type": "create_record", "entity": "log", "data": {"text": "waited"}}]},
    ],
    "approval": [
        {"id": "a", "type": "approval", "timeout": "1s", "on_timeout": "b"},
        {"id": "b", "type": "action", "actions": [{"type": "create_record", "entity": "log", "data": {"text": "late"}}]},
    ],
}  # fmt: skip
HEARER = [
    {"id": "h", "type": "action", "actions": [{"type": "create_record", "entity": "log", "data": {"text": "heard"}}]}
]
# What the steps above come to, and in how many transactions of workers, claims included.
ENDS = {
    "actions": (["deleted", "made"], [("a", "completed"), ("b", "completed")], 6),
    "event": (["heard", "heard"], [("a", "completed")], 6),
    "webhook": (["sent"], [("a", "completed")], 5),
    "condition": ([], [("a", "on_true"), ("b", "on_false")], 3),
    "wait": (["waited"], [("a", "completed"), ("b", "completed")], 3),
    "approval": (["late"], [("a", "timed_out"), ("b", "completed")], 3),
}
EVERY = [(kind, number) for kind, (_, _, most) in ENDS.items() for number in range(1, most + 1)]
SAMPLE = [("actions", 3, "after")]


class DyingServer(ServerProcess):
    def _command(self, *arguments):
        return [sys.executable, str(SERVER), *arguments, "--config", str(self._config_file)]


@pytest.fixture
def serve(tmp_path, database):
    def make(*, lease_s=LEASE_S, **environ):
        config = {"plugins.enabled": "all", "plugins.settings": {"workflows": {"lease_s": lease_s}}}
        # Hypercorn with one worker is one process, which nobody starts again when it dies.
        return DyingServer(tmp_path / "server", database.config(), server="hypercorn", config=config, environ=environ)

    return make


@pytest.mark.parametrize(("kind", "number", "when"), SAMPLE)
async def test_a_killed_process_leaves_nothing_undone_and_nothing_done_twice(serve, kind, number, when):
    await killed_and_ended(serve, kind, number, when)


@pytest.mark.torture
@pytest.mark.parametrize("when", ["before", "within", "after"])
@pytest.mark.parametrize(("kind", "number"), EVERY)
async def test_every_boundary_of_every_step(serve, kind, number, when):
    await killed_and_ended(serve, kind, number, when)


@pytest.mark.torture
async def test_somebody_else_takes_over_in_less_than_thirty_seconds(serve, record_property):
    """With the lease that is the default, from the death of a process that has just claimed an instance."""
    dying, surviving = serve(lease_s=30, DIE_AT="after:1"), serve(lease_s=30)
    app = f"a{secrets.token_hex(5)}"
    with dying as server:
        async with server.caller(app) as shop:
            item = await prepared(shop, "actions")
            await shop.post("_workflows", {"workflow": "actions", "record_id": item})
        await until(lambda: not server.is_running, seconds=ENDS_S, otherwise="nothing was claimed")
    died_at = time.monotonic()
    with surviving as server:
        async with server.caller(app) as shop:
            await ended(shop, "actions", seconds=60)
    record_property("taken over after s", round(time.monotonic() - died_at, 1))
    assert time.monotonic() - died_at < 30


async def killed_and_ended(serve, kind, number, when):
    app = f"a{secrets.token_hex(5)}"
    dying, surviving = serve(DIE_AT=f"{when}:{number}"), serve()
    with dying as server:
        async with server.caller(app) as shop:
            item = await prepared(shop, kind)
            await shop.post("_workflows", {"workflow": kind, "record_id": item})
        await until(lambda: not server.is_running, seconds=ENDS_S, otherwise=f"{when}:{number} was never reached")
    with surviving as server:
        async with server.caller(app) as shop:
            instance = await ended(shop, kind)
            logs, history, _ = ENDS[kind]
            assert (instance["status"], instance["error"]) == ("completed", None)
            assert [(note["step"], note["status"]) for note in instance["history"]] == history
            found = (await shop.get("log?per_page=200")).require(200).data
            assert sorted(row["text"] for row in found) == logs
            left = (await shop.get("item")).require(200).data
            assert len(left) == (0 if kind == "actions" else 1)


async def prepared(shop, kind):
    """The id of the record that the workflow is about."""
    (await shop.post("/api/_platform/apps", {"name": shop.app})).require(201)
    for definition in (
        entity("item", note="string", state="string"),
        entity("log", text="string"),
        entity("line", log_id="uuid", sku="string"),
    ):
        (await shop.post("_admin/entities", definition)).require(201)
    lines = {"name": "lines", "type": "one_to_many", "source": "log", "target": "line", "target_key": "log_id"}
    (await shop.post("_admin/relations", lines)).require(201)
    manual = {"type": "manual", "entity": "item"}
    body = {"name": kind, "trigger": manual, "context": {"id": "record_id"}, "steps": STEPS[kind]}
    (await shop.post("_admin/workflows", body)).require(201)
    if kind == "event":
        hearer = {"name": "hearer", "trigger": {"type": "event", "event": "told"}, "steps": HEARER}
        (await shop.post("_admin/workflows", hearer)).require(201)
    return (await shop.post("item", {"note": "n"})).require(201).data["id"]


async def ended(shop, kind, *, seconds=ENDS_S):
    """The instance, once it and all that it started have come to an end."""
    deadline = time.monotonic() + seconds
    while True:
        found = (await shop.get("_workflows")).require(200).data
        if len(found) >= (3 if kind == "event" else 1) and all(it["status"] != "running" for it in found):
            return next(it for it in found if it["workflow_name"] == kind)
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.05)


async def until(holds, *, seconds, otherwise):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, otherwise
        await asyncio.sleep(0.02)
