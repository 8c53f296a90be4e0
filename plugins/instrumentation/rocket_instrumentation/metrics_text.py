"""Figures as the text that scrapers read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from rocket_instrumentation.metrics_figures import PID, Figures, Labels, Value
from rocket_kernel import Across, AppMetric, Metric, MetricType

__all__ = ["CONTENT_TYPE", "exposition"]


def exposition(metrics: Sequence[Metric | AppMetric], figures: Figures) -> bytes:
    """Takes some milliseconds for some thousand figures; touches nothing else."""
    # A registry of its own for every text: the process's global one belongs to nobody.
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(metrics, figures))
    return generate_latest(registry)


class _Collected(Collector):
    def __init__(self, metrics: Sequence[Metric | AppMetric], figures: Figures) -> None:
        self._metrics = metrics
        self._figures = figures

    def collect(self) -> Iterable[Family]:
        for metric in self._metrics:
            figures = self._figures.get(metric.name)
            if figures:
                yield _family(metric, figures)


def _family(metric: Metric | AppMetric, figures: Mapping[Labels, Value]) -> Family:
    if isinstance(metric, AppMetric):
        return _plain(GaugeMetricFamily(metric.name, metric.help, labels=("app", *metric.labels)), figures)
    labels = (*metric.labels, PID) if metric.across is Across.EACH else metric.labels
    if metric.type is MetricType.HISTOGRAM:
        return _histogram(HistogramMetricFamily(metric.name, metric.help, labels=labels), figures, metric.bounds)
    family = CounterMetricFamily if metric.type is MetricType.COUNTER else GaugeMetricFamily
    return _plain(family(metric.name, metric.help, labels=labels), figures)


def _plain(family: CounterMetricFamily | GaugeMetricFamily, figures: Mapping[Labels, Value]) -> Family:
    for labels, value in sorted(figures.items()):
        if not isinstance(value, tuple):
            family.add_metric(labels, value)
    return family


def _histogram(
    family: HistogramMetricFamily, figures: Mapping[Labels, Value], bounds: tuple[float, ...]
) -> HistogramMetricFamily:
    names = [*map(floatToGoString, bounds), "+Inf"]
    for labels, value in sorted(figures.items()):
        if isinstance(value, tuple):
            counts, total = value
            buckets = list(zip(names, map(float, accumulate(counts)), strict=True))
            family.add_metric(labels, buckets, total)
    return family
