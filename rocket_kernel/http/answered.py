"""How requests ended: observers of answers and listeners to traces are told together, a turn of the event loop at a time.

One by one, in the middle of requests, telling costs more: then nothing of it is in the caches of the processor.
"""

from __future__ import annotations

import logging
from asyncio import get_running_loop
from collections.abc import Awaitable, Callable
from contextvars import Context
from time import perf_counter
from typing import TYPE_CHECKING, Any

from rocket_kernel.http.traced import end_traces
from rocket_kernel.stray import STRAY

if TYPE_CHECKING:
    from rocket_kernel.http.messages import Request
    from rocket_kernel.http.traced import EndedTrace
    from rocket_kernel.spans import Trace

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


class Endings:
    """Of the requests of one kernel, whose event loop calls."""

    __slots__ = ("_answered", "_context", "_traced", "observers")

    def __init__(self, observers: tuple[AnswerObserver, ...]) -> None:
        self.observers = observers
        self._answered: list[tuple[Request, int, int, float]] = []
        self._traced: list[EndedTrace] = []
        # Of its own: what is told belongs to no request.
        self._context = Context()

    def traced(self, trace: Trace, request: Request, status: int | None) -> None:
        """The trace of a request has ended; `status` is that of the answer, if there is one."""
        if not (self._traced or self._answered):
            get_running_loop().call_soon(self.tell, context=self._context)
        self._traced.append((trace, request, status))

    def answered(self, request: Request, status: int, sent: int, began: float) -> None:
        """All of an answer has been handed to the server. `began` is of `perf_counter`."""
        if not (self._traced or self._answered):
            get_running_loop().call_soon(self.tell, context=self._context)
        self._answered.append((request, status, sent, perf_counter() - began))

    def tell(self) -> None:
        """What has ended and was not told yet. What observers and listeners raise goes to the log."""
        traced, self._traced = self._traced, []
        answered, self._answered = self._answered, []
        end_traces(traced)
        for observe in self.observers:
            for answer in answered:
                try:
                    observe(*answer)
                except (Exception, *STRAY):
                    logger.exception("an observer of answers failed, trace %s", answer[0].trace_id)
