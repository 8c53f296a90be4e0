"""SQLite: what is stored how, and how it is compared.

Its columns know four types, ours eleven. So each column carries its own type in a comment behind SQLite's
(`"born" TEXT /* date */`), which SQLite keeps and migration reads; columns without one were made by hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import msgspec

from rocket_kernel.store import canonical_json
from rocket_kernel.store.case_fold import simple_lower
from rocket_kernel.store.columns import Column, ColumnType, Storage, Table
from rocket_kernel.store.decimal_key import decimal_key
from rocket_kernel.store.dialects import sqlite_schema
from rocket_kernel.store.dialects.base import (
    Capabilities,
    Codec,
    Dialect,
    TextPattern,
    Wildcard,
    quoted_text,
    referenced,
)
from rocket_kernel.store.existing import ExistingColumn, ExistingTable
from rocket_kernel.store.formulas import LARGEST_PART

DECIMAL_KEY = "rocket_decimal_key"
LOWER = "rocket_lower"

_TYPES = {
    Storage.INTEGER: "INTEGER",
    Storage.BIGINT: "INTEGER",
    Storage.FLOAT: "REAL",
    Storage.BOOLEAN: "INTEGER",
}
_GLOB_ESCAPES = str.maketrans({"*": "[*]", "?": "[?]", "[": "[[]"})
_GLOB_WILDCARDS = {Wildcard.ANY_RUN: "*", Wildcard.ONE_CHARACTER: "?"}


def sql_functions() -> Mapping[str, Any]:
    """Functions of one argument that the statements call, by name. All are deterministic."""
    return {DECIMAL_KEY: _decimal_key_of_column, LOWER: _lower_of_column}


class SqliteDialect(Dialect):
    capabilities = Capabilities(driver="sqlite", locks_rows=False, failed_statement_ends_transaction=False)

    def literal(self, value: object, type: ColumnType) -> str:
        encode = self.encoder(type)
        driver_value = value if encode is None else encode(value)
        return quoted_text(driver_value) if isinstance(driver_value, str) else repr(driver_value)

    def placeholder(self, position: int) -> str:
        return "?"

    def column_type(self, type: ColumnType) -> str:
        return f"{_TYPES.get(type.storage, 'TEXT')} {sqlite_schema.mark(type)}"

    def encoder(self, type: ColumnType) -> Codec | None:
        return _ENCODERS.get(type.storage)

    def decoder(self, type: ColumnType) -> Codec | None:
        return _DECODERS.get(type.storage)

    def comparable(self, expression: str, type: ColumnType) -> str:
        if type.member is not None:
            return f"json_extract({expression}, {quoted_text(f'$.{type.member}')})"
        return f"{DECIMAL_KEY}({expression})" if type.storage is Storage.DECIMAL else expression

    def text_bytes(self, expression: str) -> str:
        return f"CAST({expression} AS BLOB)"

    def part(self, expression: str, name: str) -> str:
        path = quoted_text(f"$.{name}")
        number = f"json_extract({expression}, {path})"
        whole = f"json_type({expression}, {path}) = 'integer' AND {number} BETWEEN -{LARGEST_PART} AND {LARGEST_PART}"
        return f"CASE WHEN {whole} THEN CAST({number} AS REAL) END"

    def scaled(self, expression: str, type: ColumnType) -> str | None:
        if type.storage is Storage.DECIMAL and type.precision is not None:
            # With a fixed number of fraction digits the text without its point is an integer of at most 18 digits.
            return f"CAST(replace({expression}, '.', '') AS INTEGER)"
        return None

    def sortable(self, expression: str, type: ColumnType) -> str:
        return self.scaled(expression, type) or self.comparable(expression, type)

    def member_of(self, expression: str, placeholder: str, type: ColumnType) -> str:
        return f"{expression} IN (SELECT value FROM json_each({placeholder}))"

    def encode_list(self, values: Iterable[object], type: ColumnType) -> object:
        encode = decimal_key if type.storage is Storage.DECIMAL else self.list_encoder(type)
        items = values if encode is None else map(cast(Codec, encode), values)
        return msgspec.json.encode(list(items)).decode()

    def matches(self, expression: str, placeholder: str, *, ignore_case: bool) -> str:
        # LIKE would ignore the case of ASCII letters only, and cannot be told not to.
        return f"{LOWER}({expression}) GLOB {placeholder}" if ignore_case else f"{expression} GLOB {placeholder}"

    def encode_pattern(self, pattern: TextPattern, *, ignore_case: bool) -> object:
        return "".join(
            _GLOB_WILDCARDS[part]
            if isinstance(part, Wildcard)
            else (simple_lower(part) if ignore_case else part).translate(_GLOB_ESCAPES)
            for part in pattern
        )

    def order_term(self, expression: str, *, descending: bool, nullable: bool) -> str:
        if descending:
            return f"{expression} DESC NULLS FIRST" if nullable else f"{expression} DESC"
        return f"{expression} ASC NULLS LAST" if nullable else f"{expression} ASC"

    def lock_clause(self, *, skip: bool = False) -> str:
        return ""

    def create_table(self, table: Table) -> list[str]:
        parts = [self._definition(column, keyed=column.name in table.primary_key) for column in table.columns]
        if not any(column.identity for column in table.columns):
            parts.append(f"PRIMARY KEY ({', '.join(map(self.quote, table.primary_key))})")
        return [f"CREATE TABLE {self.quote(table.name)} ({', '.join(parts)})"]

    def add_column(self, table: str, column: Column) -> str:
        return f"ALTER TABLE {self.quote(table)} ADD COLUMN {self._described(column)}{referenced(self, column)}"

    def change_nullable(self, existing: ExistingTable, changes: Mapping[str, bool]) -> list[str]:
        """The procedure SQLite documents for changes that leave the rows as they are: edit the schema's text.

        Copying the table instead would delete the rows that refer to it, since foreign keys cannot be switched off
        inside a transaction. The new revision makes every connection read the schema again.
        """
        source = quoted_text(sqlite_schema.with_nullable(existing.source, changes))
        here = f"type = 'table' AND lower(name) = {quoted_text(existing.name)}"
        return [
            "PRAGMA writable_schema = ON",
            f"UPDATE sqlite_schema SET sql = {source} WHERE {here}",
            f"PRAGMA schema_version = {existing.revision + 1}",
            "PRAGMA writable_schema = OFF",
        ]

    def add_identity(self, table: str, column: str) -> list[str]:
        return []

    def advance_identity(self, table: str, column: str) -> list[str]:
        return []

    def explained(self, text: str) -> str:
        return f"EXPLAIN QUERY PLAN {text}"

    def describe_columns(self, table: str) -> tuple[str, Sequence[object]]:
        return sqlite_schema.COLUMNS, (table, table)

    def describe_indexes(self, table: str) -> tuple[str, Sequence[object]]:
        return sqlite_schema.INDEXES, (table,)

    def existing_table(
        self, table: str, columns: Sequence[Sequence[Any]], indexes: Sequence[Sequence[Any]]
    ) -> ExistingTable:
        return sqlite_schema.existing_table(table, columns, indexes)

    def find_names(self, names: Sequence[str]) -> tuple[str, Sequence[object]]:
        return sqlite_schema.NAMES, (canonical_json.dumps(list(names)),)

    def script(self, statements: Sequence[str]) -> Sequence[str]:
        return statements

    def accepts(self, column: ExistingColumn, type: ColumnType) -> bool:
        if column.type is not None:
            return column.type == type
        return sqlite_schema.affinity(column.declared) == sqlite_schema.affinity(_TYPES.get(type.storage, "TEXT"))

    def _described(self, column: Column) -> str:
        text = f"{self.quote(column.name)} {self.column_type(column.type)}"
        if column.identity:
            return f"{text} PRIMARY KEY AUTOINCREMENT"
        return text if column.default is None else f"{text} DEFAULT {self.literal(column.default, column.type)}"

    def _definition(self, column: Column, *, keyed: bool) -> str:
        required = " NOT NULL" if (keyed or not column.nullable) and not column.identity else ""
        return f"{self._described(column)}{required}{referenced(self, column)}"


def _decimal_key_of_column(value: object) -> str | None:
    return None if value is None else decimal_key(str(value))


def _lower_of_column(value: object) -> str | None:
    return None if value is None else simple_lower(str(value))


def _encode_decimal(value: object) -> object:
    text = cast(str, value)
    # The other database knows no negative zero.
    return text[1:] if text[0] == "-" and not text.strip("-0.") else text


def _encode_integer(value: object) -> object:
    return int(cast(str, value))


_ENCODERS: Mapping[Storage, Codec] = {
    Storage.BIGINT: _encode_integer,
    Storage.DECIMAL: _encode_decimal,
    Storage.BOOLEAN: _encode_integer,
    Storage.JSON: canonical_json.dumps,
    Storage.DOCUMENT: canonical_json.dumps_ordered,
}
_DECODERS: Mapping[Storage, Codec] = {
    Storage.BIGINT: str,
    # RETURNING gives an integral REAL back as an integer.
    Storage.FLOAT: cast(Codec, float),
    Storage.BOOLEAN: bool,
    Storage.JSON: cast(Codec, canonical_json.loads),
    Storage.DOCUMENT: cast(Codec, canonical_json.loads),
}
