"""How the operating system shares a core among the threads of a serving process."""

from __future__ import annotations

import os
import sys
from contextlib import suppress


def work_in_batches() -> None:
    """Threads that wake up let the one that runs come to its end, where the system knows how: `SCHED_BATCH` of Linux.

    Else the thread that takes requests and sends answers interrupts the one that works them out, once for each answer:
    that costs a quarter of the throughput. Holds for the calling thread and those it starts. A policy that somebody has
    chosen for the process stays as it is.
    """
    if sys.platform != "linux":
        return
    with suppress(OSError):  # a sandbox may forbid it, and a C library may not know it
        if os.sched_getscheduler(0) == os.SCHED_OTHER:
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
