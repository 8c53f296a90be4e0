"""What expressions of rules, guards and conditions can ask of places."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rocket_geo.point import read_point
from rocket_geo.sphere import distance_m, spot
from rocket_kernel import Function


def _distance(a: Any, b: Any) -> float | None:
    """Metres on the ground, to the millimetre; null if a side is."""
    if a is None or b is None:
        return None
    first, second = (read_point(_plain(value)) for value in (a, b))
    return round(distance_m(spot(first["lat"], first["lng"]), spot(second["lat"], second["lng"])), 3)


def _plain(value: Any) -> Any:
    """Numbers of the language are decimals."""
    if not isinstance(value, Mapping):
        return value
    return {name: value[name] if isinstance(value[name], (str, bool)) else float(value[name]) for name in value}


DISTANCE = Function(name="distance_m", call=_distance, least=2, most=2)
