"""Several processes serving one socket, for servers that bring no supervision that fits."""

from __future__ import annotations

import logging
import multiprocessing
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from rocket_kernel.errors import StartupError
from rocket_kernel.serving.options import GRACE_S, STOP_S
from rocket_kernel.serving.worker import enter_worker

logger = logging.getLogger(__name__)

SHORTEST_LIFE_S = 5.0
"""A worker that ends sooner would only end again: the server stops instead of starting another."""

HEARING_S = 0.5


def keep_running(
    target: Callable[..., None], arguments: tuple[Any, ...], *, workers: int, release: Callable[[], None]
) -> None:
    """Keep that many processes running `target` until SIGTERM or SIGINT, then let them finish.

    `release` lets go of what only this process still holds, before workers are told to stop. Raises StartupError
    when a worker ends soon after its start.
    """
    stop = _stop_signal()
    running: dict[int, tuple[BaseProcess, float]] = {}
    try:
        while True:
            while len(running) < workers:
                worker = multiprocessing.Process(target=_run, args=(target, arguments), name="rocket-worker")
                worker.start()
                running[worker.sentinel] = (worker, time.monotonic())
            ready = wait([stop, *running])
            # A signal for the whole group may end a worker before this process has come to hear of it.
            if stop in ready or stop.poll(HEARING_S):
                return
            for sentinel in [sentinel for sentinel in running if sentinel in ready]:
                _require_long_life(*running.pop(sentinel))
    finally:
        release()
        _stop([worker for worker, _ in running.values()])


def _require_long_life(worker: BaseProcess, born: float) -> None:
    worker.join()
    if time.monotonic() - born < SHORTEST_LIFE_S:
        raise StartupError(f"a worker ended with exit code {worker.exitcode} right after its start")
    logger.warning("worker %s ended with exit code %s; starting another", worker.pid, worker.exitcode)


def _stop_signal() -> Connection:
    """A connection that becomes readable on SIGTERM or SIGINT."""
    reader, writer = multiprocessing.Pipe(duplex=False)

    def tell(*_: object) -> None:
        writer.send_bytes(b"stop")

    signal.signal(signal.SIGTERM, tell)
    signal.signal(signal.SIGINT, tell)
    return reader


def _run(target: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    enter_worker()
    target(*arguments)


def _stop(workers: list[BaseProcess]) -> None:
    for worker in workers:
        worker.terminate()
    deadline = time.monotonic() + GRACE_S + STOP_S
    for worker in workers:
        worker.join(max(deadline - time.monotonic(), 0.001))
        if worker.is_alive():
            logger.warning("worker %s does not stop and is killed", worker.pid)
            worker.kill()
            worker.join()
