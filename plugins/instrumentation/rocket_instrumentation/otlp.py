"""Export of spans by OTLP over HTTP, on a thread of its own. Requests wait for nothing: what finds no room is dropped."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from threading import Event, Thread
from time import monotonic
from typing import Any, Protocol
from urllib.parse import urlsplit

from rocket_kernel import AppContext, ConfigError, Metric, MetricType, Span, Spans, StartupError

logger = logging.getLogger(__name__)

KEY = "plugins.settings.instrumentation.otlp_endpoint"
EXTRA = "rocket-instrumentation[otlp]"
MOST_WAITING = 10_000
"""Spans; beyond them whole traces are dropped."""
BATCH = 512
PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
"""Between two attempts while nobody takes the spans."""
TIMEOUT_S = 10.0
PATIENCE_S = 2.0
"""How long the end of the server waits for what is left to be sent."""
_PATH = "/v1/traces"
_NEEDED = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")


class Exporter(Protocol):
    """What this module uses of OpenTelemetry. Both are called on the thread."""

    def export(self, traces: Sequence[tuple[str | None, Sequence[Span]]]) -> bool:
        """Whether a collector has taken the spans. Waits for it."""
        ...

    def shutdown(self) -> None: ...


def traces_url(endpoint: str) -> str:
    """Where spans are posted to. An address without a path gets the usual one. Raises ConfigError."""
    wrong = ConfigError(f"wrong value for {KEY}: an address such as http://localhost:4318 expected")
    try:
        parts = urlsplit(endpoint)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise wrong from None
    if not valid:
        raise wrong
    return endpoint.rstrip("/") + _PATH if parts.path in ("", "/") and not parts.query else endpoint


def require_extra() -> None:
    """Raises ConfigError."""
    if not all(map(_is_there, _NEEDED)):
        raise ConfigError(f"{KEY} is set, but the packages for it are not installed: pip install '{EXTRA}'")


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even the package around it
        return False


class OtlpSink:
    """A listener to traces, from `start` to `stop`."""

    def __init__(
        self,
        exporter: Callable[[], Exporter],
        most_waiting: int = MOST_WAITING,
        pause_s: float = PAUSE_S,
    ) -> None:
        """`exporter` is called when it starts."""
        self._make_exporter = exporter
        self._sampled: Callable[[str], bool] = _none
        self._most_waiting = most_waiting
        self._pause_s = pause_s
        self._waiting: deque[tuple[str | None, Sequence[Span]]] = deque()
        self._number_waiting = 0
        """Spans in them. Changed by the loop and the thread, each of which tells the other by what it adds."""
        self._taken = 0
        self._stopping = Event()
        self._thread: Thread | None = None
        self._failing = False
        self.exported = 0
        self.dropped = 0
        """Spans that found no room."""
        self.failed = 0
        """Spans that no collector took."""

    def samples(self, app: str | None, trace_id: str) -> bool:
        return self._sampled(trace_id)

    def finished(self, app: AppContext | None, spans: Spans) -> None:
        number = len(spans)
        if self._number_waiting - self._taken + number > self._most_waiting:
            self.dropped += number
            return
        self._number_waiting += number
        self._waiting.append((None if app is None else app.name, spans))

    def start(self, sampled: Callable[[str], bool]) -> None:
        """`sampled` says of a trace's id whether it is wanted. Raises StartupError."""
        try:
            exporter = self._make_exporter()
        except Exception as error:  # of a wrong value in its part of the environment
            raise StartupError(f"spans cannot be exported: {error}") from error
        self._sampled = sampled
        self._stopping.clear()
        # As a daemon, because a collector that does not answer must not hold up the end of the process.
        self._thread = Thread(target=self._run, args=(exporter,), name="rocket otlp", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        self._sampled = _none
        thread, self._thread = self._thread, None
        if thread is not None:
            self._stopping.set()
            await asyncio.to_thread(thread.join, PATIENCE_S)

    def metric(self) -> Metric:
        return Metric(
            name="rocket_otlp_spans_total",
            help="Spans by what became of them: exported, dropped for want of room, or failed because nobody took them.",
            type=MetricType.COUNTER,
            labels=("outcome",),
            read=lambda: [
                (("exported",), float(self.exported)),
                (("dropped",), float(self.dropped)),
                (("failed",), float(self.failed)),
            ],
        )

    def _run(self, exporter: Exporter) -> None:
        pause_s = self._pause_s
        stopping = False
        while not stopping:
            stopping = self._stopping.wait(pause_s)
            if stopping and self._failing:
                break  # what nobody has taken so far is not taken now
            well = self._export_all(exporter)
            pause_s = self._pause_s if well else min(pause_s * 2, LONGEST_PAUSE_S)
        exporter.shutdown()

    def _export_all(self, exporter: Exporter) -> bool:
        """Whether a collector takes spans, as far as was tried. The first batch that fails ends the round."""
        deadline = monotonic() + PATIENCE_S
        while self._waiting:
            batch: list[tuple[str | None, Sequence[Span]]] = []
            number = 0
            while self._waiting and number < BATCH:
                batch.append(self._waiting.popleft())
                number += len(batch[-1][1])
            self._taken += number
            if not self._export(exporter, batch, number):
                return False
            if self._stopping.is_set() and monotonic() > deadline:
                return True
        return True

    def _export(self, exporter: Exporter, batch: Sequence[tuple[str | None, Sequence[Span]]], number: int) -> bool:
        try:
            taken = exporter.export(batch)
        except Exception:
            logger.exception("spans cannot be exported")
            taken = False
        if taken:
            self.exported += number
        else:
            self.failed += number
        if taken == self._failing:
            self._failing = not taken
            logger.warning("spans are exported again" if taken else "the collector takes no spans; they are dropped")
        return taken


def _none(_trace_id: str) -> bool:
    return False


def opentelemetry_exporter(url: str, version: str) -> Exporter:
    """With the ways of OpenTelemetry to say more: headers, certificates and compression come from the environment."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import SpanExportResult

    from rocket_instrumentation.otlp_spans import Converter

    converter = Converter(version)
    exporter = OTLPSpanExporter(endpoint=url, timeout=TIMEOUT_S)

    class OpenTelemetry:
        def export(self, traces: Sequence[tuple[str | None, Sequence[Span]]]) -> bool:
            spans: list[Any] = [one for app, found in traces for one in converter.converted(app, found)]
            return exporter.export(spans) is SpanExportResult.SUCCESS

        def shutdown(self) -> None:
            exporter.shutdown()  # type: ignore[no-untyped-call]  # the library has no types there

    return OpenTelemetry()
