"""What code of plugins may let loose beside exceptions, and must not end more than the work it was part of."""

from __future__ import annotations

import asyncio

STRAY = (SystemExit, asyncio.CancelledError)
"""`sys.exit`, and the cancellation of something that the code awaited."""


def is_asked_for(error: BaseException) -> bool:
    """Whether it is a cancellation of the current task itself: whoever asked for that must see it."""
    if not isinstance(error, asyncio.CancelledError):
        return False
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no event loop runs, so nobody can have asked
        return False
    return task is None or task.cancelling() > 0
