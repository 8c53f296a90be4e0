"""What every process of a server is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rocket_kernel.config import Config

GRACE_S = 30
"""How long running requests may take once the server is told to stop; no request may take longer."""

STOP_S = 5
"""How long a process may take to close its databases after that; then it is killed."""

HEADER_TIMEOUT_S = 5
"""How long the head of a request may take to arrive, and how long a connection may wait between two requests."""

MAX_HEAD_BYTES = 64 * 1024
"""Largest head of a request: request line and headers."""

BACKLOG = 1024
"""Connections that wait to be accepted."""


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """The configuration, and what the command line says that is no part of it. Workers get it by pickle."""

    config: Config
    allow_default_passwords: bool = False
    shared_dir: Path | None = None
    """See `Kernel.shared_dir`."""
