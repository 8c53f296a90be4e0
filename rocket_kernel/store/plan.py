"""A table as it should be, and as it is -> what has to be done. Pure.

Migration adds. It drops nothing but indexes of its own making whose uniqueness is no longer wanted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rocket_kernel.errors import Conflict, ValidationFailed
from rocket_kernel.store.columns import Index, Table
from rocket_kernel.store.dialects.base import Dialect
from rocket_kernel.store.existing import ExistingTable
from rocket_kernel.store.names import distinct_index_name, index_names, is_reserved_column, is_reserved_table


class ColumnTypeDiffers(ValidationFailed):
    """A column that is there already cannot hold the wanted type."""

    def __init__(self, column: str, existing: str, wanted: str) -> None:
        self.column = column
        self.existing = existing
        self.wanted = wanted
        super().__init__(f"cannot change type of field {column} from {existing} to {wanted}")


class PrimaryKeyDiffers(ValidationFailed):
    """A table that is there already has another primary key."""

    def __init__(self, table: str, existing: tuple[str, ...], wanted: tuple[str, ...]) -> None:
        self.table = table
        self.existing = existing
        self.wanted = wanted
        super().__init__(f"cannot change primary key of {table}")


class DuplicateValues(Conflict):
    """A unique index is wanted over values that occur twice."""

    def __init__(self, table: str, columns: tuple[str, ...]) -> None:
        self.table = table
        self.columns = columns
        self.column = columns[0]
        super().__init__(f"Field {self.column} has duplicate values")


@dataclass(frozen=True, slots=True)
class Plan:
    """Done in the order of the members."""

    statements: tuple[str, ...] = ()
    """Makes the table, or adds columns to it."""
    added: tuple[str, ...] = ()
    """Columns that were added to a table with rows to be filled."""
    nullable: tuple[str, ...] = ()
    """Columns that lose NOT NULL."""
    required: tuple[str, ...] = ()
    """Columns that gain NOT NULL, unless a row has none."""
    dropped_indexes: tuple[str, ...] = ()
    indexes: tuple[Index, ...] = ()


def plan_table(wanted: Table, existing: ExistingTable | None, dialect: Dialect) -> Plan:
    """Raises ColumnTypeDiffers, PrimaryKeyDiffers, or ValidationFailed for names that a database keeps for itself."""
    _check_names(wanted)
    if existing is None:
        return Plan(statements=tuple(dialect.create_table(wanted)), indexes=wanted.indexes)
    missing = [column for column in wanted.columns if existing.column(column.name) is None]
    used_as_it_is = wanted.as_found and not missing
    if set(existing.primary_key) != set(wanted.primary_key) and not used_as_it_is:
        raise PrimaryKeyDiffers(wanted.name, existing.primary_key, wanted.primary_key)
    kept = [(column, found) for column in wanted.columns if (found := existing.column(column.name)) is not None]
    for column, found in kept:
        if not dialect.accepts(found, column.type):
            existing_type = found.declared if found.type is None else str(found.type)
            raise ColumnTypeDiffers(column.name, existing_type, str(column.type))
    if used_as_it_is:
        return Plan()
    statements = [dialect.add_column(wanted.name, column) for column in missing]
    for column, found in kept:
        if column.identity and not found.identity:
            statements.extend(dialect.add_identity(wanted.name, column.name))
    return Plan(
        statements=tuple(statements),
        added=tuple(column.name for column in missing),
        nullable=tuple(_nullable(wanted, existing)),
        required=tuple(_required(wanted, existing)),
        dropped_indexes=tuple(_dropped_indexes(wanted, existing)),
        indexes=tuple(_missing_indexes(wanted, existing)),
    )


def _check_names(wanted: Table) -> None:
    if is_reserved_table(wanted.name):
        raise ValidationFailed(f"invalid table name: {wanted.name}")
    for column in wanted.columns:
        if is_reserved_column(column.name):
            raise ValidationFailed(f"invalid field name: {column.name}")


def _nullable(wanted: Table, existing: ExistingTable) -> Iterator[str]:
    names = {column.name: column for column in wanted.columns}
    for found in existing.columns:
        if found.nullable or found.name in existing.primary_key:
            continue
        column = names.get(found.name)
        # A column that nobody fills any more must not refuse rows; one with a default fills itself.
        if column.nullable if column is not None else not found.has_default:
            yield found.name


def _required(wanted: Table, existing: ExistingTable) -> Iterator[str]:
    for column in wanted.columns:
        found = existing.column(column.name)
        if not column.nullable and column.name not in wanted.primary_key and (found is None or found.nullable):
            yield column.name


def _names(table: str, index: Index) -> tuple[str, str]:
    return index.name, distinct_index_name(index.name, table)


def _dropped_indexes(wanted: Table, existing: ExistingTable) -> Iterator[str]:
    known = {name: index for index in wanted.indexes for name in _names(wanted.name, index)}
    own = {name for column in existing.columns for name in index_names(wanted.name, column.name)}
    for found in existing.indexes:
        index = known.get(found.name)
        if index is None:
            if found.unique and found.name in own:
                yield found.name
        elif (found.unique, found.live_only) != (index.unique, index.live_only):
            yield found.name


def _missing_indexes(wanted: Table, existing: ExistingTable) -> Iterator[Index]:
    found = {(index.name, index.unique, index.live_only) for index in existing.indexes}
    for index in wanted.indexes:
        if not any((name, index.unique, index.live_only) in found for name in _names(wanted.name, index)):
            yield index
