"""How Granian's workers are told to stop.

Granian takes one signal when it serves, and has room for one more. Those beyond let its handler wait for ever with the
interpreter's lock, and with it the worker and the requests under way. But Ctrl-C reaches every process of a terminal, supervisors tell every
process of a service, and the parent passes the signal on as well. So handlers of our own take the place of its, and
hand on the first.
"""

from __future__ import annotations

import asyncio
import os
import signal

from granian import _signals
from granian._granian import WorkerSignal

from rocket_kernel.serving.worker import heed_signals

_STOPPING = (signal.SIGTERM, signal.SIGINT)


def heed_signals_in_workers() -> None:
    """Processes that the calling one forks from now on drop the handlers they have of it; those they fork do not.

    Signals wait meanwhile: a handler of the parent would swallow one that comes before a new process runs.
    """
    server = os.getpid()
    masks: list[set[int | signal.Signals]] = []

    def before() -> None:
        if os.getpid() == server:
            masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING))

    def in_parent() -> None:
        if os.getpid() == server:
            signal.pthread_sigmask(signal.SIG_SETMASK, masks.pop())

    def in_child() -> None:
        if os.getppid() == server:
            heed_signals()
            signal.pthread_sigmask(signal.SIG_SETMASK, masks.pop())

    os.register_at_fork(before=before, after_in_parent=in_parent, after_in_child=in_child)


def take_over_signals() -> None:
    """In a worker, before Granian puts its handlers in, which it does when the application has been loaded."""
    _signals.set_loop_signals = _set_loop_signals


def _set_loop_signals(loop: asyncio.AbstractEventLoop) -> WorkerSignal:
    stop = WorkerSignal()
    told = False

    def tell() -> None:
        nonlocal told
        if not told:
            told = True
            stop.set()

    loop.add_signal_handler(signal.SIGTERM, tell)
    loop.add_signal_handler(signal.SIGINT, _pass_over)
    # Granian starts an application in one run of the loop and serves in the next. Between them the loop calls nobody.
    signal.signal(signal.SIGTERM, lambda *_: tell())
    signal.siginterrupt(signal.SIGTERM, False)
    return stop


def _pass_over() -> None:
    """The parent tells of Ctrl-C."""
