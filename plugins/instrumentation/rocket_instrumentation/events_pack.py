"""Traces as one line of JSON, the form in which they wait and are journalled; and the rows that they stand for. Pure.

What is journalled is packed while requests want the time, so packing does no more than it must: ids, times and metadata are
written out when the rows are made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, TypeAlias

import msgspec

from rocket_instrumentation.events_row import SYSTEM, SpanRow
from rocket_kernel import Spans, fingerprint, statement_action, timestamp_text

_FORM = 3
"""Of a line. A line of another form, by another version of the plugin, is none."""
MOST_BYTES = 8192
"""Of the metadata of one span; more is left out, and said to be."""

Packed: TypeAlias = tuple[int, bytes]
"""How many spans some traces have, and the traces."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def pack(traces: Sequence[Spans]) -> bytes:
    """Whole traces as one line, without line breaks. Raises nothing for any metadata.

    What many of them share stands there once: shapes of statements, and for each instant at which some began what their
    span ids begin with and its timestamp. Spans stand in the order of their numbers, and name their parents by their places
    in it.
    """
    shapes: dict[str, int] = {}
    instants: dict[datetime, int] = {}
    beginnings: list[tuple[str, str]] = []
    packed: list[tuple[Any, ...]] = []
    shape_of = shapes.setdefault
    for spans in traces:
        trace = spans.root
        began, instant = trace.began, instants.get(trace.clock_base)
        if instant is None:
            instant = instants[trace.clock_base] = len(instants)
            beginnings.append((trace.id_prefix, timestamp_text(trace.clock_base)))
        # Apart from the others, as code that meets objects of one class only runs faster.
        root = (
            None,
            0,
            trace.ended and trace.ended - began,
            trace.source,
            trace.component,
            trace.action,
            trace.entity,
            trace.record_id,
            trace.status,
            trace.noted_metadata,
        )
        others = [
            (one[0], one[2] - began, one[3] - one[2], shape_of(one[1], len(shapes)), one[4])
            if isinstance(one, tuple)
            else (
                one.parent and one.parent.place,
                one.began - began,
                one.ended and one.ended - one.began,
                one.source,
                one.component,
                one.action,
                one.entity,
                one.record_id,
                one.status,
                one.noted_metadata,
            )
            for one in spans.noted[1:]
        ]
        packed.append((trace.trace_id, trace.user_id, instant, trace.first_number, trace.parent_span_id, root, others))
    line = _FORM, [fingerprint(sql) for sql in shapes], beginnings, packed
    try:
        return _encode(line)
    except (UnicodeEncodeError, TypeError, ValueError, RecursionError):
        return _encode(_readable(line))


def unpack(line: bytes | str) -> list[SpanRow]:
    """Wire values in the order of `SPAN_COLUMNS`, for each span. Raises for what are no packed traces."""
    form, *rest = _decode(line)
    if form != _FORM:
        raise ValueError("a line of the journal by another version")
    shapes, instants, traces = rest
    return [row for trace in traces for row in _rows(shapes, instants, *trace)]


def _rows(
    shapes: Any,
    instants: Any,
    trace_id: Any,
    user_id: Any,
    instant: Any,
    first: Any,
    outer: Any,
    root: Any,
    others: Any,
) -> list[SpanRow]:
    prefix, began = instants[instant]
    rows: list[SpanRow] = []
    for number, (parent, after, lasted, *rest) in enumerate((root, *others), first):
        if len(rest) == 2:
            shape, returned = rest
            source, component, entity, record_id, status = "sql", "statement", None, None, "ok"
            action = statement_action(shapes[shape])
            metadata: msgspec.Raw | None = _of_statement(shapes[shape], returned)
        else:
            source, component, action, entity, record_id, status, found = rest
            metadata = _metadata(found)
        rows.append(
            (
                f"{prefix}{number:012x}",
                trace_id,
                f"{prefix}{number:012x}",
                outer if parent is None else f"{prefix}{first + parent:012x}",
                SYSTEM,
                source,
                component,
                action,
                entity,
                record_id,
                user_id,
                None if lasted is None else round(lasted / 1000) / 1000,
                status,
                metadata,
                _instant(began, after // 1_000_000),
            )
        )
    return rows


def lines(traces: str) -> Iterator[str]:
    """The packed traces of a row of the journal."""
    return iter(traces.split("\n")) if traces else iter(())


def _metadata(packed: Any) -> msgspec.Raw | None:
    if not packed:
        return None
    text = _encode(packed)
    return msgspec.Raw(text if len(text) <= MOST_BYTES else b'{"left_out":true}')


@lru_cache(maxsize=4096)
def _of_statement(fingerprint: str, rows: int | None) -> msgspec.Raw:
    return msgspec.Raw(
        _encode({"fingerprint": fingerprint} if rows is None else {"fingerprint": fingerprint, "rows": rows})
    )


@lru_cache(maxsize=4096)
def _instant(began: str, milliseconds: int) -> str:
    return (
        timestamp_text(datetime.fromisoformat(began) + timedelta(milliseconds=milliseconds)) if milliseconds else began
    )


def _readable(value: Any, depth: int = 0) -> Any:
    """Texts such as paths may hold what is no Unicode; of what is no JSON, or too deep, the type is told."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if depth < _DEEPEST and isinstance(value, dict):
        return {_readable(str(name)): _readable(item, depth + 1) for name, item in value.items()}
    if depth < _DEEPEST and isinstance(value, (list, tuple)):
        return [_readable(item, depth + 1) for item in value]
    return type(value).__name__


_DEEPEST = 12
