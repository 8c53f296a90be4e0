"""Listens to traces and stores them, app by app, in the background. Nothing here ever keeps a request waiting."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass, field

from rocket_instrumentation.events_buffer import Buffer
from rocket_instrumentation.events_writing import span_rows, write_rows
from rocket_instrumentation.sampling import is_sampled
from rocket_kernel import AppContext, AppNotFound, InstrumentationConfig, Metric, MetricType, RocketError, Span

logger = logging.getLogger(__name__)

_MOST_AT_ONCE = 2000
"""Spans in one transaction, which other writers have to wait for."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
"""Between two tries while the database refuses."""
_LAST_TRY_S = 5.0
"""How long an app that is closed waits for its last spans to be stored."""


@dataclass(slots=True)
class EventCounts:
    """Of one app in this process, ever since it started."""

    stored: int = 0
    dropped_full: int = 0
    """Spans for which there was no room."""
    dropped_bad: int = 0
    """Spans that could not be stored for what they hold."""
    dropped_closed: int = 0
    """Spans that could not be stored before their app was closed or deleted."""


@dataclass(slots=True, eq=False)
class EventSink:
    counts: dict[str, EventCounts] = field(default_factory=dict)
    """By app."""
    _config: InstrumentationConfig | None = None
    """None while the kernel does not run."""
    _rate: float = 0.0
    """Share of the traces that are wanted."""
    _buffers: dict[str, Buffer] = field(default_factory=dict)
    """By identity of the app: names come back."""
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _loop: asyncio.Task[None] | None = None
    _stopping: bool = False

    def start(self, config: InstrumentationConfig) -> None:
        self._config = config
        self._rate = config.sampling_rate if config.enabled else 0.0
        self._stopping = False
        if self._rate and self._loop is None:
            # In a context of its own: whoever starts the kernel may be inside a trace.
            self._loop = asyncio.create_task(self._run(), name="rocket events", context=Context())

    async def stop(self) -> None:
        """Store what waits, for a while. Spans that come later are not wanted."""
        self._rate, self._config = 0.0, None
        self._stopping = True
        self._wake.set()
        if self._loop is not None:
            await self._loop
            self._loop = None
        await asyncio.gather(*(self.close(buffer.app) for buffer in list(self._buffers.values())))

    async def close(self, app: AppContext) -> None:
        """The app's connections are about to be closed."""
        buffer = self._buffers.pop(app.identity, None)
        if buffer is None:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_TRY_S):
                while buffer.count and await self._write(buffer):
                    pass
        self._counts(app.name).dropped_closed += buffer.count

    def samples(self, app: str | None, trace_id: str) -> bool:
        return app is not None and self._rate > 0 and is_sampled(trace_id, self._rate)

    def finished(self, app: AppContext | None, spans: Sequence[Span]) -> None:
        if app is None or self._config is None:
            return
        buffer = self._buffers.get(app.identity)
        if buffer is None:
            buffer = self._buffers[app.identity] = Buffer(app, self._config.buffer_size)
        if not buffer.add(spans):
            self._counts(app.name).dropped_full += len(spans)
        elif buffer.has_batch:
            self._wake.set()

    async def flush(self) -> None:
        """Try to store everything that waits now; for tests, and whoever wants to see the end."""
        for buffer in list(self._buffers.values()):
            while buffer.count and await self._write(buffer):
                pass

    def metric(self) -> Metric:
        return Metric(
            name="rocket_instrumentation_spans_total",
            help="Spans of events by app and outcome: stored, or dropped because the buffer was full, the row bad, or the app closed.",
            read=self._samples,
            type=MetricType.COUNTER,
            labels=("app", "outcome"),
        )

    def _samples(self) -> list[tuple[tuple[str, ...], float]]:
        return [
            ((app, outcome), float(getattr(counts, outcome)))
            for app, counts in self.counts.items()
            for outcome in ("stored", "dropped_full", "dropped_bad", "dropped_closed")
        ]

    def _counts(self, app: str) -> EventCounts:
        return self.counts.setdefault(app, EventCounts())

    async def _run(self) -> None:
        if self._config is None:
            return
        interval_s = self._config.flush_interval_ms / 1000
        while not self._stopping:
            with suppress(TimeoutError):
                async with asyncio.timeout(interval_s):
                    await self._wake.wait()
            self._wake.clear()
            now = asyncio.get_running_loop().time()
            for buffer in self._buffers.values():
                # One app's database being away must not keep others from theirs.
                if buffer.waiting and now >= buffer.retry_at and (buffer.draining is None or buffer.draining.done()):
                    buffer.draining = asyncio.create_task(self._drain(buffer), name="rocket events of an app")

    async def _drain(self, buffer: Buffer) -> None:
        try:
            while await self._write(buffer) and buffer.has_batch:
                pass
        except Exception:
            logger.exception("storing events of app %s failed", buffer.app.name)

    async def _write(self, buffer: Buffer) -> bool:
        """One batch; False when it has to wait, or there is none."""
        async with buffer.writing:
            traces = buffer.take(_MOST_AT_ONCE)
            if not traces:
                return False
            rows, bad = span_rows(traces)
            try:
                refused = await write_rows(buffer.app, rows, buffer.minutes)
            except AppNotFound:
                self._forget(buffer, traces)
                return False
            except RocketError as error:
                self._put_off(buffer, traces, error)
                return False
            except BaseException:
                buffer.give_back(traces)
                raise
            buffer.done(traces)
            buffer.failures, buffer.retry_at = 0, 0.0
        counts = self._counts(buffer.app.name)
        counts.stored += len(rows) - refused
        counts.dropped_bad += bad + refused
        return True

    def _forget(self, buffer: Buffer, traces: Sequence[Sequence[Span]]) -> None:
        """The app is gone, and with it whoever would look at its events."""
        buffer.done(traces)
        buffer.done(list(buffer.waiting))
        buffer.waiting.clear()
        self._buffers.pop(buffer.app.identity, None)

    def _put_off(self, buffer: Buffer, traces: Sequence[Sequence[Span]], error: RocketError) -> None:
        buffer.give_back(traces)
        pause = min(_FIRST_PAUSE_S * 2.0 ** min(buffer.failures, 10), _LONGEST_PAUSE_S)
        buffer.failures += 1
        buffer.retry_at = asyncio.get_running_loop().time() + pause
        logger.warning("events of app %s wait %.1f s: %s", buffer.app.name, pause, error.message)
