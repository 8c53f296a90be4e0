"""Reading JSON bodies: bounded in size, time and depth, before anything is parsed."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from rocket_kernel import json_text
from rocket_kernel.errors import InvalidPayload, PayloadTooLarge

BODY_TIMEOUT_S = 20.0
"""Longest time for a whole JSON body to arrive; slower ones hold a connection for nothing."""

METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_GZIP = 16 + zlib.MAX_WBITS


async def read_json(headers: Mapping[str, str], stream: AsyncIterator[bytes], *, limit: int) -> Mapping[str, Any]:
    """The JSON object of a body; {} for an empty one or another content type.

    Raises PayloadTooLarge without reading on, and InvalidPayload.
    """
    declared = headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > limit:
        raise PayloadTooLarge(limit)
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
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
