"""What was found out about callers, for so many of them."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TypeVar

T = TypeVar("T")

CALLERS_KEPT = 1000
"""More callers than this at a time are looked up afresh now and then; each takes a few hundred bytes an entity."""


class Memory(dict[Hashable, T]):
    """Values by key; forgets everything when it is full, because clients choose how many keys there are."""

    __slots__ = ()

    def keep(self, key: Hashable, value: T) -> T:
        if len(self) >= CALLERS_KEPT:
            self.clear()
        self[key] = value
        return value
