"""What the plugin tells the outside: metrics, the access log, exported spans."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from rocket_instrumentation.access_line import LINES
from rocket_instrumentation.access_log import AccessLog
from rocket_instrumentation.metrics import MetricsDesk
from rocket_instrumentation.otlp import OtlpSink, opentelemetry_exporter, require_extra, traces_url
from rocket_instrumentation.sampling import is_sampled
from rocket_instrumentation.settings import InstrumentationSettings
from rocket_kernel import AnswerObserver, Kernel, Metric, Route, SpanSink


class Outlets:
    """`start`, which raises StartupError, and `stop` frame the time in which a kernel serves.

    Wrong settings raise ConfigError.
    """

    def __init__(self, settings: InstrumentationSettings, version: str) -> None:
        line = LINES.get(settings.access_log)
        self.access_log = None if line is None else AccessLog(line)
        self.otlp = _otlp(settings.otlp_endpoint, version)
        self.metrics = MetricsDesk(self._metrics())

    @property
    def routes(self) -> Sequence[Route]:
        return [self.metrics.route]

    @property
    def observers(self) -> Sequence[AnswerObserver]:
        counting = self.metrics.requests.observe
        return [counting] if self.access_log is None else [counting, self.access_log.observe]

    @property
    def sinks(self) -> Sequence[SpanSink]:
        return [] if self.otlp is None else [self.otlp]

    def start(self, kernel: Kernel) -> None:
        config = kernel.parts.config.instrumentation
        if self.otlp is not None and config.enabled:
            self.otlp.start(partial(is_sampled, rate=config.sampling_rate))
        if self.access_log is not None:
            self.access_log.start()
        self.metrics.start(kernel)

    async def stop(self) -> None:
        # At once, because the end of a server must not take long.
        writing = [each.stop() for each in (self.otlp, self.access_log) if each is not None]
        await asyncio.gather(self.metrics.stop(), *writing)

    def _metrics(self) -> list[Metric]:
        return [each.metric() for each in (self.access_log, self.otlp) if each is not None]


def _otlp(endpoint: str, version: str) -> OtlpSink | None:
    if not endpoint:
        return None
    url = traces_url(endpoint)
    require_extra()
    return OtlpSink(partial(opentelemetry_exporter, url, version))
