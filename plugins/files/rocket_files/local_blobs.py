"""Blobs as files of a folder. A file gets its name only when it is complete and on disk."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Lock
from typing import BinaryIO, TypeVar

from rocket_files.blobs import CHUNK_BYTES
from rocket_kernel import StorageFull, Unavailable

logger = logging.getLogger(__name__)

T = TypeVar("T")

UNFINISHED = ".part"
_THREADS = 4
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class LocalBlobs:
    def __init__(self, root: Path) -> None:
        self._root = root
        # Threads of its own: a slow disk must not hold up whatever else runs in threads.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="rocket-files")

    @asynccontextmanager
    async def writing(self, key: str) -> AsyncIterator[_LocalWriter]:
        writer = _LocalWriter(self._path(key), self._run)
        try:
            await self._run(writer.open)
            yield writer
            await self._run(writer.finish)
        except BaseException:
            # A cancelled upload has to clean up, too, and nothing may cut that short.
            await asyncio.shield(asyncio.ensure_future(self._run(writer.discard)))
            raise

    async def size(self, key: str) -> int | None:
        def look() -> int | None:
            try:
                return self._path(key).stat().st_size
            except (FileNotFoundError, NotADirectoryError):
                return None

        return await self._run(look)

    async def read(self, key: str, start: int, length: int) -> AsyncIterator[bytes]:
        file = await self._run(lambda: _open_at(self._path(key), start))
        try:
            while length:
                chunk = await self._run(partial(file.read, min(length, CHUNK_BYTES)))
                if not chunk:
                    raise Unavailable("The file is shorter than it was")
                length -= len(chunk)
                yield chunk
        finally:
            file.close()

    async def delete(self, key: str) -> None:
        await self._run(lambda: self._path(key).unlink(missing_ok=True))

    async def delete_app(self, app: str) -> None:
        def remove() -> None:
            with suppress(FileNotFoundError):
                shutil.rmtree(self._root / app)

        await self._run(remove)

    async def list(self, app: str) -> Mapping[str, datetime] | None:
        def look() -> Mapping[str, datetime] | None:
            try:
                return dict(_entries(self._root / app))
            except FileNotFoundError:
                return None

        return await self._run(look)

    def close(self) -> None:
        self._threads.shutdown()

    def _path(self, key: str) -> Path:
        return self._root / key

    async def _run(self, work: Callable[[], T]) -> T:
        """Raises StorageFull and Unavailable for what the disk refuses."""
        with _translated():
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)


class _LocalWriter:
    """Its methods but `write` run in threads; a cancelled one may still be at work when the next begins."""

    def __init__(self, path: Path, run: Callable[[Callable[[], None]], object]) -> None:
        self._path = path
        self._part = path.with_name(path.name + UNFINISHED)
        self._run = run
        self._pending = bytearray()
        self._file: BinaryIO | None = None
        self._lock = Lock()

    async def write(self, chunk: bytes) -> None:
        self._pending += chunk
        if len(self._pending) >= CHUNK_BYTES:
            await self._run(self._flush)  # type: ignore[misc]

    def open(self) -> None:
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._part.open("xb", buffering=0)

    def _flush(self) -> None:
        with self._lock:
            if self._file is None:
                return
            whole = memoryview(self._pending)
            try:
                written = 0
                while written < len(whole):
                    written += self._file.write(whole[written:])
            finally:
                whole.release()
            self._pending.clear()

    def finish(self) -> None:
        self._flush()
        with self._lock:
            if self._file is None:
                return
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None
            self._part.rename(self._path)
            _sync_folder(self._path.parent)

    def discard(self) -> None:
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None
            self._part.unlink(missing_ok=True)
            self._path.unlink(missing_ok=True)


def _open_at(path: Path, start: int) -> BinaryIO:
    file = path.open("rb", buffering=0)
    file.seek(start)
    return file


def _entries(folder: Path) -> Iterator[tuple[str, datetime]]:
    with os.scandir(folder) as found:
        for entry in found:
            with suppress(FileNotFoundError):  # it went while we looked
                if entry.is_file(follow_symlinks=False):
                    yield f"{folder.name}/{entry.name}", datetime.fromtimestamp(entry.stat().st_mtime, UTC)


def _sync_folder(folder: Path) -> None:
    """The new name is on disk only when the folder is."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull from error
        logger.warning("the file storage failed: %s", error)
        raise Unavailable("File storage is not available") from error
