"""The one JSON reader and writer.

Reading is strict: UTF-8 only, no NaN or Infinity, no trailing text, no unpaired surrogates, bounded depth.
Numbers with a fraction or exponent keep their text, so that decimals never pass through binary floats.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from rocket_kernel.errors import InvalidPayload

MAX_DEPTH = 64


class JsonFloat(float):
    """A JSON number with a fraction or an exponent; `text` holds it as it was written."""

    __slots__ = ("text",)

    text: str

    def __new__(cls, text: str) -> JsonFloat:
        number = super().__new__(cls, text)
        number.text = text
        return number


def _as_written(value: object) -> object:
    """What the encoder does not know by itself: numbers that keep their text."""
    if isinstance(value, JsonFloat):
        return msgspec.Raw(value.text.encode())
    raise TypeError(f"{type(value).__name__} is not JSON")


_decoder = msgspec.json.Decoder(float_hook=JsonFloat)
_encode = msgspec.json.Encoder(enc_hook=_as_written).encode


class InvalidJson(ValueError):
    """The text is not JSON as we read it."""


def decode(body: bytes | str) -> Any:
    """Raises InvalidJson. Integers are exact, other numbers are JsonFloat."""
    try:
        value = _decoder.decode(body)
    except (ValueError, RecursionError) as error:
        raise InvalidJson(str(error)) from error
    brackets = body.count(b"[") + body.count(b"{") if isinstance(body, bytes) else body.count("[") + body.count("{")
    if brackets > MAX_DEPTH and _depth_exceeds(value, MAX_DEPTH):
        raise InvalidJson("nested too deeply")
    return value


def encode(value: object) -> bytes:
    """Compact UTF-8 JSON; members keep their order."""
    return _encode(value)


def plain(value: Any) -> Any:
    """The same value with ordinary floats; raises InvalidPayload for numbers beyond a 64-bit float, and for U+0000."""
    match value:
        case str():
            if "\x00" in value:
                raise InvalidPayload
            return value
        case JsonFloat():
            number = float(value)
            if not math.isfinite(number):
                raise InvalidPayload
            return number
        case dict():
            return {plain(key): plain(item) for key, item in value.items()}
        case list():
            return [plain(item) for item in value]
        case _:
            return value


plain_json = plain
"""The name for plugins: of expressions there is another `plain`."""


def _depth_exceeds(value: object, limit: int) -> bool:
    level = [value]
    for _ in range(limit + 1):
        containers = [item for item in level if isinstance(item, (dict, list))]
        if not containers:
            return False
        level = [
            item
            for container in containers
            for item in (container.values() if isinstance(container, dict) else container)
        ]
    return True
