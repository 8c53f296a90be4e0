"""A text that no log, trace or error may show."""

from __future__ import annotations

from hmac import compare_digest


class Secret:
    """Holds a text and prints as `***`; only `reveal` gives the text back.

    Neither a `str` nor a dataclass, so that joining, JSON encoders and `asdict` cannot spill it.
    """

    __slots__ = ("__text",)

    def __init__(self, text: str) -> None:
        self.__text = text

    def reveal(self) -> str:
        return self.__text

    def __repr__(self) -> str:
        return "***"

    def __bool__(self) -> bool:
        return bool(self.__text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return compare_digest(_octets(self), _octets(other))

    def __hash__(self) -> int:
        return hash(self.__text)


def _octets(secret: Secret) -> bytes:
    # The environment may hold bytes that are no UTF-8; Python keeps them as lone surrogates.
    return secret.reveal().encode("utf-8", "surrogatepass")
