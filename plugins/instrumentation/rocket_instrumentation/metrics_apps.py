"""Figures that the databases of apps tell, asked with restraint: a scraper must not become a load.

A figure is asked again when it is `AGE_S` old, and not before fifty times as long has passed as asking took. One
answer to a scraper spends at most `ROUND_S` on asking; what it did not get to comes first in the next one, and until
then the last known figures are shown, up to `STALE_S` old.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic

from rocket_instrumentation.metrics_figures import Figures, Labels, Reader, Value
from rocket_kernel import AppContext, AppMetric, RocketError

AGE_S = 5.0
RESTRAINT = 50.0
ROUND_S = 1.0
STALE_S = 120.0


@dataclass(slots=True)
class _Known:
    figures: dict[Labels, Value] = field(default_factory=dict)
    read_at: float = float("-inf")
    due_at: float = float("-inf")


@dataclass(slots=True, eq=False)
class AppFigures:
    metrics: Sequence[tuple[str, AppMetric]]
    reader: Reader
    now: Callable[[], float] = monotonic
    round_s: float = ROUND_S
    _known: dict[tuple[str, str, str], _Known] = field(default_factory=dict)
    """By metric, app, and identity of the app: another one may come to have its name."""

    async def refresh(self, apps: Sequence[AppContext]) -> None:
        """Ask for what is due, for as long as there is time."""
        wanted = {
            (metric.name, app.name, app.identity): (plugin, metric, app)
            for app in apps
            for plugin, metric in self.metrics
        }
        self._known = {key: self._known.get(key) or _Known() for key in wanted}
        began = self.now()
        due = sorted((known.due_at, key) for key, known in self._known.items() if known.due_at <= began)
        try:
            async with asyncio.timeout(self.round_s):
                for _, key in due:
                    await self._ask(*wanted[key], self._known[key])
                    if self.now() - began >= self.round_s:
                        break
        except TimeoutError:
            pass

    def figures(self) -> Figures:
        oldest = self.now() - STALE_S
        found: Figures = {metric.name: {} for _, metric in self.metrics}
        for (name, app, _), known in self._known.items():
            if known.read_at >= oldest:
                found[name].update({(app, *labels): value for labels, value in known.figures.items()})
        return found

    async def _ask(self, plugin: str, metric: AppMetric, app: AppContext, known: _Known) -> None:
        began = self.now()
        # Should it be cut off, others come first next time.
        known.due_at = began + AGE_S
        try:
            samples = await metric.read(app)
        except RocketError:  # the app is going, or its database is away
            return
        except BaseException as error:
            if _ends_the_round(error):
                raise
            self.reader.failed(plugin, metric.name, error)
            return
        figures = self.reader.guarded(plugin, metric.name, metric.labels, lambda: samples)
        if figures is not None:
            known.figures, known.read_at = figures, self.now()
        known.due_at = self.now() + max(AGE_S, RESTRAINT * (self.now() - began))


def _ends_the_round(error: BaseException) -> bool:
    """What plugins let loose ends nothing but their own metric: neither `sys.exit` nor a cancellation of their own."""
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is None or task.cancelling() > 0
    return not isinstance(error, Exception | SystemExit)
