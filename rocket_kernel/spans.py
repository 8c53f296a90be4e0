"""What a trace is made of: spans, and the statements of databases, which are noted more shortly."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from datetime import datetime, timedelta
from functools import lru_cache
from time import perf_counter_ns
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias, overload

from msgspec import Struct, field

from rocket_kernel.clock import timestamp_text
from rocket_kernel.trace_ids import next_numbers, span_id_prefix

if TYPE_CHECKING:
    from rocket_kernel.apps.context import AppContext
    from rocket_kernel.tracing import SpanSink

_OF_STATEMENTS = ("sql", "statement")
_OTHER_VERB = "sql.other"
_VERBS = {verb: f"sql.{verb.lower()}" for verb in ("SELECT", "INSERT", "UPDATE", "DELETE")}

open_spans: ContextVar[Span | None] = ContextVar("rocket open span", default=None)


class Span(Struct, eq=False):
    """One thing that was done, and the block in which it is done: `with span(…)`. A class in C, as every request makes some."""

    source: str
    component: str
    action: str
    entity: str | None = None
    record_id: str | None = None
    parent: Span | None = None
    """None for the root."""
    trace: Trace = None  # type: ignore[assignment]  # which answers with itself, see there
    place: int = 0
    """In the order in which the spans of a trace begin: the root has 0."""
    status: str = "ok"
    ended: int | None = None
    """As `began`; None until it has."""
    noted_metadata: dict[str, Any] | None = None
    """As `metadata`; None while nothing has been added to it."""
    began: int = field(default_factory=perf_counter_ns)
    """A reading of that clock, as are those of `Statement`."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.action}>"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        # That of structures tells all, to whoever prints local variables.
        return [("action", self.action)]

    def __enter__(self) -> Self:
        open_spans.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended = perf_counter_ns()
        # Not by a token, which another context would refuse: blocks of generators end where they please.
        open_spans.set(self.parent)
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
        trace = self.trace
        return f"{trace.id_prefix}{trace.first_number + self.place:012x}"

    @property
    def parent_span_id(self) -> str | None:
        return None if self.parent is None else self.parent.span_id

    @property
    def user_id(self) -> str | None:
        return self.trace.user_id

    @property
    def duration_ms(self) -> float | None:
        """None until it has ended."""
        return None if self.ended is None else (self.ended - self.began) / 1e6

    @property
    def after_ns(self) -> int:
        """Nanoseconds since its trace began."""
        return self.began - self.trace.began

    @property
    def started_at(self) -> str:
        """A timestamp's wire value."""
        past, first = self.after_ns // 1_000_000, self.trace.clock_base
        return timestamp_text(first + timedelta(milliseconds=past) if past else first)

    @property
    def metadata(self) -> dict[str, Any]:
        """JSON values, to be added to. No secrets, and no values of records."""
        if self.noted_metadata is None:
            self.noted_metadata = {}
        return self.noted_metadata


class Trace(Span, eq=False, kw_only=True):
    """The root of a request or a job, and what all its spans share. What a task does after it has ended is no part of it."""

    trace_id: str
    """UUID text."""
    sinks: tuple[SpanSink, ...]
    clock_base: datetime
    """When it began; of a request, when its head was there."""
    parent_span_id: str | None = None
    """Of what caused it, in another part of the same trace."""
    spans: list[Span | Statement] = field(default_factory=list)
    """As far as they have begun; empty once they have been told of, so that what a listener lets go of is gone at once."""
    left_out: int = 0
    """How many spans were not kept, see `MAX_SPANS`."""
    app: AppContext | None = None
    user_id: str | None = None
    """Of the caller, once it is known."""
    route: str | None = None
    """The pattern of the route that answers, such as `/api/:app/:entity`; None for jobs and unknown paths."""
    outside: Span | None = None
    """What was open when its block began: work that is a trace of its own may run inside of another one."""
    first_number: int = field(default_factory=next_numbers)

    if not TYPE_CHECKING:  # who see the attribute of Span

        @property
        def trace(self) -> Trace:
            # To hold itself would be a cycle, for the garbage collector to find.
            return self

    @property
    def id_prefix(self) -> str:
        """What the ids of all its spans begin with; their numbers follow, in twelve hexadecimal digits."""
        return span_id_prefix(self.clock_base)

    def __enter__(self) -> Self:
        self.outside = open_spans.get()
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        open_spans.set(self.outside)


Statement: TypeAlias = tuple[int, str, int, int, int | None]
"""Of a database: the place of the span's parent, the SQL, readings of `perf_counter_ns` at its beginning and end, and its rows.
Nobody opens such a span, so it is made one only for a listener who looks at it."""


class Spans(Sequence[Span]):
    """All spans of a trace that has ended, in the order in which they began: the first is its root."""

    __slots__ = ("_made", "noted", "root")

    def __init__(self, root: Trace, noted: Sequence[Span | Statement]) -> None:
        self.root = root
        self.noted = noted
        """The same as it was noted, for a listener that keeps every span: a `Statement` only becomes a span when it is
        asked for."""
        self._made: list[Span] | None = None

    def __len__(self) -> int:
        return len(self.noted)

    @overload
    def __getitem__(self, at: int) -> Span: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Span]: ...
    def __getitem__(self, at: int | slice) -> Span | Sequence[Span]:
        return self._spans()[at]

    def __iter__(self) -> Iterator[Span]:
        return iter(self._spans())

    def _spans(self) -> list[Span]:
        if self._made is None:
            self._made = []
            for one in self.noted:
                self._made.append(one if isinstance(one, Span) else _made(self._made, one))
        return self._made


def _made(before: Sequence[Span], statement: Statement) -> Span:
    parent, sql, began, ended, rows = statement
    made = statement_span(before[parent], len(before), sql, began, ended)
    if rows is not None:
        made.metadata["rows"] = rows
    return made


def statement_span(parent: Span, place: int, sql: str, began: int, ended: int) -> Span:
    return Span(
        *_OF_STATEMENTS,
        statement_action(sql),
        parent=parent,
        trace=parent.trace,
        place=place,
        ended=ended,
        noted_metadata={"fingerprint": fingerprint(sql)},
        began=began,
    )


_LITERAL = re.compile(r"'(?:[^']|'')*'|\$\d+|\?\d*|\b\d+(?:\.\d+)?\b")
_LISTS = re.compile(r"(?<=SELECT )[^()]{40,}?(?= FROM )|(?<=RETURNING ).*|\(\?(?:, ?\?)+\)(?:, ?\(\?(?:, ?\?)*\))*")
_MOST_CHARACTERS = 200


@lru_cache(maxsize=2000)
def fingerprint(sql: str) -> str:
    """The shape of a statement: no values, long lists of columns as `…`."""
    text = _LITERAL.sub("?", " ".join(sql.split()))
    text = _LISTS.sub(lambda found: "(…)" if found[0].startswith("(") else "…", text)
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 1] + "…"


def statement_action(sql: str) -> str:
    """The action of a statement's span, also of its fingerprint: `sql.select`."""
    return _VERBS.get(sql[:6], _OTHER_VERB)
