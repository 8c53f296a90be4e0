"""GET and HEAD of a file's bytes: contract §13.2. Whatever was uploaded, a browser must not run it here."""

from __future__ import annotations

from datetime import datetime

from rocket_files.access import may_read
from rocket_files.blobs import Blobs
from rocket_files.byte_range import ByteRange, parse_range
from rocket_files.content_type import PLAIN_TEXT, is_inline
from rocket_files.errors import file_not_found
from rocket_files.filenames import content_disposition
from rocket_files.links import is_signed
from rocket_files.stored_file import SPANS, StoredFile, find_file
from rocket_kernel import Registry, Request, Response, Session, annotate, authenticate, span

PUBLIC_CACHE_S = 3600
_POLICY = "sandbox; default-src 'none'"


async def serve(blobs: Blobs, request: Request) -> Response:
    with span(*SPANS, "file.serve"):
        return await _serve(blobs, request)


async def _serve(blobs: Blobs, request: Request) -> Response:
    file = await _permitted_file(request)
    annotate(file_id=file.id, size=file.size)
    store = blobs.store(request.kernel.parts.config.storage)
    headers = file_headers(file)
    if _is_known(request.headers.get("if-none-match"), headers["ETag"]):
        return Response(304, headers=headers)
    if await store.size(file.storage_path) != file.size:
        raise file_not_found(request.params["id"])
    if request.head:
        return Response(200, b"", {**headers, "Content-Length": str(file.size)})
    wanted = _wanted_range(request, file, headers["ETag"])
    part = wanted or ByteRange(0, file.size)
    headers["Content-Length"] = str(part.length)
    if wanted is not None:
        headers["Content-Range"] = wanted.content_range(file.size)
    body = store.read(file.storage_path, part.start, part.length)
    return Response(200 if wanted is None else 206, body, headers)


def file_headers(file: StoredFile) -> dict[str, str]:
    """Of every answer that shows the file. It never changes, so its id is as good a tag as its content."""
    text = "; charset=utf-8" if file.mime_type == PLAIN_TEXT else ""
    return {
        "Content-Type": file.mime_type + text,
        "Content-Disposition": content_disposition(file.filename, inline=is_inline(file.mime_type)),
        "ETag": f'"{file.id}"',
        "Accept-Ranges": "bytes",
        "Cache-Control": f"public, max-age={PUBLIC_CACHE_S}" if file.public else "private",
        "Content-Security-Policy": _POLICY,
        "X-Content-Type-Options": "nosniff",
    }


async def _permitted_file(request: Request) -> StoredFile:
    """Raises as `readable_file`, and Forbidden for a link that is no longer valid."""
    app, id = request.app, request.params["id"]
    now = datetime.fromisoformat(request.now).timestamp()
    signed = is_signed(request.parameters, app.secret, id, now)

    async def find(session: Session, _registry: Registry) -> StoredFile | None:
        return await find_file(session, id)

    file = await app.read(find)
    if file is not None and (signed or file.public):
        return file
    if signed:
        raise file_not_found(id)
    return await readable_file(request)


async def readable_file(request: Request) -> StoredFile:
    """The file of the path, if the caller may read it. Raises NotFound, and Unauthorized when nobody has signed in."""
    actor = await authenticate(request)

    async def find(session: Session, registry: Registry) -> StoredFile | None:
        file = await find_file(session, request.params["id"])
        return file if file is not None and await may_read(session, registry, actor, file) else None

    found = await request.app.read(find)
    if found is None:
        raise file_not_found(request.params["id"])
    return found


def _is_known(header: str | None, tag: str) -> bool:
    if header is None:
        return False
    return header.strip() == "*" or tag in (part.strip().removeprefix("W/") for part in header.split(","))


def _wanted_range(request: Request, file: StoredFile, tag: str) -> ByteRange | None:
    header = request.headers.get("range")
    if header is None or request.headers.get("if-range", tag).strip() != tag:
        return None
    return parse_range(header, file.size)
