"""Figures about what happens: how the kernel and plugins declare them, whoever shows them.

Counting costs what a dict costs: the figures stay with whoever counts, and are read when somebody asks for them.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

from rocket_kernel.errors import PluginError

if TYPE_CHECKING:
    from rocket_kernel.apps.context import AppContext
    from rocket_kernel.plugins import PluginSet

HOOK = "register_metrics"

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds for times of requests and calls."""

_LABEL = re.compile(r"[a-z][a-z0-9_]*")
_RESERVED = ("le", "pid")


class MetricType(StrEnum):
    COUNTER = "counter"
    """Only ever grows while its process lives. The name ends in `_total`."""
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    """Its figures are `Distribution`s."""


class Across(StrEnum):
    """What several processes of one server make of their figures."""

    SUM = "sum"
    MOST = "most"
    EACH = "each"
    """Every process shows its own, with its number in the label `pid`."""


class Distribution:
    """How many values were at most as large as each bound, and their sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...] = SECONDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        """For each bound the values above the one before; the last number is that of values beyond all bounds."""
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


Figure: TypeAlias = "float | Distribution"
Samples: TypeAlias = "Iterable[tuple[tuple[str, ...], Figure]]"
"""Values of the labels, in their order, each with a figure: what `items()` of a dict gives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """Figures of one process. `read` is called now and then on the event loop, must be quick and may not wait.

    A dict that is keyed by tuples of label values has such a function: `counts.items`. Values of labels must come from
    a set that stays small: never what a client sends.
    """

    name: str
    help: str
    read: Callable[[], Samples]
    type: MetricType = MetricType.GAUGE
    labels: tuple[str, ...] = ()
    across: Across = Across.SUM
    bounds: tuple[float, ...] = SECONDS
    """Of a histogram: those of its distributions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppMetric:
    """Figures that an app's database tells, shown with the app's name in the label `app`, which is not among `labels`.

    `read` is asked for each open app outside of any request, one app after another, and again at the earliest when
    fifty times as long has passed as it took. It opens a session of its own; raising leaves the app's figures out.
    """

    name: str
    help: str
    read: Callable[[AppContext], Awaitable[Samples]]
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Metrics:
    """All metrics of one kernel, each with the plugin that brings it."""

    of_process: tuple[tuple[str, Metric], ...]
    of_apps: tuple[tuple[str, AppMetric], ...]


def gather_metrics(own: Iterable[Metric | AppMetric], plugins: PluginSet, kernel: str) -> Metrics:
    """Ask the collectors once. Raises PluginError for a name that is wrong or taken, and for wrong labels."""
    found: dict[str, tuple[str, Any]] = {metric.name: (kernel, metric) for metric in own}
    for plugin, metric in plugins.collect(HOOK):
        _require_sound(plugin, metric, found)
        found[metric.name] = (plugin, metric)
    return Metrics(
        tuple((plugin, metric) for plugin, metric in found.values() if isinstance(metric, Metric)),
        tuple((plugin, metric) for plugin, metric in found.values() if isinstance(metric, AppMetric)),
    )


def _require_sound(plugin: str, metric: Any, found: Mapping[str, tuple[str, Any]]) -> None:
    if not isinstance(metric, Metric | AppMetric):
        raise PluginError(plugin, f"{metric!r} is neither a Metric nor an AppMetric", hook=HOOK)
    prefix = f"rocket_{plugin.replace('-', '_').lower()}_"
    if not metric.name.startswith(prefix) or not _LABEL.fullmatch(metric.name):
        message = f"metric {metric.name!r} must begin with {prefix!r} and have small letters, digits and _ only"
        raise PluginError(plugin, message, hook=HOOK)
    if metric.name in found:
        raise PluginError(
            plugin, f"metric {metric.name!r} is registered twice, first by {found[metric.name][0]!r}", hook=HOOK
        )
    counts = isinstance(metric, Metric) and metric.type is MetricType.COUNTER
    if counts is not metric.name.endswith("_total"):
        raise PluginError(plugin, f"metric {metric.name!r}: counters, and they alone, end in '_total'", hook=HOOK)
    reserved = _RESERVED if isinstance(metric, Metric) else (*_RESERVED, "app")
    for label in metric.labels:
        if not _LABEL.fullmatch(label) or label in reserved or metric.labels.count(label) > 1:
            raise PluginError(plugin, f"metric {metric.name!r} cannot have the label {label!r}", hook=HOOK)
