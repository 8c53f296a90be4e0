"""The hooks of the plugin: each gathers and hands on."""

from __future__ import annotations

from collections.abc import Sequence

from rocket_instrumentation.audit_history import HISTORY_ROUTE
from rocket_instrumentation.audit_retention import audit_jobs
from rocket_instrumentation.audit_table import AUDIT
from rocket_instrumentation.audit_writing import compile_audit, compile_import_audit
from rocket_instrumentation.events_emit import store_event
from rocket_instrumentation.events_retention import EVERY_S, forget_events
from rocket_instrumentation.events_routes import event_routes
from rocket_instrumentation.events_sink import EventSink
from rocket_instrumentation.outlets import Outlets
from rocket_instrumentation.settings import InstrumentationSettings
from rocket_instrumentation.tables import EVENTS, JOURNAL, MINUTES
from rocket_kernel import (
    AnswerObserver,
    AppContext,
    AppMetric,
    Call,
    Entity,
    Event,
    ImportListener,
    Job,
    Kernel,
    Metric,
    Model,
    Plugin,
    Registry,
    Route,
    SpanSink,
    Step,
    Table,
    Transaction,
    hookimpl,
)


class InstrumentationPlugin(Plugin):
    name = "instrumentation"
    version = "0.1.0"
    Settings = InstrumentationSettings
    settings: InstrumentationSettings

    def __init__(self, settings: InstrumentationSettings | None = None) -> None:
        super().__init__(settings or InstrumentationSettings())
        self.events = EventSink()
        self.outlets = Outlets(self.settings, self.version)

    @hookimpl
    def register_tables(self) -> Sequence[Table]:
        return [EVENTS, JOURNAL, MINUTES, AUDIT]

    @hookimpl
    def register_span_sinks(self) -> Sequence[SpanSink]:
        return [self.events, *self.outlets.sinks]

    @hookimpl
    def register_entity_properties(self) -> Sequence[str]:
        return ["audit"]

    @hookimpl
    def register_routes(self) -> Sequence[Route]:
        return [*event_routes(self.events), HISTORY_ROUTE, *self.outlets.routes]

    @hookimpl
    def register_answer_observers(self) -> Sequence[AnswerObserver]:
        return self.outlets.observers

    @hookimpl
    async def on_started(self, kernel: Kernel) -> None:
        self.outlets.start(kernel)
        self.events.start(kernel.parts.config.instrumentation, kernel.parts.clock)

    @hookimpl
    async def on_stopping(self) -> None:
        await self.events.stop()
        await self.outlets.stop()

    @hookimpl
    async def on_app_opened(self, app: AppContext) -> None:
        await self.events.open(app)

    @hookimpl
    async def on_app_closing(self, app: AppContext) -> None:
        await self.events.close(app)
        # Names of apps that come and go must not be kept for ever.
        self.events.counts.pop(app.name, None)
        self.outlets.metrics.requests.forget(app.name)

    @hookimpl
    def register_jobs(self) -> Sequence[Job]:
        forget = Job(name="instrumentation:events", run=forget_events, every_s=EVERY_S, opens_apps=True)
        return [forget, *audit_jobs(self.settings.audit_retention_days)]

    @hookimpl
    def register_metrics(self) -> Sequence[Metric | AppMetric]:
        return [self.events.metric()]

    @hookimpl
    async def on_event(self, event: Event, session: Transaction, registry: Registry, call: Call) -> None:
        await store_event(event, session, registry, call)

    @hookimpl
    def compile_write_steps(self, entity: Entity, model: Model) -> Sequence[Step]:
        return compile_audit(entity, model)

    @hookimpl
    def compile_import_listener(self, entity: Entity) -> ImportListener | None:
        return compile_import_audit(entity)
