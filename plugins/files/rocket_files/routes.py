"""The other calls of contract §13.3, and the table of all routes."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from rocket_files import described
from rocket_files.blobs import Blobs
from rocket_files.errors import file_not_found
from rocket_files.links import read_ttl, signed_url
from rocket_files.serve import readable_file, serve
from rocket_files.settings import FilesSettings
from rocket_files.stored_file import ROWS, SPANS, find_file, from_row, remove_row
from rocket_files.upload import upload
from rocket_kernel import (
    AccessClass,
    BodyMode,
    Operation,
    Request,
    Response,
    RocketError,
    Route,
    annotate,
    data,
    span,
    timestamp_text,
)

logger = logging.getLogger(__name__)

Handler = Callable[[Request], Awaitable[Response]]


async def list_files(request: Request) -> Response:
    async with request.app.reading() as (session, _registry):
        rows = await ROWS.select(session, order_by=("-created_at", "id"))
    return data([from_row(row).listed() for row in rows])


async def delete_file(blobs: Blobs, request: Request) -> Response:
    with span(*SPANS, "file.delete"):
        return await _delete_file(blobs, request)


async def _delete_file(blobs: Blobs, request: Request) -> Response:
    id = request.params["id"]
    async with request.app.writing() as (tx, _registry):
        file = await find_file(tx, id)
        if file is None or not await remove_row(tx, file.id):
            raise file_not_found(id)
    annotate(file_id=file.id)
    try:
        await blobs.store(request.kernel.parts.config.storage).delete(file.storage_path)
    except RocketError:
        # Without its row nobody can read it; the clean-up removes it.
        logger.warning("the bytes of file %s stay for the clean-up", file.id)
    return data({"deleted": True})


async def make_link(settings: FilesSettings, request: Request) -> Response:
    file = await readable_file(request)
    ttl = read_ttl(request.parameters.get("ttl"), settings.signed_url_ttl_s)
    # Whole seconds, which is what the address holds; rounded up, so that it lasts as long as was asked for.
    until = datetime.fromisoformat(request.now) + timedelta(seconds=ttl, microseconds=999_999)
    expires = int(until.timestamp())
    return data(
        {
            "url": signed_url(request.app.secret, request.app.name, file.id, expires),
            "expires_at": timestamp_text(datetime.fromtimestamp(expires, UTC)),
        }
    )


def routes(blobs: Blobs, settings: FilesSettings) -> Sequence[Route]:
    one = "/api/:app/_files/:id"
    # What a GET answers may depend on who calls, or on nothing: it finds out by itself.
    return (
        Route(
            method="POST",
            path="/api/:app/_files/upload",
            access=AccessClass.AUTHENTICATED,
            handler=partial(upload, blobs),
            body=BodyMode.STREAM,
            operation=described.UPLOAD,
        ),
        _route("GET", "/api/:app/_files", AccessClass.ADMIN, list_files, described.LIST),
        _route("GET", one, AccessClass.PUBLIC, partial(serve, blobs), described.SERVE),
        _route("DELETE", one, AccessClass.ADMIN, partial(delete_file, blobs), described.DELETE),
        _route("GET", f"{one}/url", AccessClass.AUTHENTICATED, partial(make_link, settings), described.LINK),
    )


def _route(method: str, path: str, access: AccessClass, handler: Handler, operation: Operation) -> Route:
    return Route(method=method, path=path, access=access, handler=handler, operation=operation)
