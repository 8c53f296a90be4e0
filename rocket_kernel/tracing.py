"""Traces: what a request or a job did, and how long each part took, for whoever listens.

A trace is a tree of spans. Which span is open is a matter of context, so that nobody has to hand it down: tasks and
threads that a request starts find it. Without a listener there is none, and every place that could make one asks a
single question. What is noted are names, counts and times, never a value.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import count
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from rocket_kernel.clock import Clock, timestamp_text
from rocket_kernel.stray import STRAY

if TYPE_CHECKING:
    from rocket_kernel.apps.context import AppContext

logger = logging.getLogger(__name__)

MAX_SPANS = 1000
"""In one trace. What goes beyond is counted; a request that runs ten thousand statements must not hold them all."""

_now = perf_counter


class SpanSink(Protocol):
    """Who listens to traces. Both methods are called on the event loop and must be quick; neither may raise."""

    def samples(self, app: str | None, trace_id: str) -> bool:
        """Whether this trace is wanted. Asked once, when it begins; `app` is the name in the path, None for none."""
        ...

    def finished(self, app: AppContext | None, spans: Sequence[Span]) -> None:
        """All spans of a trace that has ended, in the order in which they began: the first is its root.

        `app` is None where the request met none: a path outside of apps, or an app that is not there.
        """
        ...


class Trace:
    """What the spans of one request or job share."""

    __slots__ = ("app", "began", "clock_base", "closed", "left_out", "route", "sinks", "spans", "trace_id", "user_id")

    def __init__(self, trace_id: str, sinks: tuple[SpanSink, ...], clock_base: datetime) -> None:
        self.trace_id = trace_id
        """UUID text."""
        self.sinks = sinks
        self.spans: list[Span] = []
        """As far as they have begun; empty once it has ended, so that what a listener lets go of is gone at once."""
        self.left_out = 0
        """How many spans were not kept, see `MAX_SPANS`."""
        self.closed = False
        """It has ended: what a task that outlives it does is no part of it."""
        self.app: AppContext | None = None
        self.user_id: str | None = None
        """Of the caller, once it is known."""
        self.route: str | None = None
        """The pattern of the route that answers, such as `/api/:app/:entity`; None for jobs and unknown paths."""
        self.clock_base = clock_base
        """When it began."""
        self.began = 0.0
        """The reading of `perf_counter` at that time."""

    @property
    def id_prefix(self) -> str:
        """What the ids of all its spans begin with; their numbers follow, in twelve hexadecimal digits."""
        return _instant_digits(self.clock_base) + _process


class Span:
    """One thing that was done, and the block in which it is done: `with span(…)`."""

    __slots__ = (
        "_began",
        "_id",
        "_metadata",
        "_outer",
        "_parent_id",
        "_rows",
        "_statement",
        "action",
        "component",
        "duration_ms",
        "entity",
        "number",
        "parent",
        "record_id",
        "source",
        "status",
        "trace",
    )
    _outer: Span | None
    _parent_id: str | None
    _rows: int | None

    def __init__(
        self,
        trace: Trace,
        parent: Span | None,
        source: str,
        component: str,
        action: str,
        entity: str | None = None,
        record_id: str | None = None,
    ) -> None:
        self.trace = trace
        self.parent = parent
        """None for the root."""
        self.source = source
        self.component = component
        self.action = action
        self.entity = entity
        self.record_id = record_id
        self.status = "ok"
        self.duration_ms: float | None = None
        """None until it has ended."""
        self._metadata: dict[str, Any] | None = None
        self._statement: str | None = None
        self._id: str | None = None
        self.number = next(_numbers)
        """In one process these grow in the order in which spans begin."""
        trace.spans.append(self)
        self._began = _now()

    def __enter__(self) -> Span:
        if self.parent is None:
            # Work that is a trace of its own may run inside of another one.
            self._outer = _open.get()
        _open.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.duration_ms = (_now() - self._began) * 1000.0
        # Not by a token, which another context would refuse: blocks of generators end where they please.
        _open.set(self._outer if self.parent is None else self.parent)
        if error is not None:
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Its status is `error`; of the exception only the code is kept, because its text may hold values."""
        self.status = "error"
        self.metadata["error"] = getattr(error, "code", None) or type(error).__name__

    @property
    def trace_id(self) -> str:
        return self.trace.trace_id

    @property
    def span_id(self) -> str:
        """UUID text."""
        if self._id is None:
            self._id = f"{self.trace.id_prefix}{self.number:012x}"
        return self._id

    @property
    def parent_span_id(self) -> str | None:
        if self.parent is not None:
            return self.parent.span_id
        return getattr(self, "_parent_id", None)

    @property
    def user_id(self) -> str | None:
        return self.trace.user_id

    @property
    def after_s(self) -> float:
        """Seconds between the beginning of its trace, `trace.clock_base`, and its own."""
        return self._began - self.trace.began

    @property
    def started_at(self) -> str:
        """A timestamp's wire value."""
        past, first = int(self.after_s * 1000.0), self.trace.clock_base
        return timestamp_text(first + timedelta(milliseconds=past) if past else first)

    def facts(self) -> tuple[Any, ...]:
        """All there is to tell, as plain values and at once, for a listener that keeps every span.

        Number, that of the parent or None, source, component, action, entity, record_id, whole microseconds between the
        beginning of the trace and its own, its duration in microseconds or None, status, and the metadata: a mapping, None
        for none, or fingerprint and rows of a statement that has no other.
        """
        metadata: Any = self._metadata
        if metadata is None and self._statement is not None:
            metadata = fingerprint(self._statement), self._rows
        parent, lasted = self.parent, self.duration_ms
        return (
            self.number,
            None if parent is None else parent.number,
            self.source,
            self.component,
            self.action,
            self.entity,
            self.record_id,
            int((self._began - self.trace.began) * 1e6),
            None if lasted is None else round(lasted * 1000),
            self.status,
            metadata,
        )

    @property
    def metadata(self) -> dict[str, Any]:
        """JSON values, to be added to. No secrets, and no values of records."""
        if self._metadata is None:
            self._metadata = {}
            if self._statement is not None:
                self._metadata["fingerprint"] = fingerprint(self._statement)
                if self._rows is not None:
                    self._metadata["rows"] = self._rows
        return self._metadata


class _Nothing:
    """A block outside of any trace."""

    __slots__ = ()

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


_NOTHING = _Nothing()
SpanBlock: TypeAlias = Span | _Nothing

_open: ContextVar[Span | None] = ContextVar("rocket open span", default=None)


def span(
    source: str, component: str, action: str, *, entity: str | None = None, record_id: str | None = None
) -> SpanBlock:
    """`with span("mine", "mailer", "mail.send"):` notes the block as a part of the current trace, if there is one.

    The block is the span, or None without a trace. An exception that leaves it makes its status `error`.
    """
    parent = _open.get()
    if parent is None:
        return _NOTHING
    trace = parent.trace
    if trace.closed:
        return _NOTHING
    if len(trace.spans) >= MAX_SPANS:
        trace.left_out += 1
        return _NOTHING
    return Span(trace, parent, source, component, action, entity, record_id)


def annotate(**metadata: Any) -> None:
    """Add JSON values to the open span; nothing without one. Never secrets or values of records."""
    found = current_span()
    if found is not None:
        found.metadata.update(metadata)


def note_record(entity: str, key: object = None) -> None:
    """What the open span is about, once that is known to exist."""
    found = _open.get()
    if found is not None:
        found.entity = entity
        found.record_id = None if key is None else str(key)


def current_span() -> Span | None:
    """The open span; None outside of a trace that is listened to."""
    found = _open.get()
    return None if found is None or found.trace.closed else found


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


def w3c_span_id(span_id: str) -> str:
    """The sixteen digits by which other systems know a span."""
    return span_id.replace("-", "")[16:]


def note_statement(sql: str, began: float, rows: int | None, error: BaseException | None = None) -> None:
    """A statement of the database that began at a reading of `perf_counter`. For the store, which has asked for the
    open span before."""
    parent = _open.get()
    if parent is None or parent.trace.closed:
        return
    trace = parent.trace
    if len(trace.spans) >= MAX_SPANS:
        trace.left_out += 1
        return
    made = Span(trace, parent, "sql", "statement", _VERBS.get(sql[:6], "sql.other"))
    made.duration_ms = (made._began - began) * 1000.0
    made._began = began
    made._statement = sql
    made._rows = rows
    if error is not None:
        made.fail(error)


def open_span() -> Span | None:
    """Whether there is anything to note for: the one question of places that are passed very often."""
    return _open.get()


@dataclass(frozen=True, slots=True, eq=False)
class Tracer:
    """Begins traces. One for each kernel that somebody listens to."""

    sinks: tuple[SpanSink, ...]
    clock: Clock

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
    ) -> Span | None:
        """The root of a trace, to be entered as a block and given to `end` after it. None when nobody wants it."""
        wanting = self.sinks
        for sink in wanting:
            if not _wants(sink, app, trace_id):
                wanting = tuple([other for other in wanting if other is not sink])
        if not wanting:
            return None
        trace = Trace(trace_id, wanting, self.clock.now())
        root = Span(trace, None, source, component, action, entity, record_id)
        trace.began = root._began
        if parent_span_id is not None:
            root._parent_id = parent_span_id
        return root

    def end(self, root: Span) -> None:
        """Tell the listeners. What they raise is logged."""
        trace = root.trace
        spans, trace.spans = trace.spans, []
        trace.closed = True
        if trace.left_out:
            root.metadata["spans_left_out"] = trace.left_out
        for sink in trace.sinks:
            try:
                sink.finished(trace.app, spans)
            except (Exception, *STRAY):
                logger.exception("a listener to traces failed, trace %s", trace.trace_id)


def _wants(sink: SpanSink, app: str | None, trace_id: str) -> bool:
    """A listener that fails wants nothing: what it listens to must not fail with it."""
    try:
        return sink.samples(app, trace_id)
    except (Exception, *STRAY):
        logger.exception("a listener to traces failed, trace %s", trace_id)
        return False


class _Work:
    """A trace of its own around work that no request waits for."""

    __slots__ = ("_app", "_root", "_tracer")

    def __init__(self, tracer: Tracer, app: AppContext, root: Span) -> None:
        self._tracer = tracer
        self._app = app
        self._root = root

    def __enter__(self) -> Span:
        self._root.trace.app = self._app
        return self._root.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._root.__exit__(kind, error, trace)
        self._tracer.end(self._root)


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
    return _NOTHING if root is None else _Work(tracer, app, root)


# -- Ids --

_seed = int.from_bytes(os.urandom(9))
_numbers = count(_seed & 0x3FFF_FFFF_FFFF)
"""The last twelve digits of span ids: unique in this process for as long as it lives."""
_process = f"7{_seed >> 48 & 0xFFF:03x}-{'89ab'[_seed >> 70]}{_seed >> 60 & 0x3FF | 0x400:03x}-"


@lru_cache(maxsize=16)
def _instant_digits(instant: datetime) -> str:
    """Ids begin with the time (UUID version 7): rows are stored and indexed in the order in which they arise."""
    milliseconds = int(instant.timestamp() * 1000)
    text = f"{milliseconds & 0xFFFF_FFFF_FFFF:012x}"
    return f"{text[:8]}-{text[8:]}-"


_left: list[str] = []


def new_trace_id(instant: datetime) -> str:
    """A UUID that begins with the time, so that an index of traces grows at its end."""
    if not _left:
        text = os.urandom(10 * 256).hex()
        _left.extend(text[at : at + 20] for at in range(0, len(text), 20))
    h = _left.pop()
    return f"{_instant_digits(instant)}7{h[1:4]}-{'89ab'[int(h[4], 16) & 3]}{h[5:8]}-{h[8:]}"


# -- Statements --

_LITERAL = re.compile(r"'(?:[^']|'')*'|\$\d+|\?\d*|\b\d+(?:\.\d+)?\b")
_LISTS = re.compile(r"(?<=SELECT )[^()]{40,}?(?= FROM )|(?<=RETURNING ).*|\(\?(?:, ?\?)+\)(?:, ?\(\?(?:, ?\?)*\))*")
_MOST_CHARACTERS = 200


@lru_cache(maxsize=2000)
def fingerprint(sql: str) -> str:
    """The shape of a statement: no values, long lists of columns as `…`."""
    text = _LITERAL.sub("?", " ".join(sql.split()))
    text = _LISTS.sub(lambda found: "(…)" if found[0].startswith("(") else "…", text)
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 1] + "…"


_VERBS = {verb: f"sql.{verb.lower()}" for verb in ("SELECT", "INSERT", "UPDATE", "DELETE")}
