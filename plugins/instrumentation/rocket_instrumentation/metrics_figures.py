"""Figures of one process, of several together, and what goes wrong in reading them."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from rocket_kernel import Across, Distribution, Metric, MetricType, Samples

logger = logging.getLogger(__name__)

Labels: TypeAlias = tuple[str, ...]
Value: TypeAlias = "float | tuple[list[int], float]"
"""A number, or of a distribution its counts, from the lowest bound to beyond the highest, and its sum."""
Figures: TypeAlias = "dict[str, dict[Labels, Value]]"
"""By the name of the metric."""
Declared: TypeAlias = "Sequence[tuple[str, Metric]]"
"""Metrics, each with the plugin that brings it."""

PID = "pid"


@dataclass(frozen=True, slots=True)
class ProcessFigures:
    """What one process of a server had to tell when it was last heard of."""

    pid: int
    lives: bool
    figures: Figures


class Reader:
    """Reads metrics that anybody may have written: one that fails costs itself and no other."""

    def __init__(self) -> None:
        self.failures: Counter[Labels] = Counter()
        """By plugin."""
        self._logged: set[str] = set()

    def read(self, metrics: Declared) -> Figures:
        found: Figures = {}
        for plugin, metric in metrics:
            bounds = metric.bounds if metric.type is MetricType.HISTOGRAM else None
            figures = self.guarded(plugin, metric.name, metric.labels, metric.read, bounds)
            if figures is not None:
                found[metric.name] = figures
        return found

    def guarded(
        self,
        plugin: str,
        name: str,
        labels: Labels,
        read: Callable[[], Samples],
        bounds: tuple[float, ...] | None = None,
    ) -> dict[Labels, Value] | None:
        """None when it fails. `bounds` are those of a histogram."""
        try:
            return {_require_labels(values, labels): _value(figure, bounds) for values, figure in list(read())}
        except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever a plugin's code raises is logged
            self.failed(plugin, name, error)
            return None

    def failed(self, plugin: str, name: str, error: BaseException) -> None:
        """It goes to the log once: somebody asks every few seconds."""
        self.failures[plugin,] += 1
        if name not in self._logged:
            self._logged.add(name)
            logger.error("metric %s of %s cannot be read", name, plugin, exc_info=error)


def add_up(metrics: Declared, processes: Iterable[ProcessFigures]) -> Figures:
    """One server's figures. What was counted stays counted when a process ends; what it measured went with it."""
    found: Figures = {}
    for one in processes:
        for _, metric in metrics:
            own = one.figures.get(metric.name)
            lasting = metric.type is not MetricType.GAUGE and metric.across is Across.SUM
            if own is not None and (one.lives or lasting):
                _add(found.setdefault(metric.name, {}), metric, own, one.pid)
    return found


def _add(found: dict[Labels, Value], metric: Metric, own: Mapping[Labels, Value], pid: int) -> None:
    for labels, value in own.items():
        key = (*labels, str(pid)) if metric.across is Across.EACH else labels
        former = found.get(key)
        found[key] = value if former is None else _together(former, value, metric.across)


def _together(one: Value, other: Value, across: Across) -> Value:
    if isinstance(one, tuple) and isinstance(other, tuple):
        return [a + b for a, b in zip(one[0], other[0], strict=True)], one[1] + other[1]
    if isinstance(one, tuple) or isinstance(other, tuple):
        return one
    return max(one, other) if across is Across.MOST else one + other


def _require_labels(values: Any, labels: Labels) -> Labels:
    if (
        not isinstance(values, tuple)
        or len(values) != len(labels)
        or not all(isinstance(value, str) for value in values)
    ):
        raise TypeError(f"labels {values!r} for {labels!r}")
    return values


def _value(figure: Any, bounds: tuple[float, ...] | None) -> Value:
    if bounds is None:
        return float(figure)
    if not isinstance(figure, Distribution) or figure.bounds != bounds:
        raise TypeError(f"{figure!r} is no Distribution with the bounds of its metric")
    return list(figure.counts), figure.total
