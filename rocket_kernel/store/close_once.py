"""Closing what several may want closed at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class CloseOnce:
    """Runs `close` at the first call. Every caller waits for the same end, and it comes even when one goes away."""

    __slots__ = ("_close", "_ending")

    def __init__(self, close: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._close = close
        self._ending: asyncio.Task[None] | None = None

    @property
    def begun(self) -> bool:
        return self._ending is not None

    async def __call__(self) -> None:
        if self._ending is None:
            self._ending = asyncio.create_task(self._close())
        await asyncio.shield(self._ending)
