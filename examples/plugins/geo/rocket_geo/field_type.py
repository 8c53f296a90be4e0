"""The field type `point`: what is stored of a place, and the operators that compare places."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rocket_geo.point import MAX_LAT, MAX_LNG, parse_near, parse_point, read_point
from rocket_geo.sphere import Spot, spot, straight_nm
from rocket_kernel import FieldType, Operator, Part, Storage, Term, Truth

_X, _Y, _Z = Part("x"), Part("y"), Part("z")

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "description": "A place on Earth, in degrees",
    "properties": {
        "lat": {"type": "number", "minimum": -MAX_LAT, "maximum": MAX_LAT},
        "lng": {"type": "number", "minimum": -MAX_LNG, "maximum": MAX_LNG},
    },
    "required": ["lat", "lng"],
    "additionalProperties": False,
}


def keep(value: Mapping[str, Any]) -> dict[str, Any]:
    """The point, and where it is in space."""
    place = spot(value["lat"], value["lng"])
    return {"lat": value["lat"], "lng": value["lng"], "x": place.x, "y": place.y, "z": place.z}


def show(stored: Any, _app: str) -> dict[str, float] | None:
    """None for what an earlier definition of the column may have left there."""
    if not isinstance(stored, Mapping):
        return None
    try:
        return read_point({"lat": stored.get("lat"), "lng": stored.get("lng")})
    except ValueError:
        return None


def near(text: str) -> Truth:
    """No farther than a distance: first between two parallels, which an index answers, then inside the ball."""
    point, distance_m = parse_near(text)
    place, line = spot(point["lat"], point["lng"]), straight_nm(distance_m)
    return _Z.between(place.z - line, place.z + line) & (_squared_line(place) <= float(line) * float(line))


def nearness(text: str) -> Term:
    """The nearer the smaller."""
    point, _ = parse_near(text)
    return _squared_line(spot(point["lat"], point["lng"]))


def same_place(text: str) -> Truth:
    place = _spot_of(text)
    return _Z.equals(place.z) & _X.equals(place.x) & _Y.equals(place.y)


def other_place(text: str) -> Truth:
    place = _spot_of(text)
    return _squared_line(place) > 0


def _squared_line(place: Spot) -> Term:
    dx, dy, dz = _X - place.x, _Y - place.y, _Z - place.z
    return dx * dx + dy * dy + dz * dz


def _spot_of(text: str) -> Spot:
    point = parse_point(text)
    return spot(point["lat"], point["lng"])


POINT = FieldType(
    name="point",
    storage=Storage.JSON,
    read=lambda value, _precision: read_point(value),
    read_filter=lambda text, _precision: parse_point(text),
    operators=frozenset({"is_null"}),
    own_operators={
        "near": Operator(near, order=nearness),
        "eq": Operator(same_place),
        "neq": Operator(other_place),
    },
    sortable=False,
    schema=SCHEMA,
    keep=keep,
    show=show,
    indexed_parts=("z",),
)
