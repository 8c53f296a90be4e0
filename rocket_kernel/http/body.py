"""Reading JSON bodies: bounded in size, time and depth, before anything is parsed."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Generator, Mapping
from contextlib import suppress
from typing import Any

from quart.wrappers.request import Body

from rocket_kernel import json_text
from rocket_kernel.errors import InvalidPayload, PayloadTooLarge
from rocket_kernel.time_limit import TimeLimit

BODY_TIMEOUT_S = 20.0
"""Longest time for a whole JSON body to arrive; slower ones hold a connection for nothing."""

UNREAD_AT_MOST = 262_144
"""Bytes of a body that are taken from the connection before anybody reads them."""

DRAIN_BYTES = 67_108_864
DRAIN_TIMEOUT_S = 5.0

METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_GZIP = 16 + zlib.MAX_WBITS


class BoundedBody(Body):
    """Quart's body, which its reader can keep small: `room` waits until what has come is being read.

    Routes of the host have it as Quart made it: `unbound`.
    """

    def __init__(self, expected_content_length: int | None, max_content_length: int | None) -> None:
        super().__init__(expected_content_length, max_content_length)
        self._room = asyncio.Event()
        self._room.set()
        self._forgotten = False
        self.bounded = True

    def unbound(self) -> None:
        """It may come as fast as it can: Quart's own limit is what holds then."""
        self.bounded = False
        self._room.set()

    def forget(self) -> None:
        """Nobody reads it any more: drop what has come, and whatever still comes.

        A server that cannot get rid of a body may not get on with the answer either.
        """
        self._forgotten = True
        self._data.clear()
        self._room.set()

    def append(self, data: bytes) -> None:
        if self._forgotten:
            return
        super().append(data)
        if self.bounded and len(self._data) >= UNREAD_AT_MOST:
            self._room.clear()

    async def room(self) -> None:
        await self._room.wait()

    async def __anext__(self) -> bytes:
        data = await super().__anext__()
        self._room.set()
        return data

    def __await__(self) -> Generator[Any, None, Any]:
        self.unbound()  # who asks for all of it at once takes nothing from it before its end
        return super().__await__()


async def drain(stream: AsyncIterator[bytes]) -> None:
    """Read what is left of a body and forget it, within limits.

    A client that is still sending when the connection closes does not get to see why.
    """
    left = DRAIN_BYTES
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_TIMEOUT_S):
            async for chunk in stream:
                left -= len(chunk)
                if left < 0:
                    return


async def read_json(
    headers: Mapping[str, str], stream: AsyncIterator[bytes], *, limit: int, time_limit: TimeLimit
) -> Mapping[str, Any]:
    """The JSON object of a body; {} for an empty one or another content type.

    Raises PayloadTooLarge without reading on, and InvalidPayload.
    """
    declared = headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > limit:
        raise PayloadTooLarge(limit)
    try:
        with time_limit():
            body = await _read(stream, headers.get("content-encoding", ""), limit=limit)
    except TimeoutError as error:
        raise InvalidPayload("Request body took too long") from error
    if not body.strip() or not _is_json(headers.get("content-type")):
        return {}
    try:
        value = json_text.decode(body)
    except json_text.InvalidJson as error:
        raise InvalidPayload from error
    if not isinstance(value, dict):
        raise InvalidPayload("object expected")
    return value


def refuse_ambiguous_length(headers: Mapping[str, str]) -> None:
    """Two ways of telling a body's length let a proxy and this server disagree on where a request ends."""
    if "content-length" in headers and "transfer-encoding" in headers:
        raise InvalidPayload("Ambiguous body length")


async def _read(stream: AsyncIterator[bytes], encoding: str, *, limit: int) -> bytes:
    inflate = _inflater(encoding.strip().lower())
    kept = bytearray()
    received = 0
    async for chunk in stream:
        received += len(chunk)
        kept += chunk if inflate is None else _inflated(inflate, chunk, limit - len(kept) + 1)
        if len(kept) > limit or received > limit:
            raise PayloadTooLarge(limit)
    if inflate is not None and received and (not inflate.eof or inflate.unused_data):
        raise InvalidPayload  # cut off, or followed by something else
    return bytes(kept)


def _inflater(encoding: str) -> Any:
    if encoding in ("", "identity"):
        return None
    if encoding == "gzip":
        return zlib.decompressobj(_GZIP)
    if encoding == "deflate":
        return zlib.decompressobj()
    raise InvalidPayload("Unsupported content encoding")


def _inflated(inflate: Any, chunk: bytes, at_most: int) -> bytes:
    try:
        return bytes(inflate.decompress(chunk, at_most))
    except zlib.error as error:
        raise InvalidPayload from error


def _is_json(content_type: str | None) -> bool:
    if content_type is None:
        return True
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type == "application/json" or (media_type.startswith("application/") and media_type.endswith("+json"))
