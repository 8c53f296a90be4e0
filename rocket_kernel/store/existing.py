"""Tables as a database describes them."""

from __future__ import annotations

from dataclasses import dataclass

from rocket_kernel.store.columns import ColumnType


@dataclass(frozen=True, slots=True)
class ExistingColumn:
    name: str
    declared: str
    """The type in the database's own words."""
    type: ColumnType | None
    """What Rocket would call it; None when the declaration does not tell."""
    nullable: bool
    identity: bool
    has_default: bool


@dataclass(frozen=True, slots=True)
class ExistingIndex:
    name: str
    unique: bool
    live_only: bool


@dataclass(frozen=True, slots=True)
class ExistingTable:
    name: str
    columns: tuple[ExistingColumn, ...]
    primary_key: tuple[str, ...]
    indexes: tuple[ExistingIndex, ...] = ()
    source: str = ""
    """The statement that made the table, where the database keeps it."""
    revision: int = 0
    """Counts changes of the whole schema, where the database does so."""

    def column(self, name: str) -> ExistingColumn | None:
        return next((column for column in self.columns if column.name == name), None)
