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
from rocket_kernel import Span, Spans, timestamp_text

MOST_BYTES = 8192
"""Of the metadata of one span; more is left out, and said to be."""

Packed: TypeAlias = tuple[int, bytes]
"""How many spans some traces have, and the traces."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def pack(traces: Sequence[Spans]) -> bytes:
    """Whole traces as one line, without line breaks. Raises nothing for any metadata."""
    together = [(_head(spans.root), spans.facts()) for spans in traces]
    try:
        return _encode(together)
    except (UnicodeEncodeError, TypeError, ValueError, RecursionError):
        return _encode(_readable(together))


def _head(root: Span) -> tuple[Any, ...]:
    trace = root.trace
    return trace.trace_id, trace.user_id, trace.id_prefix, timestamp_text(trace.clock_base), root.parent_span_id


def unpack(line: bytes | str) -> list[SpanRow]:
    """Wire values in the order of `SPAN_COLUMNS`, for each span. Raises for what is no packed trace."""
    return [row for head, spans in _decode(line) for row in _rows(head, spans)]


def _rows(head: Any, spans: Any) -> list[SpanRow]:
    trace_id, user_id, prefix, began, outer = head
    return [
        (
            f"{prefix}{number:012x}",
            trace_id,
            f"{prefix}{number:012x}",
            outer if parent is None else f"{prefix}{parent:012x}",
            SYSTEM,
            source,
            component,
            action,
            entity,
            record_id,
            user_id,
            None if duration is None else duration / 1000,
            status,
            _metadata(metadata),
            _instant(began, after // 1000),
        )
        for (
            number,
            parent,
            source,
            component,
            action,
            entity,
            record_id,
            after,
            duration,
            status,
            metadata,
        ) in spans
    ]


def lines(traces: str) -> Iterator[str]:
    """The packed traces of a row of the journal."""
    return iter(traces.split("\n")) if traces else iter(())


def _metadata(packed: Any) -> msgspec.Raw | None:
    if not packed:
        return None
    if isinstance(packed, list):
        return _of_statement(*packed)
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
