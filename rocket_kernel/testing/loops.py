"""A kernel belongs to the event loop it was started in; a test in another one would wait for answers that never come."""

from __future__ import annotations

import asyncio


class OtherLoop(RuntimeError):
    """Fixtures and test run in different event loops."""


def require_loop(loop: asyncio.AbstractEventLoop | None) -> None:
    """Raises OtherLoop unless this is the running loop; None is any."""
    if loop is not None and loop is not asyncio.get_running_loop():
        raise OtherLoop(
            "the test runs in another event loop than Rocket's fixtures: give both the same scope, with "
            "asyncio_default_fixture_loop_scope and asyncio_default_test_loop_scope, or without loop_scope in the mark"
        )
