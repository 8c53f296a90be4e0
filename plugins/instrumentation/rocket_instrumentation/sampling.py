"""Which traces are kept. All listeners, and all processes that a trace passes, decide alike."""

from __future__ import annotations

_RANGE = 16**8


def is_sampled(trace_id: str, rate: float) -> bool:
    """`rate` is the share that is kept, from 0 to 1; by the last digits of the id, which are random in all versions."""
    return rate >= 1.0 or int(trace_id[-8:], 16) < rate * _RANGE
