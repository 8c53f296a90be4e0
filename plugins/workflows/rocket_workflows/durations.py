"""Durations such as `72h`, `1h30m` and `2d`."""

from __future__ import annotations

import re
from datetime import timedelta

_PART = re.compile(r"([0-9]{1,9})([dhms])")
_WHOLE = re.compile(r"(?:[0-9]{1,9}[dhms])+")
_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_LONGEST_TEXT = 100

LONGEST = timedelta(days=36525)
"""A hundred years: further on, dates soon have no four-digit year."""


def parse_duration(text: object) -> timedelta:
    """One or more of integer and unit. Raises ValueError for anything else."""
    if not isinstance(text, str) or len(text) > _LONGEST_TEXT or not _WHOLE.fullmatch(text):
        raise ValueError("one or more of integer and unit (d, h, m, s) expected")
    duration = timedelta(seconds=sum(int(number) * _SECONDS[unit] for number, unit in _PART.findall(text)))
    if duration > LONGEST:
        raise ValueError(f"at most {LONGEST.days} days")
    return duration
