"""Rows of system tables as dicts of wire values, so that nobody outside this package writes their SQL.

A condition is a mapping from column to what it must be: a value, None for NULL, a list for "one of", a Comparison
or a Within.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from operator import itemgetter
from typing import Any, Literal

import msgspec

from rocket_kernel.store.builder import SqlBuilder, decoded, encoded
from rocket_kernel.store.bulk import Encoders, insert_tuples, put_tuples
from rocket_kernel.store.columns import ColumnType, Storage, Table
from rocket_kernel.store.dialects.base import Codec, Dialect
from rocket_kernel.store.protocol import Row, Session, Transaction
from rocket_kernel.store.statements import column_list, insert_statement

WireRow = dict[str, Any]
_Params = Callable[[Mapping[str, object]], Sequence[object]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a column must be beside equal. None of them holds for NULL, except `IS NOT NULL`."""

    operator: Literal["<", "<=", ">", ">=", "<>", "IS NOT NULL"]
    value: object = None


NOT_NULL = Comparison("IS NOT NULL")


@dataclass(frozen=True, slots=True)
class Within:
    """What a column must be: at least `start` and below `end`; None is no limit. NULL is never within."""

    start: object = None
    end: object = None


@dataclass(frozen=True, slots=True)
class Of:
    """In the values of an update: what the row has in another column, with a number added where it has numbers."""

    column: str
    plus: int = 0


@dataclass(frozen=True, slots=True)
class Increment:
    """In the values of an update: what an integer column grows by."""

    by: int = 1


@dataclass(frozen=True, slots=True)
class TableRows:
    table: Table
    _insertions: dict[Any, tuple[str, _Params]] = field(default_factory=dict, init=False, repr=False, compare=False)
    _encodings: dict[Any, Encoders] = field(default_factory=dict, init=False, repr=False, compare=False)

    async def insert(self, tx: Transaction, values: Mapping[str, object]) -> WireRow:
        """The stored row, with what the database filled in. Raises UniqueViolation."""
        rows = await self._insert(tx, values, ignore_existing=False)
        return self._wire(tx.dialect, rows)[0]

    async def try_insert(self, tx: Transaction, values: Mapping[str, object]) -> bool:
        """Whether the row was stored; False when a unique index already holds its values."""
        return bool(await self._insert(tx, values, ignore_existing=True))

    async def insert_many(self, tx: Transaction, rows: Iterable[Mapping[str, object]]) -> None:
        """Rows that all bring the same columns."""
        listed = list(rows)
        if listed:
            columns = tuple(listed[0])
            text, params = self._insertion(tx.dialect, columns)
            await tx.execute_many(text, [params(row) for row in listed])

    async def insert_tuples(self, tx: Transaction, columns: tuple[str, ...], rows: Sequence[Sequence[object]]) -> None:
        """Very many rows: wire values in the order of `columns`, the others have their defaults.

        Raises what one of them raises, and then the transaction is good for nothing but the end of its savepoint.
        """
        await insert_tuples(tx, self.table, columns, rows, self._encoders(tx.dialect, columns))

    async def put_tuples(self, tx: Transaction, columns: tuple[str, ...], rows: Sequence[Sequence[object]]) -> None:
        """Likewise; a row that is there under the same primary key gets the values of the new one."""
        await put_tuples(tx, self.table, columns, rows, self._encoders(tx.dialect, columns))

    def _insertion(self, dialect: Dialect, columns: tuple[str, ...]) -> tuple[str, _Params]:
        """The statement for rows of these columns and what makes its parameters of one: worked out once."""
        key = type(dialect), columns
        known = self._insertions.get(key)
        if known is None:
            text = insert_statement(dialect, self.table.name, columns)
            known = self._insertions[key] = text, self._to_params(dialect, columns)
        return known

    def _encoders(self, dialect: Dialect, columns: tuple[str, ...]) -> Encoders:
        """Of the columns, and none at all where no value needs encoding: worked out once."""
        key = type(dialect), columns
        known = self._encodings.get(key)
        if known is None:
            found = tuple(dialect.encoder(self.table.column(name).type) for name in columns)
            known = self._encodings[key] = found if any(found) else ()
        return known

    def _to_params(self, dialect: Dialect, columns: tuple[str, ...]) -> _Params:
        encoders = self._encoders(dialect, columns)
        if len(columns) > 1 and not encoders:
            return itemgetter(*columns)
        coded = list(zip(columns, encoders or [None], strict=True))
        return lambda row: [
            row[name] if encode is None or row[name] is None else encode(row[name]) for name, encode in coded
        ]

    async def update(self, tx: Transaction, where: Mapping[str, object], values: Mapping[str, object]) -> int:
        """How many rows satisfied the condition, all of which have the values now."""
        builder = SqlBuilder(tx.dialect).add(f"UPDATE {tx.dialect.quote(self.table.name)} SET ")
        for position, (name, value) in enumerate(values.items()):
            column = tx.dialect.quote(name)
            builder.add(f"{', ' if position else ''}{column} = ")
            if isinstance(value, Increment):
                builder.add(f"{column} + {int(value.by)}")
            elif isinstance(value, Of):
                builder.add(tx.dialect.quote(value.column) + (f" + {int(value.plus)}" if value.plus else ""))
            else:
                builder.bind(value, self.table.column(name).type)
        self._where(builder, where)
        return await tx.execute(builder.text(), builder.params)

    async def claim(
        self,
        tx: Transaction,
        where: Mapping[str, object],
        values: Mapping[str, object],
        *,
        order_by: Sequence[str],
        limit: int,
    ) -> list[WireRow]:
        """Give `values` to the first `limit` rows that satisfy the condition; these rows, changed, in the order.

        Transactions that claim at the same time get different rows, and none waits for another.
        """
        key = self._only_key()
        rows = await self.select(tx, where, order_by=order_by, limit=limit, lock="skip")
        if rows:
            await self.update(tx, {key: [row[key] for row in rows]}, values)
        return [{**row, **values} for row in rows]

    async def heads(self, session: Session, group: str, first: str) -> list[tuple[Any, Any]]:
        """The distinct values of the column `group`, NULL left out, each with the least value of `first` in its rows.

        Skips through an index over both columns: its cost is that of the groups, however many rows they have.
        """
        dialect, table = session.dialect, session.dialect.quote(self.table.name)
        types = self.table.column(group).type, self.table.column(first).type
        own, found = dialect.comparable(dialect.quote(group), types[0]), dialect.comparable("found.value", types[0])
        least = f"SELECT min({own}) FROM {table}"
        rows = await session.fetch(
            f"WITH RECURSIVE found(value) AS ({least} WHERE {own} IS NOT NULL UNION ALL "
            f"SELECT ({least} WHERE {own} > {found}) FROM found WHERE found.value IS NOT NULL) "
            f"SELECT found.value, (SELECT min({dialect.quote(first)}) FROM {table} WHERE {own} = {found}) "
            "FROM found WHERE found.value IS NOT NULL"
        )
        return [(decoded(dialect, row[0], types[0]), decoded(dialect, row[1], types[1])) for row in rows]

    async def delete(self, tx: Transaction, where: Mapping[str, object]) -> int:
        """How many rows are gone."""
        builder = SqlBuilder(tx.dialect).add(f"DELETE FROM {tx.dialect.quote(self.table.name)}")
        self._where(builder, where)
        return await tx.execute(builder.text(), builder.params)

    async def select(
        self,
        session: Session,
        where: Mapping[str, object] | None = None,
        *,
        order_by: Sequence[str] = (),
        limit: int | None = None,
        offset: int = 0,
        lock: bool | Literal["skip"] = False,
    ) -> list[WireRow]:
        """`order_by` names columns, `-name` descends. `lock` keeps others from changing the rows, in a Transaction.

        With "skip", rows that another transaction has locked are left out.
        """
        dialect = session.dialect
        builder = SqlBuilder(dialect)
        builder.add(f"SELECT {self._columns(dialect)} FROM {dialect.quote(self.table.name)}")
        self._where(builder, where or {})
        if order_by:
            builder.add(" ORDER BY " + ", ".join(self._order_term(dialect, name) for name in order_by))
        if limit is not None:
            builder.add(f" LIMIT {int(limit)} OFFSET {int(offset)}")
        if lock:
            builder.add(dialect.lock_clause(skip=lock == "skip"))
        return self._wire(dialect, await session.fetch(builder.text(), builder.params))

    async def select_for_answer(
        self,
        session: Session,
        where: Mapping[str, object],
        *,
        columns: Sequence[str],
        beside: str,
        order_by: Sequence[str] = (),
    ) -> list[tuple[Any, Any]]:
        """Each row as an object with these columns, to be encoded as JSON and for nothing else, and the wire value of
        another column, by which the object may be changed. Documents of objects are `msgspec.Raw`.

        For answers of very many rows; it saves most of what `select` costs.
        """
        dialect = session.dialect
        types = [self.table.column(name).type for name in columns]
        terms = [_for_answer(dialect, name, type) for name, type in zip(columns, types, strict=True)]
        builder = SqlBuilder(dialect).add(f"SELECT {', '.join(terms)}, {dialect.quote(beside)}")
        builder.add(f" FROM {dialect.quote(self.table.name)}")
        self._where(builder, where)
        if order_by:
            builder.add(" ORDER BY " + ", ".join(self._order_term(dialect, name) for name in order_by))
        rows = await session.fetch(builder.text(), builder.params)
        if not rows:
            return []
        # Column by column: most need no decoding, and which one does is asked once and not for each row.
        decoders = [msgspec.Raw if type.storage is Storage.DOCUMENT else dialect.decoder(type) for type in types]
        decoders.append(dialect.decoder(self.table.column(beside).type))
        *members, other = [
            values if decode is None else [None if value is None else decode(value) for value in values]
            for values, decode in zip(zip(*rows, strict=True), decoders, strict=True)
        ]
        return list(zip(map(_object_of(tuple(columns)), *members), other, strict=True))

    async def select_values(
        self,
        session: Session,
        where: Mapping[str, object],
        *,
        columns: Sequence[str],
        order_by: Sequence[str] = (),
        limit: int | None = None,
        lock: bool | Literal["skip"] = False,
    ) -> list[Sequence[Any]]:
        """The wire values of these columns, in their order, for each row: less work than `select` for very many rows.

        `lock` as in `select`.
        """
        dialect = session.dialect
        builder = SqlBuilder(dialect)
        builder.add(f"SELECT {column_list(dialect, columns)} FROM {dialect.quote(self.table.name)}")
        self._where(builder, where)
        if order_by:
            builder.add(" ORDER BY " + ", ".join(self._order_term(dialect, name) for name in order_by))
        if limit is not None:
            builder.add(f" LIMIT {int(limit)}")
        if lock:
            builder.add(dialect.lock_clause(skip=lock == "skip"))
        rows = await session.fetch(builder.text(), builder.params)
        decoders = [dialect.decoder(self.table.column(name).type) for name in columns]
        if not any(decoders):
            return rows
        return [
            [
                value if decode is None or value is None else decode(value)
                for value, decode in zip(row, decoders, strict=True)
            ]
            for row in rows
        ]

    async def first(self, session: Session, where: Mapping[str, object], *, lock: bool = False) -> WireRow | None:
        rows = await self.select(session, where, limit=1, lock=lock)
        return rows[0] if rows else None

    async def count(self, session: Session, where: Mapping[str, object] | None = None) -> int:
        builder = SqlBuilder(session.dialect)
        builder.add(f"SELECT count(*) FROM {session.dialect.quote(self.table.name)}")
        self._where(builder, where or {})
        rows = await session.fetch(builder.text(), builder.params)
        return int(rows[0][0])

    async def distinct(self, session: Session, column: str, where: Mapping[str, object]) -> list[Any]:
        """The values that rows satisfying the condition have in a column, each once, in no order."""
        dialect, type = session.dialect, self.table.column(column).type
        builder = SqlBuilder(dialect).add(
            f"SELECT DISTINCT {dialect.quote(column)} FROM {dialect.quote(self.table.name)}"
        )
        self._where(builder, where)
        return [decoded(dialect, row[0], type) for row in await session.fetch(builder.text(), builder.params)]

    async def count_by(
        self, session: Session, column: str, where: Mapping[str, object] | None = None
    ) -> dict[Any, int]:
        """How many rows that satisfy the condition have each value of a column."""
        dialect, type = session.dialect, self.table.column(column).type
        name = dialect.quote(column)
        builder = SqlBuilder(dialect).add(f"SELECT {name}, count(*) FROM {dialect.quote(self.table.name)}")
        self._where(builder, where or {})
        builder.add(f" GROUP BY {name}")
        rows = await session.fetch(builder.text(), builder.params)
        return {decoded(dialect, row[0], type): int(row[1]) for row in rows}

    def _only_key(self) -> str:
        (key,) = self.table.primary_key
        return key

    async def _insert(self, tx: Transaction, values: Mapping[str, object], *, ignore_existing: bool) -> list[Row]:
        columns = tuple(values)
        returning = [column.name for column in self.table.columns]
        text = insert_statement(
            tx.dialect, self.table.name, columns, returning=returning, ignore_existing=ignore_existing
        )
        return await tx.fetch(text, self._params(tx.dialect, columns, values))

    def _params(self, dialect: Dialect, columns: Sequence[str], row: Mapping[str, object]) -> list[object]:
        return [encoded(dialect, row[name], self.table.column(name).type) for name in columns]

    def _columns(self, dialect: Dialect) -> str:
        return column_list(dialect, [column.name for column in self.table.columns])

    def _wire(self, dialect: Dialect, rows: Sequence[Row]) -> list[WireRow]:
        names = [column.name for column in self.table.columns]
        found = [dict(zip(names, row, strict=True)) for row in rows]
        # Column by column: most need no decoding, and which one does is asked once and not for each row.
        for column in self.table.columns:
            _decode_column(found, column.name, dialect.decoder(column.type))
        return found

    def _order_term(self, dialect: Dialect, name: str) -> str:
        column = self.table.column(name.removeprefix("-"))
        expression = dialect.comparable(dialect.quote(column.name), column.type)
        return dialect.order_term(expression, descending=name.startswith("-"), nullable=column.nullable)

    def _where(self, builder: SqlBuilder, where: Mapping[str, object]) -> None:
        for position, (name, condition) in enumerate(where.items()):
            builder.add(" AND " if position else " WHERE ")
            _condition(builder, builder.dialect.quote(name), condition, self.table.column(name).type)


def _decode_column(rows: Sequence[WireRow], name: str, decode: Codec | None) -> None:
    if decode is None:
        return
    for row in rows:
        if row[name] is not None:
            row[name] = decode(row[name])


def _for_answer(dialect: Dialect, name: str, type: ColumnType) -> str:
    return dialect.text_bytes(dialect.quote(name)) if type.storage is Storage.DOCUMENT else dialect.quote(name)


@lru_cache(maxsize=50)
def _object_of(columns: tuple[str, ...]) -> Callable[..., Any]:
    """A type of objects with these members, made by compiled code from values in their order."""
    return msgspec.defstruct("Row", columns, gc=False)


def _condition(builder: SqlBuilder, column: str, condition: object, type: ColumnType) -> None:
    dialect = builder.dialect
    left = dialect.comparable(column, type)
    match condition:
        case None:
            builder.add(f"{column} IS NULL")
        case Comparison(operator="IS NOT NULL"):
            builder.add(f"{column} IS NOT NULL")
        case Comparison(operator=operator, value=value):
            right = builder.reserve(encoded(dialect, value, type))
            builder.add(f"{left} {operator} {dialect.comparable(right, type)}")
        case Within(start=start, end=end):
            limits = [Comparison(">=", start)] if start is not None else []
            limits += [Comparison("<", end)] if end is not None else []
            for position, limit in enumerate(limits or [NOT_NULL]):
                builder.add(" AND " if position else "")
                _condition(builder, column, limit, type)
        case list() | tuple() | set() | frozenset() if type.storage not in (Storage.JSON, Storage.DOCUMENT):
            builder.add(dialect.member_of(left, builder.reserve(dialect.encode_list(condition, type)), type))
        case _:
            right = builder.reserve(encoded(dialect, condition, type))
            builder.add(f"{left} = {dialect.comparable(right, type)}")
