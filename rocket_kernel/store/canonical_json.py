"""JSON text as it is stored, so that every database gives back the same value.

One of our databases keeps JSON numbers as decimals, where `1e22` and `10000000000000000000000` are one. So integral
floats that are printed with an exponent become integers before they are stored, and negative zero loses its sign.
"""

from __future__ import annotations

import msgspec

# From here on floats are printed with an exponent instead of a closing `.0`, which is what tells them from integers.
_EXPONENT_FROM = 1e16

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def canonical(value: object) -> object:
    """The same JSON value with members sorted by name at every depth and numbers in their stored form."""
    return _normal(value, sort=True)


def dumps(value: object) -> str:
    """Compact text of `canonical(value)`."""
    return _encode(_normal(value, sort=True)).decode()


def dumps_ordered(value: object) -> str:
    """As `dumps`, with the members in the order they have. A `msgspec.Raw` is such a text already."""
    if isinstance(value, msgspec.Raw):
        return bytes(value).decode()
    return _encode(_normal(value, sort=False)).decode()


def loads(text: str | bytes) -> object:
    """A stored value; integers are exact."""
    return _decode(text)


def loads_sorted(text: str | bytes) -> object:
    """As `loads`, from a database that has an order of members of its own."""
    return _sorted(_decode(text))


def _normal(value: object, *, sort: bool) -> object:
    if isinstance(value, float):
        if value.is_integer() and abs(value) >= _EXPONENT_FROM:
            return int(value)
        # Adding zero takes the sign off a negative zero; float() takes it down from a subclass.
        return float(value) + 0.0
    if isinstance(value, dict):
        members = sorted(value.items()) if sort else value.items()
        return {name: _normal(item, sort=sort) for name, item in members}
    if isinstance(value, (list, tuple)):
        return [_normal(item, sort=sort) for item in value]
    return value


def _sorted(value: object) -> object:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    return value
