"""POST `_files/upload`: contract §13.1. The body streams to storage; the row comes last, so there is no half a file."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import uuid4

from rocket_files.blobs import Blobs, BlobStore, BlobWriter
from rocket_files.content_type import HEAD_BYTES, decide_type
from rocket_files.errors import FileTooLarge
from rocket_files.filenames import display_name
from rocket_files.stored_file import ROWS, SPANS, StoredFile, blob_key
from rocket_files.upload_form import MAX_BESIDE_FILE, FilePart, UploadForm
from rocket_kernel import AppContext, InvalidPayload, Request, Response, RocketError, annotate, data, span

logger = logging.getLogger(__name__)

IDLE_S = 30.0
"""Longest pause between two pieces of a body."""


@dataclass(slots=True)
class _Intake:
    """The bytes of one file on their way to storage."""

    writer: BlobWriter
    limit: int
    announced: int | None
    size: int = 0
    head: bytearray = field(default_factory=bytearray)

    async def take(self, chunk: bytes) -> None:
        """Raises FileTooLarge with the first byte too many."""
        self.size += len(chunk)
        if self.size > self.limit:
            raise FileTooLarge(max(self.announced or 0, self.size), self.limit)
        if len(self.head) < HEAD_BYTES:
            self.head += chunk[: HEAD_BYTES - len(self.head)]
        await self.writer.write(chunk)


async def upload(blobs: Blobs, request: Request) -> Response:
    with span(*SPANS, "file.upload"):
        return await _upload(blobs, request)


async def _upload(blobs: Blobs, request: Request) -> Response:
    config = request.kernel.parts.config.storage
    announced = _announced(request)
    if announced is not None and announced > config.max_file_size + MAX_BESIDE_FILE:
        raise FileTooLarge(announced, config.max_file_size)
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise InvalidPayload("Unsupported content encoding")
    form = UploadForm(request.headers.get("content-type", ""))
    app, store, id = request.app, blobs.store(config), str(uuid4())
    key = blob_key(app.name, id)
    async with AsyncExitStack() as stack:
        part, intake = await _receive(request, form, partial(store.writing, key), stack, blobs.turns)
    file = StoredFile(
        id=id,
        filename=display_name(part.filename),
        storage_path=key,
        mime_type=decide_type(bytes(intake.head), part.content_type),
        size=intake.size,
        public=form.public,
        uploaded_by=request.actor.id,
        created_at=request.now,
    )
    await _finished(_keep(app, store, file))
    annotate(file_id=id, size=file.size)
    return data(file.uploaded(app.name), 201)


def _announced(request: Request) -> int | None:
    text = request.headers.get("content-length", "")
    return int(text[:19]) if text.isascii() and text.isdigit() else None


async def _receive(
    request: Request,
    form: UploadForm,
    writing: Callable[[], AbstractAsyncContextManager[BlobWriter]],
    stack: AsyncExitStack,
    turns: asyncio.Semaphore,
) -> tuple[FilePart, _Intake]:
    """Read the whole body; the blob is there once `stack` is left."""
    limit = request.kernel.parts.config.storage.max_file_size
    intake: _Intake | None = None
    async for chunk in _arriving(request.stream):
        async with turns:
            events = list(form.feed(chunk))
            # A turn ends when everybody else has had theirs: uploads that all move at once would make others wait.
            await asyncio.sleep(0)
        for event in events:
            if isinstance(event, FilePart):
                intake = _Intake(await stack.enter_async_context(writing()), limit, _announced(request))
            elif intake is not None:
                await intake.take(event)
    part = form.finish()
    if intake is None:
        raise InvalidPayload("Missing file in form data")
    return part, intake


async def _arriving(stream: AsyncIterator[bytes] | None) -> AsyncIterator[bytes]:
    """Raises InvalidPayload when the body stops coming."""
    while stream is not None:
        try:
            async with asyncio.timeout(IDLE_S):
                chunk = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise InvalidPayload("Request body took too long") from error
        yield chunk


async def _keep(app: AppContext, store: BlobStore, file: StoredFile) -> None:
    """Store the row; the blob goes again when that fails."""
    try:
        async with app.writing() as (tx, _registry):
            await ROWS.insert(tx, file.as_row())
    except BaseException:
        with suppress(RocketError):  # what stays behind has no row and goes with the next clean-up
            await store.delete(file.storage_path)
        raise


async def _finished(work: Coroutine[Any, Any, None]) -> None:
    """Wait for work that must come to its end, whether or not the client is still there to hear of it."""
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
