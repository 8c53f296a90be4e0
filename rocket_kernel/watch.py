"""Watching the event loop from beside it: who keeps it from turning, and what has been under way for too long.

A thread asks the loop for a sign of life once a second. When none comes, it looks what the loop's thread is doing,
and names the plugin whose code stands there: nothing in the process can answer anybody meanwhile. The sign of life
itself cuts off steps that have taken too long.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

from rocket_kernel.blame import Packages
from rocket_kernel.step_times import StepTimes

logger = logging.getLogger(__name__)

LOOK_S = 1.0
STILL_S = 1.0
"""For so long the loop may stand still before somebody is named."""


@dataclass(slots=True, eq=False)
class Watch:
    """Of one kernel. Started and stopped on its event loop."""

    packages: Packages
    times: StepTimes
    look_s: float = LOOK_S
    still_s: float = STILL_S
    each_look: Callable[[], None] | None = None
    """Called in the watching thread after each look, and a last time at the end. Must not raise."""
    _stopped: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        if self._thread is None:
            self._stopped = threading.Event()
            arguments = (asyncio.get_running_loop(), threading.get_ident(), self._stopped)
            self._thread = threading.Thread(target=self._run, args=arguments, name="rocket watch", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """The thread ends by itself, soon."""
        self._stopped.set()
        self._thread = None

    def _run(self, loop: asyncio.AbstractEventLoop, loop_thread: int, stopped: threading.Event) -> None:
        while not stopped.wait(self.look_s):
            alive = threading.Event()
            try:
                loop.call_soon_threadsafe(self._sign, alive)
            except RuntimeError:  # the loop is closed
                return
            if not alive.wait(self.still_s):
                self._tell_who(loop_thread, alive, stopped)
            if self.each_look is not None:
                self.each_look()

    def _sign(self, alive: threading.Event) -> None:
        alive.set()
        self.times.cut_off()

    def _tell_who(self, loop_thread: int, alive: threading.Event, stopped: threading.Event) -> None:
        since = monotonic() - self.still_s
        blamed = self.packages.running(sys._current_frames().get(loop_thread))
        if blamed is None or alive.is_set():
            return  # the machine is busy, or the kernel is
        logger.warning("%s keeps the event loop from turning: nobody is answered meanwhile", blamed)
        while not alive.wait(self.look_s) and not stopped.is_set():
            pass
        logger.warning("%s has kept the event loop from turning for %.1f s", blamed, monotonic() - since)
