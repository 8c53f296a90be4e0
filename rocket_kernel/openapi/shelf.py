"""Documents that were built, for those who ask again: bounded by their size."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from hashlib import blake2b

MOST_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Built:
    body: bytes
    tag: str
    """Strong, of the bytes alone: equal in every process, and no word of what the caller may not see is in it."""


def built(body: bytes) -> Built:
    return Built(body, f'"{blake2b(body, digest_size=16).hexdigest()}"')


@dataclass(slots=True, eq=False)
class Shelf:
    """By key; the one that was asked for least recently goes first."""

    most_bytes: int = MOST_BYTES
    _kept: dict[Hashable, Built] = field(default_factory=dict)
    _underway: dict[Hashable, asyncio.Task[Built]] = field(default_factory=dict)
    _bytes: int = 0

    async def get(self, key: Hashable, build: Callable[[], bytes]) -> Built:
        """What `build` gives, which is pure and runs on a thread, once for all who ask at the same time."""
        found = self._kept.pop(key, None)
        if found is not None:
            self._kept[key] = found
            return found
        task = self._underway.get(key)
        if task is None:
            task = self._underway[key] = asyncio.create_task(self._build(key, build))
        # Whoever goes away does not take it from the others.
        return await asyncio.shield(task)

    async def _build(self, key: Hashable, build: Callable[[], bytes]) -> Built:
        try:
            document = await asyncio.to_thread(lambda: built(build()))
            self._keep(key, document)
            return document
        finally:
            del self._underway[key]

    def _keep(self, key: Hashable, document: Built) -> None:
        self._kept[key] = document
        self._bytes += len(document.body)
        while self._bytes > self.most_bytes and len(self._kept) > 1:
            oldest = next(iter(self._kept))
            self._bytes -= len(self._kept.pop(oldest).body)
