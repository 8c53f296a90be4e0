"""Counting requests. What happens in `observe` is paid by every request: a look into a dict and four additions."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from typing import Any

from rocket_kernel import Distribution, Metric, MetricType, Request, Samples

UNKNOWN_APP = "(unknown)"
"""Stands for every app that does not exist: clients make up as many names as they like."""
OTHER_APPS = "(other)"
NO_ROUTE = "(none)"
"""Stands for every path that no route matches, and for OPTIONS."""
OTHER_METHOD = "(other)"
MAX_CELLS = 20_000
"""Combinations of labels. Beyond them apps are counted together."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

Labels = tuple[str, ...]


class _Cell:
    """The requests of one combination of labels: app, method, route and status."""

    __slots__ = ("bounds", "buckets", "count", "labels", "latency", "sent")

    def __init__(self, labels: Labels, latency: Distribution) -> None:
        self.labels = labels
        self.count = 0
        self.sent = 0
        self.latency = latency
        self.bounds = latency.bounds
        self.buckets = latency.counts


class RequestCounts:
    def __init__(self, max_cells: int = MAX_CELLS) -> None:
        self._max_cells = max_cells
        self._cells: dict[Any, _Cell] = {}
        self._shared: dict[Labels, _Cell] = {}
        """By their labels: several keys may lead to one cell."""
        self._latencies: dict[Labels, Distribution] = {}

    def observe(self, request: Request, status: int, sent: int, seconds: float) -> None:
        route = request.route
        # Routes live as long as the kernel, and hashing one by its values costs more than all the rest.
        app = request.app_found
        key = (id(route), app and app.name, request.head or request.method, status)
        cell = self._cells.get(key)
        if cell is None:
            cell = self._new_cell(key, request, status)
        cell.count += 1
        cell.sent += sent
        cell.latency.total += seconds
        cell.buckets[bisect_left(cell.bounds, seconds)] += 1

    def metrics(self) -> list[Metric]:
        return [
            Metric(
                name="rocket_http_requests_total",
                help="Requests by app, method, pattern of the route, and status; 499 when the client went away.",
                type=MetricType.COUNTER,
                labels=("app", "method", "route", "status"),
                read=lambda: [(cell.labels, float(cell.count)) for cell in self._shared.values()],
            ),
            Metric(
                name="rocket_http_request_seconds",
                help="Time from the head of a request to the end of its answer.",
                type=MetricType.HISTOGRAM,
                labels=("method", "route"),
                read=lambda: list(self._latencies.items()),
            ),
            Metric(
                name="rocket_http_response_bytes_total",
                help="Bytes in the bodies of answers.",
                type=MetricType.COUNTER,
                labels=("app",),
                read=self._bytes_sent,
            ),
        ]

    def forget(self, app: str) -> None:
        """An app is gone: names that come and go must not be kept for ever."""
        self._cells = {key: cell for key, cell in self._cells.items() if cell.labels[0] != app}
        self._shared = {labels: cell for labels, cell in self._shared.items() if labels[0] != app}

    def _new_cell(self, key: Any, request: Request, status: int) -> _Cell:
        labels = _labels(request, status)
        if len(self._shared) >= self._max_cells and labels not in self._shared:
            labels = (OTHER_APPS, *labels[1:])
        cell = self._shared.get(labels)
        if cell is None:
            latency = self._latencies.setdefault(labels[1:3], Distribution())
            cell = self._shared[labels] = _Cell(labels, latency)
        # Methods of unmatched requests are whatever clients send; then the cell is looked up by its labels.
        if request.route is not None or request.method in _METHODS:
            self._cells[key] = cell
        return cell

    def _bytes_sent(self) -> Samples:
        sent: Counter[str] = Counter()
        for cell in self._shared.values():
            sent[cell.labels[0]] += cell.sent
        return [((app,), float(number)) for app, number in sent.items()]


def _labels(request: Request, status: int) -> Labels:
    route = request.route
    method = "HEAD" if request.head else request.method
    known = method if method in _METHODS else OTHER_METHOD
    if route is None:
        return "", known, NO_ROUTE, str(status)
    outside = UNKNOWN_APP if route.in_app else ""
    app = request.app.name if request.in_app else outside
    return app, known, route.path, str(status)
