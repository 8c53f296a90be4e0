"""Reading PostgreSQL's catalogue. Only the schema in which our statements make tables is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rocket_kernel.store.columns import ColumnType, Storage
from rocket_kernel.store.existing import ExistingColumn, ExistingIndex, ExistingTable

_TABLE = (
    "pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = current_schema() "
    "AND c.relname = $1 AND c.relkind IN ('r', 'p')"
)
COLUMNS = (
    "SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, "
    "a.attidentity <> '' OR coalesce(pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%', false), "
    "d.oid IS NOT NULL OR a.attidentity <> '', array_position(k.conkey, a.attnum) "
    f"FROM {_TABLE} JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
    "LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum "
    "LEFT JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype = 'p' ORDER BY a.attnum"
)
INDEXES = (
    "SELECT i.relname, x.indisunique, coalesce(pg_get_expr(x.indpred, x.indrelid), '') "
    f"FROM {_TABLE} JOIN pg_index x ON x.indrelid = c.oid JOIN pg_class i ON i.oid = x.indexrelid "
    "ORDER BY i.relname"
)
NAMES = (
    "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "AND n.nspname = current_schema() AND c.relname = ANY($1::text[])"
)

_STORAGES = {
    "text": Storage.TEXT,
    "character varying": Storage.TEXT,
    "integer": Storage.INTEGER,
    "bigint": Storage.BIGINT,
    "double precision": Storage.FLOAT,
    "numeric": Storage.DECIMAL,
    "boolean": Storage.BOOLEAN,
    "uuid": Storage.UUID,
    "timestamp with time zone": Storage.TIMESTAMP,
    "date": Storage.DATE,
    "jsonb": Storage.JSON,
    "json": Storage.DOCUMENT,
}


def existing_table(table: str, columns: Sequence[Sequence[Any]], indexes: Sequence[Sequence[Any]]) -> ExistingTable:
    keys = sorted((row[5], row[0]) for row in columns if row[5] is not None)
    return ExistingTable(
        name=table,
        columns=tuple(
            ExistingColumn(
                name=name,
                declared=declared,
                type=_type(declared),
                nullable=not required,
                identity=identity,
                has_default=has_default,
            )
            for name, declared, required, identity, has_default, _ in columns
        ),
        primary_key=tuple(name for _, name in keys),
        indexes=tuple(
            ExistingIndex(name, unique=unique, live_only=predicate == "(deleted_at IS NULL)")
            for name, unique, predicate in indexes
        ),
    )


def _type(declared: str) -> ColumnType | None:
    """`declared` as format_type writes it, such as `numeric(18,2)` or `timestamp(3) with time zone`."""
    name, _, rest = declared.partition("(")
    arguments, _, suffix = rest.partition(")")
    storage = _STORAGES.get(name + suffix)
    if storage is Storage.DECIMAL and arguments:
        return ColumnType(storage, int(arguments.partition(",")[2] or 0))
    return None if storage is None else ColumnType(storage)
