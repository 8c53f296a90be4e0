"""The runtime endpoints: contract §9.4."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from rocket_kernel import (
    AccessClass,
    NotFound,
    Operation,
    Registry,
    Request,
    Response,
    Route,
    Session,
    Transaction,
    annotate,
    data,
    json_response,
    span,
)
from rocket_workflows import described
from rocket_workflows.administering import cancel, retry
from rocket_workflows.deciding import Decision, decide, read_comment, read_step
from rocket_workflows.definition import Workflow
from rocket_workflows.diagram import workflow_diagram
from rocket_workflows.instance import may_see, shown_instance
from rocket_workflows.kind import stored_workflows
from rocket_workflows.listing import page_of, pending_instances
from rocket_workflows.manual import start_manually
from rocket_workflows.settings import WorkflowSettings
from rocket_workflows.starting import Starter
from rocket_workflows.tables import INSTANCE_ROWS
from rocket_workflows.triggers import Wake
from rocket_workflows.versions import definition_of

Handler = Callable[[Request], Awaitable[Response]]


def instance_not_found(id: str) -> NotFound:
    return NotFound(f"Workflow instance not found: {id}")


def instance_id(text: str) -> str | None:
    """The id of a path in the form in which it is stored; None for what is none."""
    try:
        id = str(UUID(text))
    except ValueError:
        return None
    return id if id == text.lower() else None


async def find_instance(session: Session, text: str, *, lock: bool = False) -> dict[str, Any]:
    """Raises NotFound."""
    id = instance_id(text)
    row = None if id is None else await INSTANCE_ROWS.first(session, {"id": id}, lock=lock)
    if row is None:
        raise instance_not_found(text)
    return row


async def find_with_definition(
    session: Session, registry: Registry, text: str, *, lock: bool = False
) -> tuple[dict[str, Any], Workflow]:
    """Raises NotFound."""
    row = await find_instance(session, text, lock=lock)
    workflow = await definition_of(session, registry, row)
    if workflow is None:
        raise instance_not_found(text)
    return row, workflow


@dataclass(frozen=True, slots=True)
class Endpoints:
    starter: Starter
    settings: WorkflowSettings
    wake: Wake

    async def list_instances(self, request: Request) -> Response:
        async with request.app.reading(request.actor) as (session, registry):
            rows, meta = await page_of(session, registry, request.parameters, request.app.limits.max_per_page)
        return json_response({"data": [shown_instance(row) for row in rows], "meta": meta})

    async def pending(self, request: Request) -> Response:
        async with request.app.reading(request.actor) as (session, _):
            rows = await pending_instances(session, request.actor)
        return data(rows)

    async def start(self, request: Request) -> Response:
        async with request.app.writing(request.actor) as (tx, registry):
            row = await start_manually(tx, registry, request.body, request.call, self.starter)
            stored = await find_instance(tx, row["id"])
        self.wake(request.app.name)
        return data(shown_instance(stored), 201)

    async def get(self, request: Request) -> Response:
        async with request.app.reading(request.actor) as (session, _):
            row = await find_instance(session, request.params["id"])
        return data(shown_instance(_visible(row, request)))

    async def diagram(self, request: Request) -> Response:
        async with request.app.reading(request.actor) as (session, registry):
            row, workflow = await find_with_definition(session, registry, request.params["id"])
        return _text(workflow_diagram(workflow, _visible(row, request)))

    async def definition_diagram(self, request: Request) -> Response:
        async with request.app.reading(request.actor) as (_, registry):
            stored = stored_workflows(registry.model).get(request.params["id"].lower())
        if stored is None:
            raise NotFound(f"Workflow not found: {request.params['id']}")
        return _text(workflow_diagram(stored.item, None))

    async def approve(self, request: Request) -> Response:
        with span("workflow", "handler", "workflow.approve"):
            return await self._decide(request, "approved")

    async def reject(self, request: Request) -> Response:
        with span("workflow", "handler", "workflow.reject"):
            return await self._decide(request, "rejected")

    async def _decide(self, request: Request, decision: Decision) -> Response:
        comment, step = read_comment(request.body), read_step(request.body)
        async with request.app.writing(request.actor) as (tx, registry):
            row, workflow = await find_with_definition(tx, registry, request.params["id"], lock=True)
            decided = await decide(
                tx,
                registry,
                workflow,
                row,
                request.call,
                decision=decision,
                comment=comment,
                step=step,
                max_steps=self.settings.max_steps,
            )
        annotate(workflow=decided["workflow_name"], instance_id=decided["id"])
        self.wake(request.app.name)
        return data(shown_instance(decided))

    async def retry(self, request: Request) -> Response:
        async with request.app.writing(request.actor) as (tx, registry):
            row, workflow = await find_with_definition(tx, registry, request.params["id"], lock=True)
            changed = await retry(tx, registry, workflow, row, request.call)
        self.wake(request.app.name)
        return data(shown_instance(changed))

    async def cancel(self, request: Request) -> Response:
        async with request.app.writing(request.actor) as (tx, _):
            row = await find_instance(tx, request.params["id"], lock=True)
            changed = await cancel(tx, row, request.call)
        return data(shown_instance(changed))

    async def delete(self, request: Request) -> Response:
        async with request.app.writing(request.actor) as (tx, _):
            await _delete(tx, request.params["id"])
        return data({"deleted": True})


def make_routes(starter: Starter, settings: WorkflowSettings, wake: Wake) -> Sequence[Route]:
    it = Endpoints(starter, settings, wake)
    every, one = "/api/:app/_workflows", "/api/:app/_workflows/:id"
    signed_in, admin = AccessClass.AUTHENTICATED, AccessClass.ADMIN
    return [
        _route("GET", every, admin, it.list_instances, described.LIST),
        _route("POST", every, signed_in, it.start, described.START),
        _route("GET", f"{every}/pending", signed_in, it.pending, described.PENDING),
        _route("GET", one, signed_in, it.get, described.GET),
        _route("DELETE", one, admin, it.delete, described.REMOVE),
        _route("GET", f"{one}/diagram", signed_in, it.diagram, described.DIAGRAM),
        _route("POST", f"{one}/approve", signed_in, it.approve, described.APPROVE),
        _route("POST", f"{one}/reject", signed_in, it.reject, described.REJECT),
        _route("POST", f"{one}/retry", admin, it.retry, described.RETRY),
        _route("POST", f"{one}/cancel", admin, it.cancel, described.CANCEL),
        _route(
            "GET", "/api/:app/_admin/workflows/:id/diagram", admin, it.definition_diagram, described.DEFINITION_DIAGRAM
        ),
    ]


def _route(method: str, path: str, access: AccessClass, handler: Handler, operation: Operation) -> Route:
    return Route(method=method, path=path, access=access, handler=handler, operation=operation)


def _visible(row: dict[str, Any], request: Request) -> dict[str, Any]:
    """Raises NotFound, as for an instance that is not there."""
    if not may_see(request.actor, row):
        raise instance_not_found(request.params["id"])
    return row


async def _delete(tx: Transaction, text: str) -> None:
    id = instance_id(text)
    if id is None or await INSTANCE_ROWS.delete(tx, {"id": id}) != 1:
        raise instance_not_found(text)


def _text(text: str) -> Response:
    return Response(200, text.encode(), {"Content-Type": "text/plain; charset=utf-8"})
