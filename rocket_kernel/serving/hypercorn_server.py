"""Serving with Hypercorn: always installed. One worker runs in this very process."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import Callable

from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config as HypercornConfig
from hypercorn.utils import LifespanFailureError, LifespanTimeoutError

from rocket_kernel.errors import StartupError
from rocket_kernel.serving.application import build_application
from rocket_kernel.serving.options import BACKLOG, GRACE_S, HEADER_TIMEOUT_S, MAX_HEAD_BYTES, ServeOptions
from rocket_kernel.serving.scheduling import work_in_batches
from rocket_kernel.serving.workers import keep_running

logger = logging.getLogger(__name__)


def serve(options: ServeOptions, bound: socket.socket) -> None:
    workers = options.config.server.workers
    if workers == 1:
        run(options, bound)
    else:
        bound.listen(BACKLOG)
        keep_running(_run_worker, (options, bound), workers=workers, release=bound.close)


def run(options: ServeOptions, bound: socket.socket) -> None:
    """Serve in this process. Raises StartupError."""
    work_in_batches()
    application = build_application(options)
    settings = hypercorn_settings(bound)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        try:
            runner.run(hypercorn_serve(application, settings))
        except (LifespanFailureError, LifespanTimeoutError) as error:
            raise StartupError(str(error)) from error


def _run_worker(options: ServeOptions, bound: socket.socket) -> None:
    try:
        run(options, bound)
    except StartupError as error:
        logger.error("%s", error)
        sys.exit(1)


def hypercorn_settings(bound: socket.socket) -> HypercornConfig:
    """The socket belongs to the settings from here on."""
    settings = HypercornConfig()
    settings.bind = [f"fd://{bound.detach()}"]
    settings.backlog = BACKLOG
    settings.graceful_timeout = GRACE_S
    settings.shutdown_timeout = GRACE_S
    # Counts from the last answer to the end of the next request's head, which cuts off slow headers too.
    settings.keep_alive_timeout = HEADER_TIMEOUT_S
    settings.h11_max_incomplete_size = MAX_HEAD_BYTES
    settings.h2_max_header_list_size = MAX_HEAD_BYTES
    settings.include_server_header = False
    settings.errorlog = logging.getLogger("hypercorn.error")
    return settings


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # it does not exist for every platform
        return None
    return uvloop.new_event_loop
