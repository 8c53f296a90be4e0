"""Listens to traces and stores them, app by app, in the background. Nothing here ever keeps a request waiting.

What is noted is on disk within `flush_interval_ms`, or four times that where very much comes. As long as less than a
batch comes in a round it goes into `_events` at once; when more comes it is journalled, which costs a tenth, and put
there when it is quieter, when somebody looks at events, or when too much waits in the journal.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from dataclasses import dataclass, field
from datetime import datetime

from rocket_instrumentation.events_buffer import Buffer, count_spans
from rocket_instrumentation.events_minutes import Minutes
from rocket_instrumentation.events_pack import Packed
from rocket_instrumentation.events_writing import settle_oldest, write_events, write_journal
from rocket_instrumentation.sampling import is_sampled
from rocket_kernel import (
    AppContext,
    AppNotFound,
    Clock,
    InstrumentationConfig,
    Metric,
    MetricType,
    RocketError,
    Spans,
)

logger = logging.getLogger(__name__)

MOST_JOURNALLED = 1_000_000
"""Spans. Beyond them the journal is worked off while requests go on, which then have to share the time."""
BUSY_ROUNDS = 4
"""So many times `flush_interval_ms` spans may wait while more than a batch comes each time."""
_MOST_JOURNALLED, _MOST_STORED = 15_000, 500
"""Spans in one transaction, which other writers have to wait for."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
"""Between two tries while the database refuses."""
_LAST_TRY_S = 5.0
"""How long an app that is closed waits for its last spans to be journalled."""
_LOOK_S = 1.0
"""How long somebody who looks at events waits for the journal to be worked off."""


@dataclass(slots=True)
class EventCounts:
    """Spans of one app in this process, ever since it started."""

    stored: int = 0
    """Journalled: they outlive the process."""
    dropped_full: int = 0
    """There was no room for them."""
    dropped_bad: int = 0
    """The database would not have them for what they hold."""
    dropped_closed: int = 0
    """Their app was closed before they could be stored."""


@dataclass(slots=True, eq=False)
class EventSink:
    counts: dict[str, EventCounts] = field(default_factory=dict)
    """By app."""
    most_journalled: int = MOST_JOURNALLED
    _config: InstrumentationConfig | None = None
    """None while the kernel does not run."""
    _clock: Clock | None = None
    _rate: float = 0.0
    """Share of the traces that are wanted."""
    _buffers: dict[str, Buffer] = field(default_factory=dict)
    """By identity of the app: names come back."""
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _loop: asyncio.Task[None] | None = None
    _stopping: bool = False
    _looking: set[asyncio.Task[None]] = field(default_factory=set)

    def start(self, config: InstrumentationConfig, clock: Clock) -> None:
        self._config, self._clock = config, clock
        self._rate = config.sampling_rate if config.enabled else 0.0
        self._stopping = False
        if self._rate and self._loop is None:
            # In a context of its own: whoever starts the kernel may be inside a trace.
            self._loop = asyncio.create_task(self._run(), name="rocket events", context=Context())

    async def stop(self) -> None:
        """Store what waits, for a while. Spans that come later are not wanted."""
        self._rate, self._stopping = 0.0, True
        self._wake.set()
        if self._loop is not None:
            await self._loop
            self._loop = None
        if self._looking:
            await asyncio.wait(self._looking)
        await asyncio.gather(*(self.close(buffer.app) for buffer in list(self._buffers.values())))
        self._config = None

    async def open(self, app: AppContext) -> None:
        """An app is opened: a process that died may have left a journal."""
        if self._rate:
            self._buffer(app)
            self._counts(app.name)  # so that its metrics begin at 0

    async def close(self, app: AppContext) -> None:
        """The app's connections are about to be closed."""
        buffer = self._buffers.pop(app.identity, None)
        if buffer is None:
            return
        buffer.closing = True
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_TRY_S):
                while buffer.spans and await self._write(buffer, journal=True):
                    pass
                if buffer.draining is not None:
                    await asyncio.wait([buffer.draining])
        if buffer.spans:
            self._counts(app.name).dropped_closed += buffer.spans

    def samples(self, app: str | None, trace_id: str) -> bool:
        rate = self._rate
        return app is not None and (rate >= 1.0 or (rate > 0.0 and is_sampled(trace_id, rate)))

    def finished(self, app: AppContext | None, spans: Spans) -> None:
        if app is None:
            return
        buffer = self._buffers.get(app.identity)
        if buffer is None:
            if self._config is None:
                return
            if self._stopping:
                self._counts(app.name).dropped_closed += len(spans)
                return
            buffer = self._buffer(app)
        if not buffer.add(spans):
            self._counts(app.name).dropped_full += len(spans)

    async def look(self, app: AppContext) -> None:
        """Somebody is about to look at events: bring their table up to date, as far as that takes no longer than a moment.

        Raises nothing: who looks finds out about a database that is away.
        """
        buffer = self._buffers.get(app.identity) or Buffer(app, 1, self._wake.set)
        # Whoever looks may go away, and whether a commit that is cut off happened nobody would know.
        work = asyncio.create_task(self._catch_up(buffer), context=Context())
        self._looking.add(work)
        work.add_done_callback(self._looking.discard)
        await asyncio.wait([work], timeout=_LOOK_S)

    async def _catch_up(self, buffer: Buffer) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + _LOOK_S
        with suppress(RocketError):
            while buffer.spans and await self._write(buffer, journal=False):
                pass
            while loop.time() < end and await self._settle(buffer):
                pass

    def metric(self) -> Metric:
        return Metric(
            name="rocket_instrumentation_spans_total",
            help="Spans of events by app and outcome: stored, or dropped because the buffer was full, the database would"
            " not have them, or their app was closed.",
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

    def _buffer(self, app: AppContext) -> Buffer:
        size = 1 if self._config is None else self._config.buffer_size
        return self._buffers.setdefault(app.identity, Buffer(app, size, self._wake.set))

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
                idle = buffer.draining is None or buffer.draining.done()
                if not idle or now < buffer.retry_at or self._gathers(buffer):
                    continue
                if buffer.spans or buffer.journalled or not buffer.looked:
                    buffer.draining = asyncio.create_task(self._drain(buffer), name="rocket events of an app")

    def _gathers(self, buffer: Buffer) -> bool:
        """While more than a batch comes in every round, several rounds go into one commit: each commit costs every reader
        the pages that it has in memory, as much as storing a thousand spans."""
        if not buffer.has_batch or buffer.spans >= buffer.half_full or buffer.rounds + 1 >= BUSY_ROUNDS:
            buffer.rounds = 0
            return False
        buffer.rounds += 1
        return True

    async def _drain(self, buffer: Buffer) -> None:
        """Store what waits: less than a batch in its table, more in the journal. When it is quiet, or too much is
        journalled, work off some of that."""
        # What comes meanwhile waits for the next round: commits for a few spans each are what costs most.
        due, busy = buffer.spans, buffer.has_batch
        try:
            while due > 0 and buffer.spans and not buffer.closing:
                written = await self._write(buffer, journal=busy)
                if not written:
                    return
                due -= written
            while not self._stopping and not buffer.closing and not buffer.has_batch:
                if busy and buffer.journalled < self.most_journalled:
                    return
                if not (buffer.journalled or not buffer.looked) or not await self._settle(buffer):
                    return
        except AppNotFound:
            self._forget(buffer)
        except RocketError as error:
            self._put_off(buffer, error)
        except Exception:
            logger.exception("storing events of app %s failed", buffer.app.name)

    async def _write(self, buffer: Buffer, *, journal: bool) -> int:
        """One batch, into the journal or into the table: its spans; 0 when it has to wait, or there is none."""
        async with buffer.writing:
            traces = buffer.take(_MOST_JOURNALLED if journal else _MOST_STORED)
            if not traces:
                return 0
            try:
                refused = await self._store(buffer, traces, journal=journal)
            except AppNotFound:
                buffer.done(traces)
                self._forget(buffer)
                return 0
            except RocketError as error:
                buffer.give_back(traces)
                self._put_off(buffer, error)
                return 0
            except BaseException:
                buffer.give_back(traces)
                raise
            buffer.done(traces)
        buffer.failures, buffer.retry_at = 0, 0.0
        counts, spans = self._counts(buffer.app.name), count_spans(traces)
        counts.stored += spans - refused
        counts.dropped_bad += refused
        return spans

    async def _store(self, buffer: Buffer, traces: list[Packed], *, journal: bool) -> int:
        """How many spans were refused. Raises RocketError."""
        if journal:
            await write_journal(buffer.app, traces, self._now())
            buffer.journalled += count_spans(traces)
            return 0
        async with self._remembering(buffer):
            return (await write_events(buffer.app, traces, buffer.minutes)).refused

    @asynccontextmanager
    async def _remembering(self, buffer: Buffer) -> AsyncIterator[None]:
        """Sums are written by one at a time, and what is remembered of them counts as long as commits succeed."""
        async with buffer.settling:
            try:
                yield
            except BaseException:
                # It may have been committed all the same.
                buffer.minutes = Minutes()
                raise

    async def _settle(self, buffer: Buffer) -> bool:
        """One row of the journal; False when there is none. Raises RocketError."""
        async with self._remembering(buffer):
            settled = await settle_oldest(buffer.app, buffer.minutes)
        if settled is None:
            buffer.journalled, buffer.looked = 0, True
            return False
        buffer.journalled = max(buffer.journalled - settled.spans, 1)
        if settled.refused:
            self._counts(buffer.app.name).dropped_bad += settled.refused
        return True

    def _now(self) -> datetime:
        if self._clock is None:
            raise RuntimeError("the kernel does not run")
        return self._clock.now()

    def _forget(self, buffer: Buffer) -> None:
        """The app is gone, and with it whoever would look at its events."""
        buffer.forget()
        self._buffers.pop(buffer.app.identity, None)

    def _put_off(self, buffer: Buffer, error: RocketError) -> None:
        pause = min(_FIRST_PAUSE_S * 2.0 ** min(buffer.failures, 10), _LONGEST_PAUSE_S)
        buffer.failures += 1
        buffer.retry_at = asyncio.get_running_loop().time() + pause
        logger.warning("events of app %s wait %.1f s: %s", buffer.app.name, pause, error.message)
