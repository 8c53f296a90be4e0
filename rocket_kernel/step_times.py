"""How long the steps of plugins take in this process: counted where they run, read by whoever shows it.

A step is what a plugin adds to a write, a participant of a request, or a job. Counting takes about a microsecond and
nothing where there is no step.
"""

from __future__ import annotations

import asyncio
import logging
from asyncio import current_task
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, TypeVar

from rocket_kernel.errors import RocketError
from rocket_kernel.stray import is_asked_for

logger = logging.getLogger(__name__)

T = TypeVar("T")

SLOW_S = 1.0
"""From here on a step is worth a line in the log. The work of a whole request takes a thousandth of it."""

CUT_OFF_S = 30.0
"""As long as a request may take when the server stops. A step that waits longer holds a transaction, or a caller who
has gone."""

LONG_S = 300.0
"""From here on what may take its time, such as a job, is worth a line in the log."""

_QUIET_S = 60.0
_CLASSES = 48
"""Of durations: the k-th holds those from 2**(k-1) to 2**k microseconds."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What is known of one step. Times are seconds; `classes` counts runs by the bits of their microseconds."""

    count: int = 0
    failures: int = 0
    total_s: float = 0.0
    longest_s: float = 0.0
    classes: tuple[int, ...] = ()

    def plus(self, other: Tally) -> Tally:
        longer, shorter = sorted((self.classes, other.classes), key=len, reverse=True)
        padded = (*shorter, *([0] * (len(longer) - len(shorter))))
        return Tally(
            self.count + other.count,
            self.failures + other.failures,
            self.total_s + other.total_s,
            max(self.longest_s, other.longest_s),
            tuple(a + b for a, b in zip(longer, padded, strict=True)),
        )

    def quantile_s(self, share: float) -> float:
        """About how long that share of the runs took at most: it is known to a power of two."""
        left = share * sum(self.classes)
        for bits, count in enumerate(self.classes):
            if left <= count and count:
                least, most = (1 << bits) >> 1, 1 << bits
                return min((least + (most - least) * left / count) / 1e6, self.longest_s)
            left -= count
        return self.longest_s


@dataclass(slots=True, eq=False)
class StepTime:
    """One step of all apps of this process."""

    name: str
    limit_s: float | None = None
    """A run that takes longer is cut off. None for what may take its time."""
    failures: int = 0
    total_s: float = 0.0
    longest_s: float = 0.0
    classes: list[int] = field(default_factory=lambda: [0] * _CLASSES)
    under_way: dict[Any, tuple[float, asyncio.Task[Any] | None]] = field(default_factory=dict)
    """When each run began, and in which task, by what it is about."""
    cut: set[Any] = field(default_factory=set)
    """Of these, the ones whose task has been cancelled for the time they take."""
    _quiet_until: float = 0.0

    async def timed(self, run: Callable[..., Awaitable[T]], subject: Any, *more: Any) -> T:
        """`run(subject, *more)`. Raises what that raises, and TimeoutError when it is cut off."""
        started = perf_counter()
        task = current_task()
        self.under_way[subject] = (started, task)
        try:
            return await run(subject, *more)
        except RocketError:
            raise  # it is the answer, such as a veto
        except asyncio.CancelledError as error:
            if self.limit_s and task is not None and subject in self.cut and task.uncancel() == 0:
                self.failures += 1
                raise TimeoutError(f"took longer than {self.limit_s:g} s") from None
            self.failures += not is_asked_for(error)
            raise
        except (Exception, SystemExit):
            self.failures += 1
            raise
        finally:
            self.under_way.pop(subject, None)
            took = perf_counter() - started
            self.total_s += took
            self.classes[int(took * 1e6).bit_length()] += 1
            if took > self.longest_s:
                self.longest_s = took
            if took > SLOW_S:
                self._tell_slow(started + took, took)
            if self.cut:
                self.cut.discard(subject)

    def tally(self) -> Tally:
        used = next((bits for bits in range(_CLASSES, 0, -1) if self.classes[bits - 1]), 0)
        return Tally(sum(self.classes), self.failures, self.total_s, self.longest_s, tuple(self.classes[:used]))

    def _tell_slow(self, now: float, took: float) -> None:
        if now >= self._quiet_until and self.limit_s is not None:
            self._quiet_until = now + _QUIET_S
            logger.warning("step %s of a plugin took %.1f s", self.name, took)


@dataclass(slots=True, eq=False)
class StepTimes:
    """All steps of one kernel, by name."""

    _times: dict[str, StepTime] = field(default_factory=dict)

    def of(self, name: str, limit_s: float | None = CUT_OFF_S) -> StepTime:
        """The one of that name, which begins plugin and colon. `limit_s` counts when it is asked for first."""
        found = self._times.get(name)
        if found is None:
            found = self._times[name] = StepTime(name, limit_s)
        return found

    def __iter__(self) -> Iterator[StepTime]:
        # Another thread may look while steps are compiled.
        return iter(list(self._times.values()))

    def tallies(self) -> dict[str, Tally]:
        """Of the steps that have run."""
        return {time.name: time.tally() for time in self if any(time.classes)}

    def cut_off(self) -> int:
        """Cancel what has been under way for too long; how many tasks. Called on the event loop.

        A step that waits for another one's record is innocent: of the steps of one task the innermost is cut off.
        """
        now = perf_counter()
        late: dict[asyncio.Task[Any], tuple[float, StepTime, Any]] = {}
        for time in self:
            for subject, (started, task) in time.under_way.items():
                if now - started <= (time.limit_s or LONG_S) or subject in time.cut:
                    continue
                if time.limit_s is None or task is None:
                    time.cut.add(subject)  # only so that it is told once
                    logger.warning("%s of a plugin is still under way after %.0f s", time.name, now - started)
                    continue
                if task not in late or started > late[task][0]:
                    late[task] = (started, time, subject)
        for task, (started, time, subject) in late.items():
            time.cut.add(subject)
            logger.warning("step %s of a plugin is cut off after %.0f s", time.name, now - started)
            task.cancel()
        return len(late)


def summed(parts: Iterable[Mapping[str, Tally]]) -> dict[str, Tally]:
    """The tallies of several processes as those of one."""
    total: dict[str, Tally] = {}
    for part in parts:
        for name, tally in part.items():
            total[name] = total.get(name, Tally()).plus(tally)
    return total
