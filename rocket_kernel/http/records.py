"""The five record endpoints: contract §3 and §5."""

from __future__ import annotations

from rocket_kernel.errors import NotFound
from rocket_kernel.http.messages import Request, Response, data, json_response
from rocket_kernel.http.router import AccessClass, Route
from rocket_kernel.metadata.registry import Registry
from rocket_kernel.query.access import Access
from rocket_kernel.query.parse import ReadLimits, parse_list, parse_projection
from rocket_kernel.query.reader import Reader
from rocket_kernel.store.protocol import Session
from rocket_kernel.write.perform import WriteOrder, perform
from rocket_kernel.write.stages import CREATE, DELETE, UPDATE


async def list_records(request: Request) -> Response:
    async def work(session: Session, registry: Registry) -> Response:
        entity = registry.entity(request.params["entity"]).entity
        access = Access(registry, request.actor)
        access.grant(entity.name)
        query = parse_list(request.parameters, entity, registry.model, access, _limits(request))
        records, total = await Reader(registry, session, access).page(entity, query)
        meta = {
            "page": query.page,
            "per_page": query.per_page,
            "total": total,
            "total_pages": -(-total // query.per_page),
        }
        return json_response({"data": records, "meta": meta})

    return await request.app.read(work)


async def get_record(request: Request) -> Response:
    async def work(session: Session, registry: Registry) -> Response:
        entity = registry.entity(request.params["entity"]).entity
        access = Access(registry, request.actor)
        access.grant(entity.name)
        projection = parse_projection(request.parameters, entity, registry.model, access, _limits(request))
        reader = Reader(registry, session, access)
        record = await reader.find(entity, request.params["id"])
        if record is None:
            raise NotFound(f"{entity.name} with id {request.params['id']} not found")
        (shown,) = await reader.show(entity, [record], projection)
        return data(shown)

    return await request.app.read(work)


async def create_record(request: Request) -> Response:
    order = WriteOrder(CREATE, request.params["entity"], request.body)
    return data(await perform(request.app, order, request.call), 201)


async def update_record(request: Request) -> Response:
    order = WriteOrder(UPDATE, request.params["entity"], request.body, request.params["id"])
    return data(await perform(request.app, order, request.call))


async def delete_record(request: Request) -> Response:
    order = WriteOrder(DELETE, request.params["entity"], {}, request.params["id"])
    await perform(request.app, order, request.call)
    return data({"id": request.params["id"]})


def _limits(request: Request) -> ReadLimits:
    limits = request.app.limits
    return ReadLimits(limits.max_per_page, limits.include_depth)


_COLLECTION = "/api/:app/:entity"
_RECORD = "/api/:app/:entity/:id"

ROUTES = (
    Route(method="GET", path=_COLLECTION, access=AccessClass.PERMISSION, handler=list_records),
    Route(method="POST", path=_COLLECTION, access=AccessClass.PERMISSION, handler=create_record),
    Route(method="GET", path=_RECORD, access=AccessClass.PERMISSION, handler=get_record),
    Route(method="PUT", path=_RECORD, access=AccessClass.PERMISSION, handler=update_record),
    Route(method="PATCH", path=_RECORD, access=AccessClass.PERMISSION, handler=update_record),
    Route(method="DELETE", path=_RECORD, access=AccessClass.PERMISSION, handler=delete_record),
)
