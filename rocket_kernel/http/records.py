"""The five record endpoints: contract §3 and §5."""

from __future__ import annotations

from rocket_kernel import json_text
from rocket_kernel.errors import InvalidPayload, NotFound
from rocket_kernel.http.messages import JSON_TYPE, Request, Response, data, json_response
from rocket_kernel.http.router import AccessClass, Handler, Route
from rocket_kernel.metadata.registry import Registry
from rocket_kernel.openapi.operation import EntityOperation
from rocket_kernel.openapi.records import (
    describe_create,
    describe_delete,
    describe_get,
    describe_list,
    describe_patch,
    describe_update,
)
from rocket_kernel.query.access import Access
from rocket_kernel.query.parse import ReadLimits, parse_list, parse_projection
from rocket_kernel.query.reader import EVERYTHING, Reader
from rocket_kernel.store.protocol import Session
from rocket_kernel.tracing import note_record, span
from rocket_kernel.write.explain import explain
from rocket_kernel.write.idempotency import Ticket, read_ticket
from rocket_kernel.write.order import WriteOrder
from rocket_kernel.write.perform import perform
from rocket_kernel.write.stages import CREATE, DELETE, UPDATE
from rocket_kernel.write.tags import text_tag
from rocket_kernel.write.view import Written

_SOURCE, _COMPONENT = "engine", "handler"


async def list_records(request: Request) -> Response:
    async def work(session: Session, registry: Registry) -> Response:
        entity = registry.entity(request.params["entity"]).entity
        access = Access(registry, request.actor)
        access.grant(entity.name)
        query = parse_list(request.parameters, entity, registry.model, access, _limits(request))
        note_record(entity.name)
        records, total = await Reader(registry, session, access).page(entity, query)
        meta = {
            "page": query.page,
            "per_page": query.per_page,
            "total": total,
            "total_pages": -(-total // query.per_page),
        }
        return json_response({"data": records, "meta": meta})

    with span(_SOURCE, _COMPONENT, "record.list"):
        return await request.app.read(work, request.actor)


async def get_record(request: Request) -> Response:
    async def work(session: Session, registry: Registry) -> Response:
        entity = registry.entity(request.params["entity"]).entity
        access = Access(registry, request.actor)
        access.grant(entity.name)
        projection = EVERYTHING
        if request.query_string:
            projection = parse_projection(request.parameters, entity, registry.model, access, _limits(request))
        reader = Reader(registry, session, access)
        record = await reader.find(entity, request.params["id"])
        if record is None:
            raise NotFound(f"{entity.name} with id {request.params['id']} not found")
        note_record(entity.name, record[entity.primary_key.field])
        text = json_text.encode(reader.visible(entity, record))
        if not reader.shows_as_it_is(entity, projection):
            (shown,) = await reader.show(entity, [record], projection)
            return _one_record(json_text.encode(shown), text_tag(text))
        return _one_record(text, text_tag(text))

    with span(_SOURCE, _COMPONENT, "record.get"):
        return await request.app.read(work, request.actor)


async def create_record(request: Request) -> Response:
    entity = request.params["entity"]
    if _asks_explanation(request):
        return await _explanation(request, WriteOrder(CREATE, entity, request.body))
    order = WriteOrder(CREATE, entity, request.body, ticket=_ticket(request))
    return _answer(await perform(request.app, order, request.call), 201)


async def update_record(request: Request) -> Response:
    order = WriteOrder(
        UPDATE,
        request.params["entity"],
        request.body,
        request.params["id"],
        if_match=request.headers.get("if-match"),
    )
    if _asks_explanation(request):
        return await _explanation(request, order)
    return _answer(await perform(request.app, order, request.call))


async def delete_record(request: Request) -> Response:
    order = WriteOrder(
        DELETE, request.params["entity"], {}, request.params["id"], if_match=request.headers.get("if-match")
    )
    if _asks_explanation(request):
        return await _explanation(request, order)
    await perform(request.app, order, request.call)
    return data({"id": request.params["id"]})


def _ticket(request: Request) -> Ticket | None:
    """Raises InvalidPayload."""
    key = request.headers.get("idempotency-key")
    return None if key is None else read_ticket(key, request.actor, request.params["entity"], request.body)


def _asks_explanation(request: Request) -> bool:
    """Raises InvalidPayload for a value that is not plain: to guess wrong would be to write."""
    if not request.query_string:
        return False
    value = request.parameters.get("explain", "false")
    if value not in ("true", "false"):
        raise InvalidPayload(f"Invalid value for explain: {value}")
    return value == "true"


async def _explanation(request: Request, order: WriteOrder) -> Response:
    return data(await explain(request.app, order, request.call))


def _answer(written: Written, status: int = 200) -> Response:
    response = _one_record(written.text, written.tag, status)
    if written.replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return response


def _one_record(text: bytes, tag: str, status: int = 200) -> Response:
    """`text` is the record as JSON."""
    return Response(status, b'{"data":%b}' % text, {"Content-Type": JSON_TYPE, "ETag": tag})


def _limits(request: Request) -> ReadLimits:
    limits = request.app.limits
    return ReadLimits(limits.max_per_page, limits.include_depth)


def _route(method: str, path: str, handler: Handler, operation: EntityOperation) -> Route:
    return Route(
        method=method,
        path=path,
        access=AccessClass.PERMISSION,
        handler=handler,
        confirms_caller=True,
        operation=operation,
    )


_COLLECTION = "/api/:app/:entity"
_RECORD = "/api/:app/:entity/:id"

ROUTES = (
    _route("GET", _COLLECTION, list_records, describe_list),
    _route("POST", _COLLECTION, create_record, describe_create),
    _route("GET", _RECORD, get_record, describe_get),
    _route("PUT", _RECORD, update_record, describe_update),
    _route("PATCH", _RECORD, update_record, describe_patch),
    _route("DELETE", _RECORD, delete_record, describe_delete),
)
