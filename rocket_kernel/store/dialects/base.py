"""What differs between databases: text and types. No I/O and no driver here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, cast

from rocket_kernel.store.columns import Column, ColumnType, Index, Table
from rocket_kernel.store.existing import ExistingColumn, ExistingTable

Codec = Callable[[object], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    driver: str
    """The name under which configuration and `_apps.db_driver` know it."""
    locks_rows: bool
    """`SELECT … FOR UPDATE` is understood; otherwise a write transaction is alone anyway."""
    failed_statement_ends_transaction: bool
    """After an error the transaction is lost unless a savepoint was set before."""


class Wildcard(Enum):
    ANY_RUN = "any run of characters, also none"
    ONE_CHARACTER = "exactly one character"


TextPattern = Sequence[str | Wildcard]
"""Literal text and wildcards in order, free of any database's escapes."""


class Dialect(ABC):
    """Text and types of one database. Wire values are those documented on `Storage`."""

    capabilities: Capabilities

    # Text

    def quote(self, identifier: str) -> str:
        """A quoted identifier. Identifiers come from validated metadata; quoting is a second wall."""
        return '"' + identifier.replace('"', '""') + '"'

    @abstractmethod
    def literal(self, value: object, type: ColumnType) -> str:
        """A wire value as an SQL literal, for column defaults in DDL only."""

    @abstractmethod
    def placeholder(self, position: int) -> str:
        """The placeholder of parameter number `position`, counted from 1. Parameters are bound in text order."""

    # Types

    @abstractmethod
    def column_type(self, type: ColumnType) -> str: ...

    @abstractmethod
    def encoder(self, type: ColumnType) -> Codec | None:
        """Wire value -> driver value; None when they are the same. Never called with None."""

    @abstractmethod
    def decoder(self, type: ColumnType) -> Codec | None:
        """Driver value -> wire value; None when they are the same. Never called with None."""

    # Comparing

    @abstractmethod
    def comparable(self, expression: str, type: ColumnType) -> str:
        """An expression whose =, <, > and ORDER BY follow the type: numbers for decimals, code points for text.

        Used on columns and on placeholders alike.
        """

    @abstractmethod
    def text_bytes(self, expression: str) -> str:
        """The text of a document's column as bytes in UTF-8."""

    def sortable(self, expression: str, type: ColumnType) -> str:
        """As `comparable`, for ORDER BY alone: an expression that is cheaper and orders the same."""
        return self.comparable(expression, type)

    def scaled(self, expression: str, type: ColumnType) -> str | None:
        """The integer 10^p times a decimal of precision p, where comparing that is cheaper; None where it is not."""
        return None

    @abstractmethod
    def part(self, expression: str, name: str) -> str:
        """The member of a stored JSON object as a binary float; NULL unless it is a whole number of at most 16 digits."""

    def number(self, placeholder: str) -> str:
        """A parameter, a float, in arithmetic."""
        return placeholder

    @abstractmethod
    def member_of(self, expression: str, placeholder: str, type: ColumnType) -> str:
        """`expression` (already `comparable`) is one of the values of the single list parameter."""

    def list_encoder(self, type: ColumnType) -> Codec | None:
        """Wire value -> what it is compared as in a list."""
        member = type.member
        return self.encoder(type) if member is None else lambda value: cast(Mapping[str, object], value)[member]

    @abstractmethod
    def encode_list(self, values: Iterable[object], type: ColumnType) -> object:
        """The driver value of the list parameter of `member_of`. Never contains None."""

    @abstractmethod
    def matches(self, expression: str, placeholder: str, *, ignore_case: bool) -> str:
        """`expression` matches the pattern parameter as a whole."""

    @abstractmethod
    def encode_pattern(self, pattern: TextPattern, *, ignore_case: bool) -> object:
        """The driver value of the pattern parameter of `matches`."""

    @abstractmethod
    def order_term(self, expression: str, *, descending: bool, nullable: bool) -> str:
        """An ORDER BY term: NULLs last ascending and first descending."""

    # Rows

    @abstractmethod
    def lock_clause(self, *, skip: bool = False) -> str:
        """Appended to a SELECT to lock its rows until the transaction ends; may be empty.

        With `skip`, rows that others have locked are passed over instead of waited for.
        """

    # DDL

    @abstractmethod
    def create_table(self, table: Table) -> list[str]:
        """CREATE TABLE with primary key, identity, defaults, NOT NULL and references; without the indexes."""

    @abstractmethod
    def add_column(self, table: str, column: Column) -> str:
        """The column starts NULL-able; rows that exist get the column's default."""

    @abstractmethod
    def change_nullable(self, existing: ExistingTable, changes: Mapping[str, bool]) -> list[str]:
        """Set (False) or drop (True) NOT NULL on columns of a table as it is now."""

    @abstractmethod
    def add_identity(self, table: str, column: str) -> list[str]:
        """Let the database number an existing key column; empty where it does so anyway."""

    @abstractmethod
    def advance_identity(self, table: str, column: str) -> list[str]:
        """Move the counter past the largest key, so that given keys are never handed out again."""

    def create_index(self, table: Table, index: Index) -> str:
        terms = [self.comparable(self.quote(name), table.column(name).type) for name in index.columns]
        if index.part is not None:
            terms = [f"({self.part(self.quote(name), index.part)})" for name in index.columns]
        kind = "UNIQUE INDEX" if index.unique else "INDEX"
        text = f"CREATE {kind} {self.quote(index.name)} ON {self.quote(table.name)} ({', '.join(terms)})"
        if index.present_only:
            return f"{text} WHERE {self.quote(index.columns[0])} IS NOT NULL"
        return f'{text} WHERE "deleted_at" IS NULL' if index.live_only else text

    def drop_index(self, name: str) -> str:
        return f"DROP INDEX {self.quote(name)}"

    # Looking

    @abstractmethod
    def explained(self, text: str) -> str:
        """A statement whose rows tell, in their last column, how the database would find the rows of another."""

    @abstractmethod
    def describe_columns(self, table: str) -> tuple[str, Sequence[object]]:
        """Statement and parameters whose rows `existing_table` reads; no rows when there is no such table."""

    @abstractmethod
    def describe_indexes(self, table: str) -> tuple[str, Sequence[object]]: ...

    @abstractmethod
    def existing_table(
        self, table: str, columns: Sequence[Sequence[Any]], indexes: Sequence[Sequence[Any]]
    ) -> ExistingTable: ...

    @abstractmethod
    def find_names(self, names: Sequence[str]) -> tuple[str, Sequence[object]]:
        """A statement with a row, the name, for each of these that a table or an index of the schema has."""

    @abstractmethod
    def script(self, statements: Sequence[str]) -> Sequence[str]:
        """Statements without parameters, put together as far as the database takes several at once."""

    @abstractmethod
    def accepts(self, column: ExistingColumn, type: ColumnType) -> bool:
        """An existing column can hold values of the type as a column made for it would."""


def quoted_text(text: str) -> str:
    """Text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def referenced(dialect: Dialect, column: Column) -> str:
    """The clause that deletes a row together with the row it refers to; empty without `references`."""
    if column.references is None:
        return ""
    table, _, key = column.references.partition(".")
    return f" REFERENCES {dialect.quote(table)} ({dialect.quote(key)}) ON DELETE CASCADE"
