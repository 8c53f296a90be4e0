"""Telling observers how a request ended, when all of its answer has been handed to the server."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any

from rocket_kernel.stray import STRAY

if TYPE_CHECKING:
    from rocket_kernel.http.messages import Request

logger = logging.getLogger(__name__)

AnswerObserver = Callable[["Request", int, int, float], None]
"""`observe(request, status, sent, seconds)`: bytes of the body, and the time since the request's head was there."""

CLIENT_GONE = 499
"""What observers are told instead of a status when no answer was begun: the client went away, or the server stops."""


class CountingSend:
    """An ASGI `send` that notes what passes."""

    __slots__ = ("_send", "sent", "status")

    def __init__(self, send: Callable[[Any], Awaitable[None]]) -> None:
        self._send = send
        self.status = CLIENT_GONE
        self.sent = 0

    async def __call__(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message["type"] == "http.response.body":
            self.sent += len(message.get("body", b""))
        await self._send(message)


def tell(observers: tuple[AnswerObserver, ...], request: Request, status: int, sent: int, began: float) -> None:
    """`began` is of `perf_counter`. What observers raise goes to the log."""
    seconds = perf_counter() - began
    for observe in observers:
        try:
            observe(request, status, sent, seconds)
        except (Exception, *STRAY):
            logger.exception("an observer of answers failed, trace %s", request.trace_id)
