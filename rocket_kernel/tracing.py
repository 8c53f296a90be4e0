"""Traces: what a request or a job did, and how long each part took, for whoever listens.

A trace is a tree of spans. Which span is open is a matter of context, so that nobody has to hand it down: tasks and
threads that a request starts find it. Without a listener there is none, and every place that could make one asks a
single question. What is noted are names, counts and times, never a value.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from time import perf_counter_ns
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from rocket_kernel.clock import Clock
from rocket_kernel.spans import Span, Spans, Trace, open_spans, statement_span
from rocket_kernel.stray import STRAY
from rocket_kernel.trace_ids import MAX_SPANS, new_trace_id, w3c_span_id

if TYPE_CHECKING:
    from rocket_kernel.apps.context import AppContext

logger = logging.getLogger(__name__)


class SpanSink(Protocol):
    """Who listens to traces. Both methods are called on the event loop and must be quick; neither may raise."""

    def samples(self, app: str | None, trace_id: str) -> bool:
        """Whether this trace is wanted. Asked once, when it begins; `app` is the name in the path, None for none."""
        ...

    def finished(self, app: AppContext | None, spans: Spans) -> None:
        """All spans of a trace that has ended, in the order in which they began: the first is its root.

        `app` is None where the request met none: a path outside of apps, or an app that is not there.
        """
        ...


class _Nothing:
    """A block outside of any trace."""

    __slots__ = ()

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


_NOTHING = _Nothing()
SpanBlock: TypeAlias = Span | _Nothing


def span(
    source: str, component: str, action: str, *, entity: str | None = None, record_id: str | None = None
) -> SpanBlock:
    """`with span("mine", "mailer", "mail.send"):` notes the block as a part of the current trace, if there is one.

    The block is the span, or None without a trace. An exception that leaves it makes its status `error`.
    """
    parent = open_spans.get()
    if parent is None:
        return _NOTHING
    trace = parent.trace
    if trace.ended is not None:
        return _NOTHING
    spans = trace.spans
    place = len(spans)
    if place >= MAX_SPANS:
        trace.left_out += 1
        return _NOTHING
    made = Span(source, component, action, entity, record_id, parent, trace, place)
    spans.append(made)
    if spans[place] is not made:
        made.place = spans.index(made)  # another thread of the request was faster
    return made


def annotate(**metadata: Any) -> None:
    """Add JSON values to the open span; nothing without one. Never secrets or values of records."""
    found = current_span()
    if found is not None:
        found.metadata.update(metadata)


def note_record(entity: str, key: object = None) -> None:
    """What the open span is about, once that is known to exist."""
    found = open_spans.get()
    if found is not None:
        found.entity = entity
        found.record_id = None if key is None else str(key)


def current_span() -> Span | None:
    """The open span; None outside of a trace that is listened to."""
    found = open_spans.get()
    return None if found is None or found.trace.ended is not None else found


def current_trace() -> Trace | None:
    """None outside of a trace that is listened to."""
    found = current_span()
    return None if found is None else found.trace


def traceparent() -> str | None:
    """What a request that goes out now says of itself: the header of W3C Trace Context; None without a trace."""
    found = current_span()
    if found is None:
        return None
    return f"00-{found.trace_id.replace('-', '')}-{w3c_span_id(found.span_id)}-01"


def note_statement(sql: str, began: int, rows: int | None, error: BaseException | None = None) -> None:
    """A statement of the database that began at a reading of `perf_counter_ns`. For the store, which has asked for the
    open span before."""
    parent = open_spans.get()
    if parent is None:
        return
    trace = parent.trace
    if trace.ended is not None:
        return
    spans = trace.spans
    place = len(spans)
    if place >= MAX_SPANS:
        trace.left_out += 1
        return
    if error is None:
        spans.append((parent.place, sql, began, perf_counter_ns(), rows))
        return
    made = statement_span(parent, place, sql, began, perf_counter_ns())
    made.fail(error)
    spans.append(made)
    made.place = spans.index(made)


open_span = open_spans.get
"""Whether there is anything to note for: the one question of places that are passed very often."""


@dataclass(frozen=True, slots=True, eq=False)
class Tracer:
    """Begins traces. One for each kernel that somebody listens to."""

    sinks: tuple[SpanSink, ...]
    clock: Clock

    def wanting(self, app: str | None, trace_id: str) -> tuple[SpanSink, ...]:
        """Who listens to a trace that is about to begin."""
        wanting = self.sinks
        for sink in wanting:
            try:
                wanted = sink.samples(app, trace_id)
            except (Exception, *STRAY):
                # A listener that fails wants nothing: what it listens to must not fail with it.
                logger.exception("a listener to traces failed, trace %s", trace_id)
                wanted = False
            if not wanted:
                wanting = tuple([other for other in wanting if other is not sink])
        return wanting

    def begin(
        self,
        app: str | None,
        trace_id: str,
        source: str,
        component: str,
        action: str,
        *,
        parent_span_id: str | None = None,
        entity: str | None = None,
        record_id: str | None = None,
    ) -> Trace | None:
        """To be entered as a block and given to `tell_sinks` after it. None when nobody wants it."""
        sinks = self.wanting(app, trace_id)
        if not sinks:
            return None
        trace = Trace(
            source,
            component,
            action,
            entity,
            record_id,
            trace_id=trace_id,
            sinks=sinks,
            clock_base=self.clock.now(),
            parent_span_id=parent_span_id,
        )
        trace.spans.append(trace)
        return trace


def tell_sinks(*traces: Trace) -> None:
    """Tell the listeners of traces that have ended. What they raise is logged."""
    for trace in traces:
        spans, trace.spans = Spans(trace, trace.spans), []
        if trace.left_out:
            trace.metadata["spans_left_out"] = trace.left_out
        for sink in trace.sinks:
            try:
                sink.finished(trace.app, spans)
            except (Exception, *STRAY):
                logger.exception("a listener to traces failed, trace %s", trace.trace_id)


class _Work:
    """A trace of its own around work that no request waits for."""

    __slots__ = ("_root",)

    def __init__(self, app: AppContext, root: Trace) -> None:
        root.app = app
        self._root = root

    def __enter__(self) -> Span:
        return self._root.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._root.__exit__(kind, error, trace)
        tell_sinks(self._root)


def traced_work(
    app: AppContext,
    source: str,
    component: str,
    action: str,
    *,
    trace_id: str | None = None,
    parent_span_id: str | None = None,
    entity: str | None = None,
    record_id: str | None = None,
) -> _Work | _Nothing:
    """`with traced_work(app, …) as root:` around background work in an app. `root` is None when nobody listens.

    With the `trace_id` of the request that caused it, and the span there, the work shows as a part of that request's
    trace; without, it is a trace of its own.
    """
    tracer = app.parts.tracer
    if tracer is None:
        return _NOTHING
    root = tracer.begin(
        app.name,
        trace_id or new_trace_id(tracer.clock.now()),
        source,
        component,
        action,
        parent_span_id=parent_span_id,
        entity=entity,
        record_id=record_id,
    )
    return _NOTHING if root is None else _Work(app, root)
