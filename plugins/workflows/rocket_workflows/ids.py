"""Ids of instances: UUIDs whose order is that of their making.

A row is inserted within somebody's request. Random ids would put it into a page of its own in each index; these go where
the last one went.
"""

from __future__ import annotations

from datetime import datetime
from random import Random, SystemRandom
from uuid import UUID

_RANDOM = SystemRandom()
_VERSION, _VARIANT = 7, 0b10


def new_id(now: str, random: Random = _RANDOM) -> str:
    """A UUID of version 7: 48 bits of milliseconds, the rest but its marks random."""
    milliseconds = round(datetime.fromisoformat(now).timestamp() * 1000)
    high = (milliseconds & (1 << 48) - 1) << 16 | _VERSION << 12 | random.getrandbits(12)
    return str(UUID(int=high << 64 | _VARIANT << 62 | random.getrandbits(62)))
