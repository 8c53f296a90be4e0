"""PostgreSQL: what is stored how, and how it is compared.

Every parameter type is built in, so the driver needs no look-up of types and no state in the session.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, cast

from rocket_kernel.clock import timestamp_text
from rocket_kernel.store import canonical_json
from rocket_kernel.store.case_fold import simple_lower
from rocket_kernel.store.columns import Column, ColumnType, Storage, Table
from rocket_kernel.store.dialects import postgres_schema
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
from rocket_kernel.store.names import counter_name, key_name

SIMPLE_CASE = "pg_c_utf8"
"""Lower-cases by Unicode's simple mapping, as we do; PostgreSQL has it from version 17 on."""
ICU_CASE = "und-x-icu"
"""Differs from the simple mapping for a dotted capital I and for a sigma at the end of a word."""

_TYPES = {
    Storage.TEXT: 'TEXT COLLATE "C"',
    Storage.INTEGER: "INTEGER",
    Storage.BIGINT: "BIGINT",
    Storage.FLOAT: "DOUBLE PRECISION",
    Storage.DECIMAL: "NUMERIC",
    Storage.BOOLEAN: "BOOLEAN",
    Storage.UUID: "UUID",
    Storage.TIMESTAMP: "TIMESTAMPTZ",
    Storage.DATE: "DATE",
    Storage.JSON: "JSONB",
    Storage.DOCUMENT: "JSON",
}
_DECIMAL_DIGITS = 18
_LIKE_ESCAPES = str.maketrans({"%": r"\%", "_": r"\_", "\\": r"\\"})
_LIKE_WILDCARDS = {Wildcard.ANY_RUN: "%", Wildcard.ONE_CHARACTER: "_"}


# The driver sends the first and last values of its types as these, so a literal must be the same.
_ENDS_OF_TIME: Mapping[tuple[Storage, object], str] = {
    (Storage.TIMESTAMP, "0001-01-01T00:00:00.000Z"): "-infinity",
    (Storage.DATE, "0001-01-01"): "-infinity",
    (Storage.DATE, "9999-12-31"): "infinity",
}


class PostgresDialect(Dialect):
    capabilities = Capabilities(driver="postgres", locks_rows=True, failed_statement_ends_transaction=True)

    def __init__(self, *, case_collation: str = SIMPLE_CASE) -> None:
        self._case_collation = case_collation

    def literal(self, value: object, type: ColumnType) -> str:
        if isinstance(value, bool) and type.storage is Storage.BOOLEAN:
            return "true" if value else "false"
        if type.storage in (Storage.JSON, Storage.DOCUMENT):
            return quoted_text(cast(str, cast(Codec, self.encoder(type))(value)))
        return quoted_text(_ENDS_OF_TIME.get((type.storage, value), str(value)))

    def placeholder(self, position: int) -> str:
        return f"${position}"

    def column_type(self, type: ColumnType) -> str:
        if type.precision is not None:
            return f"NUMERIC({_DECIMAL_DIGITS},{type.precision})"
        return _TYPES[type.storage]

    def encoder(self, type: ColumnType) -> Codec | None:
        return _ENCODERS.get(type.storage)

    def decoder(self, type: ColumnType) -> Codec | None:
        return _DECODERS.get(type.storage)

    def comparable(self, expression: str, type: ColumnType) -> str:
        # The cast tells the type of a parameter, and costs a column nothing.
        return expression if type.member is None else f"(({expression})::jsonb ->> {quoted_text(type.member)})"

    def text_bytes(self, expression: str) -> str:
        return f"convert_to({expression}::text, 'UTF8')"

    def part(self, expression: str, name: str) -> str:
        member = f"({expression} -> {quoted_text(name)})"
        # JSON orders by kind first, so nothing but a number lies between two; and only CASE keeps what may fail behind it.
        small = f"{member} BETWEEN '-{LARGEST_PART}'::jsonb AND '{LARGEST_PART}'::jsonb"
        return f"CASE WHEN {small} THEN CASE WHEN scale({member}::numeric) = 0 THEN {member}::float8 END END"

    def number(self, placeholder: str) -> str:
        return f"{placeholder}::float8"

    def member_of(self, expression: str, placeholder: str, type: ColumnType) -> str:
        kept_as = Storage.TEXT if type.member is not None else type.storage
        element, _, _ = _TYPES[kept_as].partition(" COLLATE")
        return f"{expression} = ANY({placeholder}::{element.lower()}[])"

    def encode_list(self, values: Iterable[object], type: ColumnType) -> object:
        encode = self.list_encoder(type)
        return list(values) if encode is None else [encode(value) for value in values]

    def matches(self, expression: str, placeholder: str, *, ignore_case: bool) -> str:
        left = f"lower({expression} COLLATE {self.quote(self._case_collation)})" if ignore_case else expression
        return f"{left} LIKE {placeholder} ESCAPE '\\'"

    def encode_pattern(self, pattern: TextPattern, *, ignore_case: bool) -> object:
        return "".join(
            _LIKE_WILDCARDS[part]
            if isinstance(part, Wildcard)
            else (simple_lower(part) if ignore_case else part).translate(_LIKE_ESCAPES)
            for part in pattern
        )

    def order_term(self, expression: str, *, descending: bool, nullable: bool) -> str:
        # NULL counts as the greatest value, which is the order we promise.
        return f"{expression} DESC" if descending else f"{expression} ASC"

    def lock_clause(self, *, skip: bool = False) -> str:
        return " FOR UPDATE SKIP LOCKED" if skip else " FOR UPDATE"

    def create_table(self, table: Table) -> list[str]:
        parts = [
            self._definition(table.name, column, keyed=column.name in table.primary_key) for column in table.columns
        ]
        keys = ", ".join(map(self.quote, table.primary_key))
        parts.append(f"CONSTRAINT {self.quote(key_name(table.name))} PRIMARY KEY ({keys})")
        return [f"CREATE TABLE {self.quote(table.name)} ({', '.join(parts)})"]

    def add_column(self, table: str, column: Column) -> str:
        return f"ALTER TABLE {self.quote(table)} ADD COLUMN {self._described(table, column)}{referenced(self, column)}"

    def change_nullable(self, existing: ExistingTable, changes: Mapping[str, bool]) -> list[str]:
        table = self.quote(existing.name)
        return [
            f"ALTER TABLE {table} ALTER COLUMN {self.quote(name)} {'DROP' if nullable else 'SET'} NOT NULL"
            for name, nullable in changes.items()
        ]

    def add_identity(self, table: str, column: str) -> list[str]:
        alter = f"ALTER TABLE {self.quote(table)} ALTER COLUMN {self.quote(column)}"
        return [f"{alter} ADD {self._identity(table, column)}", *self.advance_identity(table, column)]

    def advance_identity(self, table: str, column: str) -> list[str]:
        sequence = f"pg_get_serial_sequence({quoted_text(self.quote(table))}, {quoted_text(column)})::regclass"
        top = f"SELECT max({self.quote(column)})::bigint AS top FROM {self.quote(table)}"
        # Only ever forwards: a counter that another connection has moved further stays where it is.
        counter = f"(SELECT {sequence} AS name) s, ({top}) m"
        ahead = "m.top > coalesce(pg_sequence_last_value(s.name), 0)"
        return [f"SELECT setval(s.name, m.top) FROM {counter} WHERE {ahead}"]

    def explained(self, text: str) -> str:
        return f"EXPLAIN {text}"

    def describe_columns(self, table: str) -> tuple[str, Sequence[object]]:
        return postgres_schema.COLUMNS, (table,)

    def describe_indexes(self, table: str) -> tuple[str, Sequence[object]]:
        return postgres_schema.INDEXES, (table,)

    def existing_table(
        self, table: str, columns: Sequence[Sequence[Any]], indexes: Sequence[Sequence[Any]]
    ) -> ExistingTable:
        return postgres_schema.existing_table(table, columns, indexes)

    def find_names(self, names: Sequence[str]) -> tuple[str, Sequence[object]]:
        return postgres_schema.NAMES, (list(names),)

    def script(self, statements: Sequence[str]) -> Sequence[str]:
        return (";\n".join(statements),) if statements else ()

    def accepts(self, column: ExistingColumn, type: ColumnType) -> bool:
        if column.type == ColumnType(Storage.DOCUMENT):
            return type.storage in (Storage.DOCUMENT, Storage.JSON)
        return column.type == type

    def _described(self, table: str, column: Column) -> str:
        text = f"{self.quote(column.name)} {self.column_type(column.type)}"
        if column.identity:
            return f"{text} {self._identity(table, column.name)}"
        return text if column.default is None else f"{text} DEFAULT {self.literal(column.default, column.type)}"

    def _definition(self, table: str, column: Column, *, keyed: bool) -> str:
        required = " NOT NULL" if keyed or not column.nullable else ""
        return f"{self._described(table, column)}{required}{referenced(self, column)}"

    def _identity(self, table: str, column: str) -> str:
        return f"GENERATED BY DEFAULT AS IDENTITY (SEQUENCE NAME {self.quote(counter_name(table, column))})"


def _encode_bigint(value: object) -> object:
    return int(cast(str, value))


def _encode_decimal(value: object) -> object:
    return Decimal(cast(str, value))


def _decode_decimal(value: object) -> object:
    return format(cast(Decimal, value), "f")


def _encode_timestamp(value: object) -> object:
    return datetime.fromisoformat(cast(str, value))


def _decode_timestamp(value: object) -> object:
    return timestamp_text(cast(datetime, value))


def _encode_date(value: object) -> object:
    return date.fromisoformat(cast(str, value))


def _decode_date(value: object) -> object:
    return cast(date, value).isoformat()


_ENCODERS: Mapping[Storage, Codec] = {
    Storage.BIGINT: _encode_bigint,
    Storage.DECIMAL: _encode_decimal,
    Storage.TIMESTAMP: _encode_timestamp,
    Storage.DATE: _encode_date,
    Storage.JSON: canonical_json.dumps,
    Storage.DOCUMENT: canonical_json.dumps_ordered,
}
_DECODERS: Mapping[Storage, Codec] = {
    Storage.BIGINT: str,
    Storage.DECIMAL: _decode_decimal,
    Storage.UUID: str,
    Storage.TIMESTAMP: _decode_timestamp,
    Storage.DATE: _decode_date,
    Storage.JSON: cast(Codec, canonical_json.loads_sorted),
    Storage.DOCUMENT: cast(Codec, canonical_json.loads),
}
