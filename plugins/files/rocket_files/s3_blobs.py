"""Blobs as objects of a bucket, on any server that speaks the protocol of S3."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from rocket_kernel import MASK, ConfigError, S3Config, Unavailable

logger = logging.getLogger(__name__)

_MIN_PART = 5 * 1024 * 1024
"""The protocol's own limit, for all parts of an upload but the last."""
_MOST_PARTS = 9000
"""The protocol allows 10,000."""
_PARTS_AT_ONCE = 2
_READ_BYTES = 2 * 1024 * 1024
"""A download asks for so much at a time: a slow client then holds no connection to the storage."""
_DELETED_AT_ONCE = 1000
_TIMEOUT = timedelta(seconds=60)
_RETRY: Any = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}


class S3Blobs:
    def __init__(self, config: S3Config, *, max_file_size: int) -> None:
        """Without keys in the configuration, those of the environment or of the machine's role count.

        Raises ConfigError.
        """
        if not config.bucket:
            raise ConfigError("storage.s3.bucket is required with storage.driver s3")
        options: dict[str, Any] = {
            "region": config.region or "us-east-1",
            "virtual_hosted_style_request": not config.path_style,
        }
        if config.endpoint:
            options["endpoint"] = config.endpoint
        if config.access_key:
            options["access_key_id"] = config.access_key
        if config.secret_key is not None:
            options["secret_access_key"] = config.secret_key.reveal()
        self._part_bytes = max(_MIN_PART, -(-max_file_size // _MOST_PARTS))
        keys = ("access_key_id", "secret_access_key")
        self._translated = partial(_translated, [options[name] for name in keys if options.get(name)])
        client: Any = {
            "timeout": _TIMEOUT,
            "connect_timeout": timedelta(seconds=5),
            "allow_http": (config.endpoint or "").startswith("http://"),
        }
        self._store = S3Store(
            config.bucket,
            prefix=config.prefix.strip("/") or None,
            client_options=client,
            retry_config=_RETRY,
            **options,
        )

    @asynccontextmanager
    async def writing(self, key: str) -> AsyncIterator[_S3Writer]:
        # Leaving its block by an error aborts the upload; the object appears only when the block ends well.
        file = obstore.open_writer_async(self._store, key, buffer_size=self._part_bytes, max_concurrency=_PARTS_AT_ONCE)
        with self._translated():
            await file.__aenter__()
        try:
            yield _S3Writer(file, self._translated)
        except BaseException as error:
            with suppress(Unavailable), self._translated():
                await file.__aexit__(type(error), error, error.__traceback__)
            raise
        with self._translated():
            await file.__aexit__(None, None, None)

    async def size(self, key: str) -> int | None:
        with self._translated():
            try:
                return int((await obstore.head_async(self._store, key))["size"])
            except FileNotFoundError:
                return None

    async def read(self, key: str, start: int, length: int) -> AsyncIterator[bytes]:
        end = start + length
        while start < end:
            with self._translated():
                found = await obstore.get_range_async(
                    self._store, key, start=start, length=min(_READ_BYTES, end - start)
                )
            if not len(found):
                raise Unavailable("The file is shorter than it was")
            start += len(found)
            yield found.to_bytes()

    async def delete(self, key: str) -> None:
        with self._translated(), suppress(FileNotFoundError):
            await obstore.delete_async(self._store, key)

    async def delete_app(self, app: str) -> None:
        keys = list(await self.list(app) or ())
        for first in range(0, len(keys), _DELETED_AT_ONCE):
            with self._translated():
                await obstore.delete_async(self._store, keys[first : first + _DELETED_AT_ONCE])

    async def list(self, app: str) -> Mapping[str, datetime] | None:
        found: dict[str, datetime] = {}
        with self._translated():
            async for page in obstore.list(self._store, f"{app}/", chunk_size=1000):
                found.update((entry["path"], entry["last_modified"]) for entry in page)
        # A bucket knows no folders: what is empty and what is the wrong place look the same.
        return found or None

    def close(self) -> None:
        return None


class _S3Writer:
    def __init__(self, file: obstore.AsyncWritableFile, translated: Callable[[], AbstractContextManager[None]]) -> None:
        self._file = file
        self._translated = translated

    async def write(self, chunk: bytes) -> None:
        with self._translated():
            await self._file.write(chunk)


@contextmanager
def _translated(secrets: Sequence[str]) -> Iterator[None]:
    """The storage's errors -> Unavailable; FileNotFoundError is for the caller to meet before."""
    try:
        yield
    except (BaseError, OSError) as error:
        # Its text names addresses and buckets, which is for the log and not for clients, and it quotes what the storage
        # has answered: that may send the keys back.
        text = str(error)
        for secret in secrets:
            text = text.replace(secret, MASK)
        logger.warning("the file storage failed: %s", text)
        raise Unavailable("File storage is not available") from None
