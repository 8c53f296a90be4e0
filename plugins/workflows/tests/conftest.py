"""A kernel with workflows whose workers run when the test says so, and an outside world that does as it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest_asyncio

from rocket_kernel import (
    ActionStart,
    ActionType,
    Actor,
    Column,
    ColumnType,
    Event,
    Plugin,
    Storage,
    Table,
    TableRows,
    Then,
    ValidationFailed,
    emit_event,
    enqueue,
    hookimpl,
)
from rocket_kernel.testing import Actors, Client, FakeClock, RunningKernel, StartKernel, entity, one_to_many
from rocket_workflows import WorkflowsPlugin

_TEXT = ColumnType(Storage.TEXT)
SENT = Table(
    name="_sent",
    columns=(
        Column("key", _TEXT, nullable=False),
        Column("body", ColumnType(Storage.DOCUMENT), nullable=False),
        Column("then", ColumnType(Storage.DOCUMENT), nullable=False),
        Column("status", _TEXT, nullable=False),
        Column("starts", ColumnType(Storage.INTEGER), nullable=False),
    ),
    primary_key=("key",),
)
SENT_ROWS = TableRows(SENT)


class Outside(Plugin):
    """Brings the action `webhook`: a row for each delivery, which ends when the test says how."""

    name = "outside"
    version = "1"

    @hookimpl
    def register_tables(self):
        return [SENT]

    @hookimpl
    def register_actions(self):
        return [ActionType("webhook", self.check, self.start)]

    def check(self, definition, model):
        if not isinstance(definition.get("url"), str):
            raise ValidationFailed("url is required")

    async def start(self, action: ActionStart):
        then = {"job": action.then.job, "payload": dict(action.then.payload)}
        row = {"key": action.idempotency_key, "body": dict(action.body), "then": then, "status": "pending", "starts": 1}
        if not await SENT_ROWS.try_insert(action.session, row):
            before = await SENT_ROWS.first(action.session, {"key": action.idempotency_key})
            again = {"status": "pending", "starts": before["starts"] + 1}
            await SENT_ROWS.update(action.session, {"key": action.idempotency_key}, again)


@dataclass(slots=True)
class Flow:
    """One app, and the workers of one process, which do nothing by themselves."""

    running: RunningKernel
    client: Client
    clock: FakeClock
    names: dict[str, str] = field(default_factory=dict)

    @property
    def engine(self):
        return self.running.kernel.parts.plugins.find("workflows").engine

    async def app(self):
        return await self.running.kernel.apps.app(self.client.app_name)

    async def define(
        self,
        name: str,
        trigger: Mapping[str, Any],
        steps: Sequence[Mapping[str, Any]],
        context: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        body = {"name": name, "trigger": trigger, "steps": list(steps), **more}
        if context is not None:
            body["context"] = context
        row = (await self.client.post("_admin/workflows", body)).require(201).data
        self.names[name] = row["id"]
        return row

    async def settle(self) -> None:
        """Do what is due, and what follows from it."""
        app = await self.app()
        while await self.engine.run_due(app) + await self.running.kernel.jobs.run_due():
            pass

    async def start(self, workflow: str, as_actor: Actor | None = None, **body: Any) -> dict[str, Any]:
        client = self.client if as_actor is None else self.client.as_actor(as_actor)
        return (await client.post("_workflows", {"workflow": workflow, **body})).require(201).data

    async def run(self, workflow: str, **body: Any) -> dict[str, Any]:
        """Start by hand, do what is due, and look."""
        started = await self.start(workflow, **body)
        await self.settle()
        return await self.instance(started["id"])

    async def instance(self, id: str) -> dict[str, Any]:
        return (await self.client.get(f"_workflows/{id}")).require(200).data

    async def instances(self, **params: Any) -> list[dict[str, Any]]:
        """Oldest first."""
        found = (await self.client.get("_workflows", params={"per_page": 200, **params})).require(200).data
        return found[::-1]

    async def only(self, **params: Any) -> dict[str, Any]:
        (found,) = await self.instances(**params)
        return found

    async def sent(self) -> list[dict[str, Any]]:
        app = await self.app()
        async with app.reading() as (session, _):
            return await SENT_ROWS.select(session, order_by=("key",))

    async def deliver(self, *, ok: bool = True, error: str | None = None) -> int:
        """End every pending delivery; how many there were."""
        app = await self.app()
        async with app.writing() as (tx, _):
            rows = await SENT_ROWS.select(tx, {"status": "pending"}, order_by=("key",))
            for row in rows:
                then = Then(row["then"]["job"], row["then"]["payload"])
                now = self.engine.leases.now()
                await enqueue(tx, then.job, then.ended(ok=ok, error=error, attempts=1), now)
                await SENT_ROWS.update(tx, {"key": row["key"]}, {"status": "delivered" if ok else "failed"})
        return len(rows)

    async def emit(self, action: str, call, **event: Any) -> None:
        app = await self.app()
        async with app.writing() as (tx, registry):
            await emit_event(Event(action, **event), tx, registry, call)


MODEL = [
    entity(
        "invoice",
        {"soft_delete": True},
        number="string! unique",
        status="string default=draft",
        total="decimal:2",
        note="text",
        approved_at="timestamp",
        meta="json",
        requester_id="uuid",
    ),
    entity("line", invoice_id="uuid", sku="string!", qty="int"),
    entity("employee", name="string!", manager_id="uuid", email="string"),
    entity("log", text="string", ref="string", at="timestamp"),
]
RELATIONS = [
    one_to_many("lines", "invoice", "line", on_delete="cascade"),
    one_to_many("requester", "employee", "invoice", "requester_id", on_delete="set_null"),
]


@dataclass(slots=True)
class StartFlow:
    start_kernel: StartKernel
    clock: FakeClock

    async def __call__(
        self, plugins: Sequence[type[Plugin]] = (), *, app: str | None = "shop", **settings: Any
    ) -> Flow:
        """`app` None opens the app that another kernel of the test has made."""
        chosen = [WorkflowsPlugin, Actors, Outside, *plugins]
        running = await self.start_kernel(chosen, settings={"workflows": settings} if settings else None)
        await running.kernel.parts.plugins.find("workflows").engine.stop()
        # Jobs too run when the test says so and not in between.
        await running.kernel.jobs.pause()
        if app is None:
            return Flow(running, running.client.in_app("shop"), self.clock)
        client = await running.client.app(app)
        await client.define(*MODEL)
        await client.relate(*RELATIONS)
        return Flow(running, client, self.clock)


@pytest_asyncio.fixture
async def start_flow(start_kernel, clock):
    return StartFlow(start_kernel, clock)


@pytest_asyncio.fixture
async def flow(start_flow):
    return await start_flow()
