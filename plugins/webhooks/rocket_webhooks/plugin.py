"""The hooks of the plugin, and what belongs to one kernel."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any

from rocket_kernel import (
    AccessClass,
    ActionType,
    AppContext,
    AppMetric,
    Entity,
    Job,
    JobRun,
    Kernel,
    MetadataKind,
    Metric,
    Model,
    Operation,
    Plugin,
    Request,
    Response,
    Route,
    Step,
    Table,
    Unavailable,
    hookimpl,
)
from rocket_webhooks import described, logs, operations
from rocket_webhooks.actions import webhook_action
from rocket_webhooks.client import OutboundClient
from rocket_webhooks.dispatcher import LEASE_MARGIN_S, Crew, Dispatcher
from rocket_webhooks.firing import compile_steps
from rocket_webhooks.judging import Judges
from rocket_webhooks.kind import webhook_kind
from rocket_webhooks.metrics import Tally
from rocket_webhooks.retention import EVERY_S, delete_old
from rocket_webhooks.settings import WebhooksSettings, address_guard
from rocket_webhooks.tables import WEBHOOK_LOGS


class WebhooksPlugin(Plugin):
    """Webhooks and the action `webhook`. `dispatcher` is there while the kernel serves."""

    name = "webhooks"
    version = "0.1.0"
    Settings = WebhooksSettings
    settings: WebhooksSettings

    def __init__(self, settings: WebhooksSettings | None = None) -> None:
        super().__init__(settings or WebhooksSettings())
        self.guard = address_guard(self.settings)
        self.tally = Tally()
        self.dispatcher: Dispatcher | None = None
        self.apps: dict[str, AppContext] = {}

    @property
    def lease_s(self) -> float:
        return self.settings.timeout_s + LEASE_MARGIN_S

    @hookimpl
    def register_metadata_kinds(self) -> Sequence[MetadataKind[Any]]:
        return [webhook_kind(self.settings.env_prefix)]

    @hookimpl
    def register_tables(self) -> Sequence[Table]:
        return [WEBHOOK_LOGS]

    @hookimpl
    def register_actions(self) -> Sequence[ActionType]:
        return [webhook_action(self.settings.env_prefix, self.waking)]

    @hookimpl
    def register_jobs(self) -> Sequence[Job]:
        async def forget(run: JobRun) -> None:
            await delete_old(run, self.settings.log_retention_days)

        return [Job(name="webhooks:retention", run=forget, every_s=EVERY_S, opens_apps=True)]

    @hookimpl
    def register_metrics(self) -> Sequence[Metric | AppMetric]:
        return self.tally.metrics()

    @hookimpl
    def register_routes(self) -> Sequence[Route]:
        async def test(request: Request) -> Response:
            return await operations.send_test(request, self.judges(request.app.name))

        one, log = "/api/:app/_admin/webhooks/:id", "/api/:app/_admin/webhook-logs"
        return [
            _route("POST", f"{one}/test", test, described.TEST),
            _route("POST", f"{one}/rotate-secret", operations.rotate_secret, described.ROTATE),
            _route("POST", f"{one}/replay", partial(operations.replay, wake=self.wake), described.REPLAY),
            _route("GET", log, logs.list_logs, described.LIST_LOGS),
            _route("GET", f"{log}/:id", logs.get_log, described.GET_LOG),
            _route("POST", f"{log}/:id/retry", partial(logs.retry_log, wake=self.wake), described.RETRY_LOG),
        ]

    @hookimpl
    def compile_write_steps(self, entity: Entity, model: Model) -> Sequence[Step]:
        return compile_steps(self, entity, model)

    @hookimpl
    async def on_started(self, kernel: Kernel) -> None:
        crew = Crew(
            client=OutboundClient(self.guard, timeout_s=self.settings.timeout_s),
            now=kernel.parts.clock.now,
            timeout_s=self.settings.timeout_s,
            env_prefix=self.settings.env_prefix,
            environ=os.environ,
            tally=self.tally,
            wake_jobs=kernel.jobs.wake,
        )
        self.dispatcher = Dispatcher(crew)
        for app in kernel.apps.opened:
            self.dispatcher.open(app)
        self.dispatcher.start()

    @hookimpl
    async def on_stopping(self) -> None:
        if self.dispatcher is not None:
            await self.dispatcher.stop()
            await self.dispatcher.crew.client.close()
            self.dispatcher = None

    @hookimpl
    async def on_app_opened(self, app: AppContext) -> None:
        self.apps[app.name] = app
        if self.dispatcher is not None:
            self.dispatcher.open(app)

    @hookimpl
    async def on_app_closing(self, app: AppContext) -> None:
        if self.apps.get(app.name) is app:
            del self.apps[app.name]
        self.tally.forget(app.name)
        if self.dispatcher is not None:
            await self.dispatcher.close(app)

    def wake(self, app: str, lanes: Iterable[str] | None = None) -> None:
        """Deliveries of an app have become due, in these lanes or in any."""
        if self.dispatcher is not None:
            self.dispatcher.wake(app, lanes)

    def waking(self, app: str, lanes: Iterable[str]) -> Callable[[], Awaitable[None]]:
        """For after a commit; `lanes` may grow until then."""

        async def woken() -> None:
            self.wake(app, lanes)

        return woken

    def judges(self, app: str) -> Judges:
        """Raises Unavailable when the app is being closed, or nothing is served."""
        if self.dispatcher is None or app not in self.apps:
            raise Unavailable
        return Judges(self.apps[app], self.dispatcher.crew)

    async def deliver_now(self, app: str, ids: list[str]) -> None:
        """First attempts of deliveries that were just committed. Whatever goes wrong, they will be tried again."""
        desk = None if self.dispatcher is None else self.dispatcher.desks.get(app)
        if desk is not None:
            await desk.deliver_now(ids)


def _route(method: str, path: str, handler: Callable[[Request], Awaitable[Response]], operation: Operation) -> Route:
    return Route(method=method, path=path, access=AccessClass.ADMIN, handler=handler, operation=operation)
