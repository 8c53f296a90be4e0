"""Bringing a table to its wanted form, inside a transaction of the caller's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from rocket_kernel.errors import Conflict, InternalError, NotNullViolation, UniqueViolation
from rocket_kernel.store.builder import SqlBuilder
from rocket_kernel.store.columns import Index, Table
from rocket_kernel.store.introspect import names_taken, read_table
from rocket_kernel.store.names import distinct_index_name
from rocket_kernel.store.plan import ColumnTypeDiffers, DuplicateValues, PrimaryKeyDiffers, plan_table
from rocket_kernel.store.protocol import Transaction

__all__ = [
    "ColumnTypeDiffers",
    "DuplicateValues",
    "PrimaryKeyDiffers",
    "advance_identity",
    "apply_table",
    "apply_tables",
    "empty_column",
]

_NOTHING: Mapping[str, object] = MappingProxyType({})


async def apply_table(tx: Transaction, wanted: Table, *, backfill: Mapping[str, object] = _NOTHING) -> list[str]:
    """The DDL statements that were run; none when the table is as wanted.

    `backfill` holds wire values for existing rows of columns that are added. Raises ColumnTypeDiffers,
    PrimaryKeyDiffers, DuplicateValues, and Conflict when an index or a view has the table's name; after an error the transaction must be rolled back, or a savepoint set before.
    """
    existing = await read_table(tx, wanted.name)
    plan = plan_table(wanted, existing, tx.dialect)
    if existing is None and await names_taken(tx, [wanted.name]):
        raise Conflict(f"Table already in use: {wanted.name}")
    migration = _Migration(tx, wanted)
    for statement in plan.statements:
        await migration.run(statement)
    for name in plan.added:
        await migration.fill(name, backfill.get(name))
    await migration.allow_null(plan.nullable)
    await migration.demand(plan.required)
    for name in plan.dropped_indexes:
        await migration.run(tx.dialect.drop_index(name))
    for index in plan.indexes:
        await migration.create_index(index)
    return migration.ran


async def apply_tables(tx: Transaction, wanted: Sequence[Table]) -> None:
    """`apply_table` for each. Where none of them is there, as in a new database, they are made in few round trips."""
    names = [name for table in wanted for name in (table.name, *(index.name for index in table.indexes))]
    if len(set(names)) < len(names) or await names_taken(tx, names):
        for table in wanted:
            await apply_table(tx, table)
        return
    statements: list[str] = []
    for table in wanted:
        plan = plan_table(table, None, tx.dialect)
        statements += plan.statements
        statements += [tx.dialect.create_index(table, index) for index in plan.indexes]
    for statement in tx.dialect.script(statements):
        await tx.execute(statement)


async def advance_identity(tx: Transaction, table: Table) -> None:
    """After rows were stored with keys of their own: the database hands none of them out again."""
    for column in table.columns:
        if column.identity:
            for statement in tx.dialect.advance_identity(table.name, column.name):
                await tx.fetch(statement)


async def empty_column(tx: Transaction, table: str, column: str) -> None:
    """No row has a value in the column any more."""
    name = tx.dialect.quote(column)
    await tx.execute(f"UPDATE {tx.dialect.quote(table)} SET {name} = NULL WHERE {name} IS NOT NULL")


@dataclass(slots=True)
class _Migration:
    tx: Transaction
    table: Table
    ran: list[str] = field(default_factory=list)

    async def run(self, statement: str) -> None:
        await self.tx.execute(statement)
        self.ran.append(statement)

    async def fill(self, name: str, value: object) -> None:
        if value is None:
            return
        quote = self.tx.dialect.quote
        builder = SqlBuilder(self.tx.dialect).add(f"UPDATE {quote(self.table.name)} SET {quote(name)} = ")
        builder.bind(value, self.table.column(name).type).add(f" WHERE {quote(name)} IS NULL")
        await self.tx.execute(builder.text(), builder.params)

    async def allow_null(self, names: Iterable[str]) -> None:
        await self._change_nullable(dict.fromkeys(names, True))

    async def demand(self, names: Iterable[str]) -> None:
        full = [name for name in names if not await self._has_null(name)]
        if not full:
            return
        # A row without a value may have come from elsewhere in between; then the column stays as it is.
        with suppress(NotNullViolation):
            async with self.tx.savepoint():
                await self._change_nullable(dict.fromkeys(full, False))

    async def create_index(self, index: Index) -> None:
        if await names_taken(self.tx, [index.name]):
            index = replace(index, name=distinct_index_name(index.name, self.table.name))
        try:
            await self.run(self.tx.dialect.create_index(self.table, index))
        except UniqueViolation as error:
            raise DuplicateValues(self.table.name, index.columns) from error

    async def _has_null(self, name: str) -> bool:
        quote = self.tx.dialect.quote
        return bool(await self.tx.fetch(f"SELECT 1 FROM {quote(self.table.name)} WHERE {quote(name)} IS NULL LIMIT 1"))

    async def _change_nullable(self, changes: Mapping[str, bool]) -> None:
        if not changes:
            return
        existing = await read_table(self.tx, self.table.name)
        if existing is None:
            raise InternalError(f"table {self.table.name} is gone")
        for statement in self.tx.dialect.change_nullable(existing, changes):
            await self.run(statement)
        found = await read_table(self.tx, self.table.name)
        expected = tuple(
            replace(column, nullable=changes.get(column.name, column.nullable)) for column in existing.columns
        )
        if found is None or found.columns != expected:
            raise InternalError(f"table {self.table.name} did not take the change of its columns")
