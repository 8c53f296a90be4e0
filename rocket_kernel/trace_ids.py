"""Ids of traces and spans, which begin with the time: rows are stored and indexed in the order in which they arise."""

from __future__ import annotations

import os
from datetime import datetime
from functools import lru_cache
from itertools import chain, repeat

MAX_SPANS = 1000
"""In one trace. What goes beyond is counted; a request that runs ten thousand statements must not hold them all."""
_NUMBERS = 1024
"""For the spans of a trace: some more than `MAX_SPANS`, which several threads may pass at once."""
_seed = int.from_bytes(os.urandom(9))
next_numbers = chain.from_iterable(repeat(range(_seed & 0x3FFF_FFFF_FFFF, 1 << 48, _NUMBERS)[:-1])).__next__
"""The first of the numbers of a trace's spans, the last twelve digits of their ids. They are unique in this process; after
2 * 10^11 traces they begin anew, when the time that stands before them is another."""
_process = f"7{_seed >> 48 & 0xFFF:03x}-{'89ab'[_seed >> 70]}{_seed >> 60 & 0x3FF | 0x400:03x}-"


def span_id_prefix(instant: datetime) -> str:
    """What the ids of all spans of a trace begin with; their numbers follow, in twelve hexadecimal digits."""
    return _instant_digits(instant) + _process


@lru_cache(maxsize=16)
def _instant_digits(instant: datetime) -> str:
    """The first digits of a UUID of version 7."""
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


def w3c_span_id(span_id: str) -> str:
    """The sixteen digits by which other systems know a span."""
    return span_id.replace("-", "")[16:]
