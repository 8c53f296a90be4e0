"""Text and parameters of one statement, put together in order."""

from __future__ import annotations

from rocket_kernel.store.columns import ColumnType
from rocket_kernel.store.dialects.base import Dialect


class SqlBuilder:
    """Text is appended as it is; values only ever become parameters."""

    __slots__ = ("_parts", "dialect", "params")

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.params: list[object] = []
        self._parts: list[str] = []

    def add(self, text: str) -> SqlBuilder:
        self._parts.append(text)
        return self

    def bind(self, value: object, type: ColumnType) -> SqlBuilder:
        """Append a placeholder for a wire value; None is NULL."""
        return self.bind_raw(encoded(self.dialect, value, type))

    def bind_raw(self, value: object) -> SqlBuilder:
        """Append a placeholder for a driver value."""
        return self.add(self.reserve(value))

    def reserve(self, value: object) -> str:
        """Bind a driver value and return its placeholder for the text that is appended next."""
        self.params.append(value)
        return self.dialect.placeholder(len(self.params))

    def text(self) -> str:
        return "".join(self._parts)


def encoded(dialect: Dialect, value: object, type: ColumnType) -> object:
    """A wire value as the driver takes it; None stays None."""
    if value is None:
        return None
    encode = dialect.encoder(type)
    return value if encode is None else encode(value)


def decoded(dialect: Dialect, value: object, type: ColumnType) -> object:
    """A driver value as a wire value; None stays None."""
    if value is None:
        return None
    decode = dialect.decoder(type)
    return value if decode is None else decode(value)
