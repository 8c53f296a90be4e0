"""Text of the plain statements: one table, named columns, equality. Values are parameters in column order."""

from __future__ import annotations

from collections.abc import Sequence

from rocket_kernel.store.columns import Table
from rocket_kernel.store.dialects.base import Dialect


def column_list(dialect: Dialect, columns: Sequence[str]) -> str:
    return ", ".join(map(dialect.quote, columns))


def insert_statement(
    dialect: Dialect,
    table: str,
    columns: Sequence[str],
    *,
    returning: Sequence[str] = (),
    ignore_existing: bool = False,
) -> str:
    """One row. With `ignore_existing` a row that a unique index refuses is left out without an error."""
    if columns:
        placeholders = ", ".join(map(dialect.placeholder, range(1, len(columns) + 1)))
        text = f"INSERT INTO {dialect.quote(table)} ({column_list(dialect, columns)}) VALUES ({placeholders})"
    else:
        text = f"INSERT INTO {dialect.quote(table)} DEFAULT VALUES"
    if ignore_existing:
        text += " ON CONFLICT DO NOTHING"
    return text + _returning(dialect, returning)


def update_statement(
    dialect: Dialect, table: Table, columns: Sequence[str], keys: Sequence[str], *, returning: Sequence[str] = ()
) -> str:
    """Rows whose `keys` equal the parameters that follow those of `columns`."""
    settings = ", ".join(
        f"{dialect.quote(name)} = {dialect.placeholder(position)}" for position, name in enumerate(columns, 1)
    )
    found = equal_to(dialect, table, keys, first=len(columns) + 1)
    return f"UPDATE {dialect.quote(table.name)} SET {settings} WHERE {found}{_returning(dialect, returning)}"


def delete_statement(dialect: Dialect, table: Table, keys: Sequence[str], *, returning: Sequence[str] = ()) -> str:
    found = equal_to(dialect, table, keys)
    return f"DELETE FROM {dialect.quote(table.name)} WHERE {found}{_returning(dialect, returning)}"


def select_statement(
    dialect: Dialect, table: Table, columns: Sequence[str], keys: Sequence[str], *, lock: bool = False
) -> str:
    text = f"SELECT {column_list(dialect, columns)} FROM {dialect.quote(table.name)}"
    if keys:
        text += f" WHERE {equal_to(dialect, table, keys)}"
    return text + dialect.lock_clause() if lock else text


def equal_to(dialect: Dialect, table: Table, keys: Sequence[str], *, first: int = 1) -> str:
    """`key = parameter` for each key, joined by AND; `first` is the number of the first parameter."""
    return " AND ".join(
        f"{dialect.comparable(dialect.quote(name), table.column(name).type)}"
        f" = {dialect.comparable(dialect.placeholder(position), table.column(name).type)}"
        for position, name in enumerate(keys, first)
    )


def _returning(dialect: Dialect, columns: Sequence[str]) -> str:
    return f" RETURNING {column_list(dialect, columns)}" if columns else ""
