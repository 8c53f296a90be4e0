"""Where the bytes of files are kept: what both kinds of storage promise, and the choice between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from rocket_kernel import StorageConfig

CHUNK_BYTES = 262_144
"""What moves at a time between storage and memory."""


_TURNS = 2
"""Uploads that read a piece of their body in one round of the event loop."""


class BlobWriter(Protocol):
    async def write(self, chunk: bytes) -> None:
        """Raises Unavailable and StorageFull."""
        ...


class BlobStore(Protocol):
    """Blobs by key, `{app}/{id}`. They never change once they are there.

    Every method raises Unavailable when the storage is away.
    """

    def writing(self, key: str) -> AbstractAsyncContextManager[BlobWriter]:
        """A new blob. When the block ends it is there, whole and durable; when the block raises it never was.

        A process that dies within the block leaves nothing that can be read.
        """
        ...

    async def size(self, key: str) -> int | None:
        """Bytes; None when there is no such blob."""
        ...

    def read(self, key: str, start: int, length: int) -> AsyncIterator[bytes]:
        """Exactly these bytes of a blob that is long enough; opens nothing before the first one is asked for."""
        ...

    async def delete(self, key: str) -> None:
        """Whether it was there or not."""
        ...

    async def delete_app(self, app: str) -> None:
        """Everything of an app, if there is anything."""
        ...

    async def list(self, app: str) -> Mapping[str, datetime] | None:
        """When each key of an app was last written, leftovers of uploads that were cut off included.

        None when there is no place for the app at all, which may mean that its storage is not connected.
        """
        ...

    def close(self) -> None: ...


class Blobs:
    """The storage that a configuration asks for, opened at first use: a worker forks before it has one."""

    def __init__(self) -> None:
        self._store: BlobStore | None = None
        self.turns = asyncio.Semaphore(_TURNS)
        """Held by an upload while it reads a piece of its body."""

    def store(self, config: StorageConfig) -> BlobStore:
        """Raises ConfigError."""
        if self._store is None:
            self._store = _open(config)
        return self._store

    def close(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            store.close()


def _open(config: StorageConfig) -> BlobStore:
    if config.driver == "s3":
        # Its library is not loaded where files are kept on disk.
        from rocket_files.s3_blobs import S3Blobs

        return S3Blobs(config.s3, max_file_size=config.max_file_size)
    from rocket_files.local_blobs import LocalBlobs

    return LocalBlobs(config.local_path)
