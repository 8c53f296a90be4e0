"""What clients write and read: `{"lat": 48.2082, "lng": 16.3738}`, in a filter `48.2082,16.3738`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MAX_LAT, MAX_LNG = 90, 180
UNITS_M = {"km": 1000.0, "mi": 1609.344, "m": 1.0}
"""In the order they are looked for: `km` ends with an `m` too."""
_DIGITS = frozenset("0123456789.-")
_LONGEST_NUMBER = 32


def read_point(value: Any) -> dict[str, float]:
    """A client's JSON value as a point. Raises ValueError."""
    if not isinstance(value, Mapping) or set(value) != {"lat", "lng"}:
        raise ValueError("an object with lat and lng expected")
    return _point(value["lat"], value["lng"])


def parse_point(text: str) -> dict[str, float]:
    """`lat,lng`. Raises ValueError."""
    lat, lng = map(_number, text.split(","))
    return _point(lat, lng)


def parse_near(text: str) -> tuple[dict[str, float], float]:
    """`lat,lng,distance` with a unit, such as `48.2,16.37,5km` -> the point, and metres. Raises ValueError."""
    place, _, distance = text.rpartition(",")
    distance = distance.strip()
    unit = next((unit for unit in UNITS_M if distance.endswith(unit)), None)
    if unit is None:
        raise ValueError("a distance in m, km or mi expected")
    length = _number(distance.removesuffix(unit))
    if length < 0:
        raise ValueError("a distance is not negative")
    return parse_point(place), length * UNITS_M[unit]


def _point(lat: Any, lng: Any) -> dict[str, float]:
    north, east = _degrees(lat, MAX_LAT), _degrees(lng, MAX_LNG)
    # One place has one longitude.
    return {"lat": north, "lng": float(MAX_LNG) if east == -MAX_LNG else east}


def _degrees(value: Any, largest: int) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -largest <= value <= largest:
        raise ValueError(f"a number from -{largest} to {largest} expected")
    return float(value) + 0.0  # there is no negative zero


def _number(text: str) -> float:
    text = text.strip()
    if not text or len(text) > _LONGEST_NUMBER or not _DIGITS.issuperset(text):
        raise ValueError("a number expected")
    return float(text)
