"""The hooks of the plugin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rocket_kernel import (
    AppMetric,
    Call,
    Entity,
    Event,
    Job,
    JobRun,
    Kernel,
    MetadataKind,
    Model,
    Plugin,
    Registry,
    Route,
    Step,
    Table,
    Transaction,
    WriteRun,
    hookimpl,
)
from rocket_workflows.claims import Leases
from rocket_workflows.delivery import delivery_ended
from rocket_workflows.effects import DELIVERED
from rocket_workflows.engine import Engine
from rocket_workflows.kind import WORKFLOW_KIND
from rocket_workflows.metrics import METRICS
from rocket_workflows.routes import make_routes
from rocket_workflows.settings import WorkflowSettings
from rocket_workflows.starting import Starter
from rocket_workflows.tables import INSTANCES, SCHEDULES, VERSIONS
from rocket_workflows.triggers import start_by_event, wake_after, watching_steps
from rocket_workflows.worker import Worker


class WorkflowsPlugin(Plugin):
    name = "workflows"
    version = "0.1.0"
    Settings = WorkflowSettings
    # What a workflow names must be there when it is loaded, and other plugins' steps come before a start.
    after = ("rules", "statemachines")

    engine: Engine | None = None
    """The workers of this process, once the kernel has started."""

    def __init__(self, settings: Any = None) -> None:
        super().__init__(settings or WorkflowSettings())
        self.starter = Starter(self.settings.max_chain_depth)

    @hookimpl
    def register_metadata_kinds(self) -> Sequence[MetadataKind[Any]]:
        return [WORKFLOW_KIND]

    @hookimpl
    def register_tables(self) -> Sequence[Table]:
        return [VERSIONS, INSTANCES, SCHEDULES]

    @hookimpl
    def register_routes(self) -> Sequence[Route]:
        return make_routes(self.starter, self.settings, self.wake)

    @hookimpl
    def register_metrics(self) -> Sequence[AppMetric]:
        return METRICS

    @hookimpl
    def register_jobs(self) -> Sequence[Job]:
        return [Job(name=DELIVERED, run=self.go_on, opens_apps=True)]

    @hookimpl
    def compile_write_steps(self, entity: Entity, model: Model) -> Sequence[Step]:
        return watching_steps(entity, model, self.starter, self.wake)

    @hookimpl
    async def on_event(
        self, event: Event, session: Transaction, registry: Registry, call: Call, run: WriteRun | None
    ) -> None:
        if await start_by_event(event, session, registry, call, run, self.starter):
            wake_after(run, self.wake)

    @hookimpl
    async def on_started(self, kernel: Kernel) -> None:
        leases = Leases(kernel.parts.clock, self.settings.lease_s)
        worker = Worker(leases, self.settings.max_steps, self.wake)
        self.engine = Engine(kernel, leases, self.starter, worker)
        self.engine.start()

    @hookimpl
    async def on_stopping(self) -> None:
        if self.engine is not None:
            await self.engine.stop()

    async def go_on(self, run: JobRun) -> None:
        await delivery_ended(run, max_steps=self.settings.max_steps)
        self.wake(run.app.name)

    def wake(self, app: str | None) -> None:
        if self.engine is not None:
            self.engine.wake(app)
