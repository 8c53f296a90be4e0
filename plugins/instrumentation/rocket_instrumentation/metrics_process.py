"""What the operating system says of this process."""

from __future__ import annotations

from time import monotonic

from prometheus_client import CollectorRegistry, ProcessCollector

from rocket_kernel import Across, Metric, MetricType, Samples

_KEPT_S = 0.5
_FIGURES = {
    "process_cpu_seconds_total": "Processor time of a process, in its own and the system's code.",
    "process_open_fds": "Open files and connections of a process.",
    "process_max_fds": "Most files and connections that a process may have open.",
    "process_resident_memory_bytes": "Memory that a process occupies.",
    "process_virtual_memory_bytes": "Address space of a process.",
    "process_start_time_seconds": "When a process was started, in seconds since 1970.",
}


class ProcessFigures:
    """Empty where the system does not tell. All figures are asked for at once."""

    def __init__(self) -> None:
        self._collector = ProcessCollector(registry=CollectorRegistry())
        self._asked_at = float("-inf")
        self._found: dict[str, float] = {}

    def metrics(self) -> list[Metric]:
        return [self._metric(name, text) for name, text in _FIGURES.items()]

    def _metric(self, name: str, text: str) -> Metric:
        type = MetricType.COUNTER if name.endswith("_total") else MetricType.GAUGE
        return Metric(name=name, help=text, type=type, across=Across.EACH, read=lambda: self._read(name))

    def _read(self, name: str) -> Samples:
        if monotonic() - self._asked_at > _KEPT_S:
            families = self._collector.collect()
            self._found = {sample.name: sample.value for family in families for sample in family.samples}
            self._asked_at = monotonic()
        return [((), self._found[name])] if name in self._found else []
