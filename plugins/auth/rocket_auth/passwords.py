"""Passwords: bcrypt in threads, a bounded number at a time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import bcrypt

from rocket_kernel import Unavailable, ValidationFailed

T = TypeVar("T")

COST = 12
DEFAULT_PASSWORD = "changeme"  # noqa: S105  # of the seeds, known to everybody, which is why it must be changed
SHORTEST, LONGEST = 8, 72
"""In bytes of UTF-8. bcrypt looks at no more."""

WAIT_LIMIT_S = 30.0
"""Longest time a request waits for those before it to be hashed."""

_DECOY = "$2b${cost:02d}$oaPGSf1chMeHVEJrWNV9Muad5p7tp9PZ9Hua8l9HVzsuMrQzmrkmG"


def require_allowed(password: str) -> str:
    """Raises ValidationFailed for what must not become a password."""
    if "\x00" in password or not SHORTEST <= len(_encoded(password)) <= LONGEST:
        raise ValidationFailed(f"password must be {SHORTEST} to {LONGEST} bytes")
    return password


class Passwords:
    """`cost` is the binary logarithm of bcrypt's rounds."""

    def __init__(self, cost: int = COST) -> None:
        self._cost = cost
        # Half of the processors, so that hashing never starves the event loop.
        self._places = asyncio.Semaphore(max(1, (os.cpu_count() or 1) // 2))
        self._decoy = _DECOY.format(cost=cost)

    @asynccontextmanager
    async def place(self) -> AsyncIterator[Hasher]:
        """A turn at hashing. Raises Unavailable when none comes within the limit of time."""
        try:
            async with asyncio.timeout(WAIT_LIMIT_S):
                await self._places.acquire()
        except TimeoutError:
            raise Unavailable(retry_after=int(WAIT_LIMIT_S)) from None
        try:
            yield Hasher(self._cost, self._decoy)
        finally:
            self._places.release()

    async def hash(self, password: str) -> str:
        """The hash of an allowed password. Raises Unavailable."""
        async with self.place() as hasher:
            return await hasher.hash(password)

    async def matches(self, password: str, stored: str | None) -> bool:
        """Whether the password has this hash. False without one, after the same time. Raises Unavailable."""
        async with self.place() as hasher:
            return await hasher.matches(password, stored)


class Hasher:
    """Works in a thread, since each call takes a quarter of a second."""

    def __init__(self, cost: int, decoy: str) -> None:
        self._cost = cost
        self._decoy = decoy

    async def hash(self, password: str) -> str:
        hashed = await _in_thread(lambda: bcrypt.hashpw(_encoded(password), bcrypt.gensalt(self._cost)))
        return hashed.decode()

    async def matches(self, password: str, stored: str | None) -> bool:
        given = _encoded(password)
        against = (self._decoy if stored is None else stored).encode()
        # What can be nobody's password costs the same time as what can.
        same = await _in_thread(lambda: bcrypt.checkpw(given[:LONGEST].replace(b"\x00", b"?"), against))
        return same and stored is not None and len(given) <= LONGEST and b"\x00" not in given


def _encoded(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")


async def _in_thread(work: Callable[[], T]) -> T:
    return await asyncio.to_thread(work)
