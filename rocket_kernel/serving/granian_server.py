"""Serving with Granian, the faster server of the extra `rocket-kernel[fast]`. It starts its own workers."""

from __future__ import annotations

import logging
import socket
import sys
from functools import partial

from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels

from rocket_kernel.errors import StartupError
from rocket_kernel.http.app import RocketQuart
from rocket_kernel.serving.application import build_application
from rocket_kernel.serving.granian_signals import heed_signals_in_workers, take_over_signals
from rocket_kernel.serving.logs import log_settings
from rocket_kernel.serving.options import BACKLOG, GRACE_S, HEADER_TIMEOUT_S, MAX_HEAD_BYTES, STOP_S, ServeOptions
from rocket_kernel.serving.scheduling import work_in_batches
from rocket_kernel.serving.worker import enter_worker

logger = logging.getLogger(__name__)


def serve(options: ServeOptions, bound: socket.socket) -> None:
    ip, port = bound.getsockname()[:2]
    # Every worker of Granian binds a socket of its own; ours has shown that the port is free.
    bound.close()
    server = Granian(
        "rocket_kernel",
        address=ip,
        port=port,
        interface=Interfaces.ASGI,
        workers=options.config.server.workers,
        respawn_failed_workers=True,
        workers_kill_timeout=GRACE_S + STOP_S,
        loop=Loops.auto,
        # With HTTP/2 it waits without end for the first bytes that tell the versions apart.
        http=HTTPModes.http1,
        websockets=False,
        backlog=BACKLOG,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_TIMEOUT_S * 1000, max_buffer_size=MAX_HEAD_BYTES),
        log_level=LogLevels.warning,
        log_dictconfig=_log_settings(),
        log_access=False,
    )
    heed_signals_in_workers()
    try:
        server.serve(target_loader=partial(_load, options), wrap_loader=False)
    except SystemExit:
        # A worker that was told too may end before the parent tells it, which Granian takes for a failure.
        if not server.interrupt_signal:
            raise


def _load(options: ServeOptions) -> RocketQuart:
    """Runs in each worker."""
    work_in_batches()
    enter_worker()
    take_over_signals()
    try:
        return build_application(options)
    except StartupError as error:
        logger.error("%s", error)
        sys.exit(1)


def _log_settings() -> dict[str, object]:
    settings = log_settings()
    settings["loggers"]["_granian"] = {"level": "WARNING"}
    return settings
