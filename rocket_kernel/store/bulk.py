"""Very many rows by few statements, each of which stores up to a hundred of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain

from rocket_kernel.store.columns import Table
from rocket_kernel.store.dialects.base import Codec, Dialect
from rocket_kernel.store.protocol import Transaction
from rocket_kernel.store.statements import column_list, insert_statement

_SIZES = (100, 10, 1)
"""Rows in one statement. Few sizes, because each is a statement to be prepared and kept."""

WireTuple = Sequence[object]
Encoders = Sequence[Codec | None]
"""What makes a stored value of a wire value, by column; empty where all are stored as they are."""


async def insert_tuples(
    tx: Transaction, table: Table, columns: tuple[str, ...], rows: Sequence[WireTuple], encoders: Encoders
) -> None:
    """`rows` hold wire values in the order of `columns`. Raises what one row raises, and then none is stored."""
    encoded = _encoded(rows, encoders)
    at = 0
    for size in _SIZES:
        end = at + (len(encoded) - at) // size * size
        if end > at:
            text = _insert_text(tx.dialect, table.name, columns, size)
            groups = encoded[at:end] if size == 1 else _joined(encoded, at, end, size)
            await tx.execute_many(text, groups)
        at = end


async def put_tuples(
    tx: Transaction, table: Table, columns: tuple[str, ...], rows: Sequence[WireTuple], encoders: Encoders
) -> None:
    """As `insert_tuples`, but a row that is there under the same primary key gets the values of the new one."""
    quote, own = tx.dialect.quote, set(table.primary_key)
    settings = ", ".join(f"{quote(name)} = excluded.{quote(name)}" for name in columns if name not in own)
    text = insert_statement(tx.dialect, table.name, columns)
    text += f" ON CONFLICT ({column_list(tx.dialect, table.primary_key)}) DO UPDATE SET {settings}"
    await tx.execute_many(text, _encoded(rows, encoders))


def _joined(rows: Sequence[WireTuple], at: int, end: int, size: int) -> Sequence[WireTuple]:
    return [list(chain.from_iterable(rows[first : first + size])) for first in range(at, end, size)]


def _encoded(rows: Sequence[WireTuple], encoders: Encoders) -> Sequence[WireTuple]:
    """Column by column: most need no encoding, and which one does is asked once and not for each row."""
    if not rows or not encoders:
        return rows
    by_column = zip(*rows, strict=True)
    coded = [
        values if encode is None else _coded(encode, values) for values, encode in zip(by_column, encoders, strict=True)
    ]
    return list(zip(*coded, strict=True))


def _coded(encode: Codec, values: Sequence[object]) -> Sequence[object]:
    return [None if value is None else encode(value) for value in values]


@lru_cache(maxsize=200)
def _insert_text(dialect: Dialect, table: str, columns: tuple[str, ...], rows: int) -> str:
    width = len(columns)
    groups = (
        "(" + ", ".join(map(dialect.placeholder, range(first + 1, first + width + 1))) + ")"
        for first in range(0, rows * width, width)
    )
    return f"INSERT INTO {dialect.quote(table)} ({column_list(dialect, columns)}) VALUES {', '.join(groups)}"
