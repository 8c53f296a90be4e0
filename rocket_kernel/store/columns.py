"""What tables are made of, free of any database's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Storage(StrEnum):
    """How a value is kept. Beside each: the wire value that goes in and comes out."""

    TEXT = "text"
    """str without U+0000; compares by code point."""
    INTEGER = "integer"
    """int, 32 bit signed."""
    BIGINT = "bigint"
    """str of a 64-bit signed integer, because JavaScript clients lose digits in numbers."""
    FLOAT = "float"
    """finite float."""
    DECIMAL = "decimal"
    """str without exponent; with a precision p always p fraction digits. Compares as a number."""
    BOOLEAN = "boolean"
    """bool."""
    UUID = "uuid"
    """str, lower-case with hyphens."""
    TIMESTAMP = "timestamp"
    """str `YYYY-MM-DDTHH:MM:SS.mmmZ`."""
    DATE = "date"
    """str `YYYY-MM-DD`."""
    JSON = "json"
    """any JSON value; comes out with object members sorted by name."""
    DOCUMENT = "document"
    """any JSON value of a system table; comes out with its members in the order they were given."""


@dataclass(frozen=True, slots=True)
class ColumnType:
    storage: Storage
    precision: int | None = None
    """Fraction digits of a DECIMAL; None keeps the digits given."""
    member: str | None = field(default=None, compare=False)
    """Of a JSON: it holds objects that compare by this member, a text. How they are kept is not changed by it."""

    def __str__(self) -> str:
        return self.storage.value if self.precision is None else f"{self.storage.value}({self.precision})"


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: ColumnType
    nullable: bool = True
    identity: bool = False
    """The database numbers rows that bring no value; given values are accepted. Only on a sole primary key."""
    default: object = None
    """Wire value, emitted as a quoted literal; None means no default."""
    references: str | None = None
    """`table.column` whose deletion deletes this row. System tables only."""


@dataclass(frozen=True, slots=True)
class Index:
    name: str
    columns: tuple[str, ...]
    unique: bool = False
    live_only: bool = False
    """Covers only rows whose `deleted_at` is null."""
    present_only: bool = False
    """Covers only rows that have a value in its first column. An index that is there keeps what it covers."""
    part: str | None = None
    """Of one column that holds objects: it orders the rows by this member, a number, see `formulas.Part`."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table as it should be. Migration makes what is missing and never drops a table or a column."""

    name: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]
    indexes: tuple[Index, ...] = ()
    as_found: bool = False
    """A table that is there and has all the columns is used as it is, whatever its key and its indexes."""
    _by_name: Mapping[str, Column] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Of two columns with one name the first.
        by_name = {column.name: column for column in reversed(self.columns)}
        object.__setattr__(self, "_by_name", by_name)

    def column(self, name: str) -> Column:
        """Raises KeyError for a name the table does not have."""
        return self._by_name[name]
