"""Which HTTP server serves."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec

from rocket_kernel.errors import StartupError
from rocket_kernel.serving.options import ServeOptions

PREFERENCE = ("granian", "hypercorn")

Serve = Callable[[ServeOptions, socket.socket], None]


@dataclass(frozen=True, slots=True)
class HttpServer:
    name: str
    serve: Serve
    """Serves on a bound socket until SIGTERM or SIGINT. Raises StartupError."""

    def __str__(self) -> str:
        return f"{self.name} {version(self.name)}"


def choose_server(name: str) -> HttpServer:
    """The server of that name, for `auto` the fastest that is installed. Raises StartupError."""
    chosen = next((each for each in PREFERENCE if find_spec(each)), PREFERENCE[-1]) if name == "auto" else name
    if find_spec(chosen) is None:
        raise StartupError(f"the server {chosen} is not installed")
    # Not imported at the top, because a server that is not chosen may be absent.
    serve: Serve = import_module(f"rocket_kernel.serving.{chosen}_server").serve
    return HttpServer(chosen, serve)
