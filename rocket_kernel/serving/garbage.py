"""How often a serving process looks for garbage that only its collector finds."""

from __future__ import annotations

import gc

_YOUNGEST, _YOUNG, _OLD = 10_000, 20, 50
"""Objects that may gather before the youngest are looked through, and rounds before the older ones are too. Requests leave
hardly any cycles behind; what waits for a moment, such as traces that are not stored yet, must not be looked through
every time some hundred objects are made."""


async def look_seldom() -> None:
    """Once everything is there that stays: it is left out from now on."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNGEST, _YOUNG, _OLD)
