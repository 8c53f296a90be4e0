"""Signals of Granian's workers: each is told once to stop, and only when it listens.

Granian puts its handlers in before an application starts and waits for them only while it serves, for one signal. One
that comes sooner, and any after the first, makes its handler wait for ever, and with it the worker. So the signals
that stop a worker are blocked from its first instruction until its loop serves, where the system keeps them; SIGINT
is ignored, since Ctrl-C reaches every process of a terminal and the parent passes it on as SIGTERM; and after the
first SIGTERM others are ignored too: a supervisor may send it to every process, and the parent passes it on as well.
"""

from __future__ import annotations

import asyncio
import os
import signal
from types import FrameType
from typing import TYPE_CHECKING

from quart.asgi import ASGILifespan

if TYPE_CHECKING:
    from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, ASGISendEvent

_STOPPING = (signal.SIGTERM, signal.SIGINT)
# Granian starts an application in one run of the loop and serves in the next. It takes three turns of the loop from
# the application's last word to the end of the first run; turns after those belong to the second.
_TURNS = 10


def hold_signals() -> None:
    """Keep signals that stop a process for later: for the calling thread, and for those it starts."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)


def hold_signals_in_workers() -> None:
    """Processes that the calling one forks from now on begin with their signals held; those they fork do not."""
    server = os.getpid()

    def before() -> None:
        if os.getpid() == server:
            hold_signals()

    def in_server() -> None:
        if os.getpid() == server:
            _let_signals_in()

    os.register_at_fork(before=before, after_in_parent=in_server)


class SignalsLifespan(ASGILifespan):
    """Lets signals in, once the server has heard that the application has started."""

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _heed_once(signal.SIGTERM)
        letting_in: list[asyncio.Task[None]] = []

        async def tell(event: ASGISendEvent) -> None:
            await send(event)
            if event["type"] == "lifespan.startup.complete":
                letting_in.append(asyncio.create_task(_let_in_after_turns()))

        await super().__call__(receive, tell)


def _heed_once(signum: signal.Signals) -> None:
    heed = signal.getsignal(signum)

    def once(signum: int, frame: FrameType | None) -> None:
        signal.signal(signum, signal.SIG_IGN)
        if callable(heed):
            heed(signum, frame)

    signal.signal(signum, once)
    signal.siginterrupt(signum, False)


async def _let_in_after_turns() -> None:
    for _ in range(_TURNS):
        await asyncio.sleep(0)
    _let_signals_in()


def _let_signals_in() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
