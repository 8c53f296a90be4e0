"""Distances on a sphere without sines where rows are compared.

A place is kept as the point of a sphere in space, in whole nanometres from its centre. Two places are as far apart on the
ground as the straight line between these points is long, and the square of that line is `dx² + dy² + dz²`: the haversine
formula in other words. It takes three differences and three products, needs no care at the poles or where longitudes
jump, and every database gets it right to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import asin, ceil, cos, pi, radians, sin, sqrt

RADIUS_M = 6_371_008.8
"""The mean radius of the Earth, as the IUGG defines it."""
FARTHEST_M = pi * RADIUS_M
_NM = 10**9
_FLOAT_STEPS = 10**15
# Each coordinate is rounded by half a nanometre at most, so two points by less than two.
_ROUNDING_NM = 2


@dataclass(frozen=True, slots=True)
class Spot:
    """A point of the sphere, in nanometres from its centre."""

    x: int
    y: int
    z: int


def spot(lat: float, lng: float) -> Spot:
    """Degrees, north and east being positive."""
    north, east = radians(lat), radians(lng)
    scale = RADIUS_M * _NM
    return Spot(round(scale * cos(north) * cos(east)), round(scale * cos(north) * sin(east)), round(scale * sin(north)))


def straight_nm(distance_m: float) -> int:
    """The straight line through the Earth under a way on the ground, rounded up by what spots are rounded by."""
    angle = min(distance_m, FARTHEST_M) / (2 * RADIUS_M)
    line = ceil(2 * RADIUS_M * _NM * sin(angle))
    # Right through the Earth even a binary float is some nanometres off.
    return line + line // _FLOAT_STEPS + _ROUNDING_NM


def distance_m(a: Spot, b: Spot) -> float:
    """The way on the ground, in metres."""
    line = sqrt((a.x - b.x) ** 2 + (a.y - b.y) ** 2 + (a.z - b.z) ** 2)
    return 2 * RADIUS_M * asin(min(1.0, line / (2 * RADIUS_M * _NM)))
