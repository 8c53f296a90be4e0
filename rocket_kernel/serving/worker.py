"""What every worker process does first."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from multiprocessing.connection import wait

from rocket_kernel.serving.logs import configure_logging


def enter_worker() -> None:
    """Listen to the parent alone: to its SIGTERM, and to its death. The HTTP server puts in its own handlers later."""
    heed_signals()
    configure_logging()
    _follow_parent()


def heed_signals() -> None:
    """Drop the handlers a forked worker has of its parent: they would swallow a SIGTERM that comes while it starts.

    Ctrl-C reaches every process of a terminal, and the parent passes it on as SIGTERM.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _follow_parent() -> None:
    """Stop gracefully when the parent dies without having been able to tell its workers."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    sentinel = parent.sentinel

    def watch() -> None:
        wait([sentinel])
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="follow-parent", daemon=True).start()
