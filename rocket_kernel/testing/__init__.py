"""What plugin authors test with. See docs/testing.md.

Names are imported when they are first used: the pytest plugin lives in this package, and pytest imports it in every
run on a machine that has Rocket installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rocket_kernel.testing.actors import ADMIN as ADMIN
    from rocket_kernel.testing.actors import Actors as Actors
    from rocket_kernel.testing.assertions import assert_error as assert_error
    from rocket_kernel.testing.client import Answer as Answer
    from rocket_kernel.testing.client import Client as Client
    from rocket_kernel.testing.clock import FakeClock as FakeClock
    from rocket_kernel.testing.databases import Database as Database
    from rocket_kernel.testing.running import RunningKernel as RunningKernel
    from rocket_kernel.testing.running import StartKernel as StartKernel
    from rocket_kernel.testing.running import run_kernel as run_kernel

_ROOMS = {
    "ADMIN": "actors",
    "Actors": "actors",
    "Answer": "client",
    "Client": "client",
    "Database": "databases",
    "FakeClock": "clock",
    "RunningKernel": "running",
    "StartKernel": "running",
    "assert_error": "assertions",
    "run_kernel": "running",
}


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_ROOMS)
