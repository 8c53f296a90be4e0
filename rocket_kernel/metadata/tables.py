"""Entity and relation definitions -> the tables they need. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from rocket_kernel.metadata.entity import DELETED_AT, Entity
from rocket_kernel.metadata.relation import Relation
from rocket_kernel.store.columns import Column, ColumnType, Index, Storage, Table
from rocket_kernel.store.names import index_name


def entity_table(entity: Entity, relations: Iterable[Relation]) -> Table:
    """The table of an entity with the indexes its own definition and the relations pointing into it ask for."""
    columns = [_column(entity, name) for name in entity.fields]
    if entity.shows_deleted_at:
        columns.append(Column(DELETED_AT, ColumnType(Storage.TIMESTAMP)))
    return Table(
        name=entity.table,
        columns=tuple(columns),
        primary_key=(entity.primary_key.field,),
        indexes=tuple(_indexes(entity, relations)),
    )


def join_table(relation: Relation, source: Entity, target: Entity) -> Table:
    """The table of a many_to_many relation: two keys that together are the primary key."""
    own = Column(relation.source_join_key, _key_type(source), nullable=False)
    other = Column(relation.target_join_key, _key_type(target), nullable=False)
    return Table(
        name=relation.join_table,
        columns=(own, other),
        primary_key=(own.name, other.name),
        indexes=(Index(index_name(relation.join_table, other.name), (other.name,)),),
        as_found=True,
    )


def _column(entity: Entity, name: str) -> Column:
    field = entity.fields[name]
    is_key = name == entity.primary_key.field
    return Column(
        name=name,
        type=field.type.column_type(field.precision),
        nullable=not (is_key or field.demanded),
        identity=is_key and entity.generated_key and entity.primary_key.type in ("int", "bigint"),
        default=field.kept(field.default),
    )


def _key_type(entity: Entity) -> ColumnType:
    return entity.key.type.column_type(entity.key.precision)


def _indexes(entity: Entity, relations: Iterable[Relation]) -> Iterable[Index]:
    unique = {field.name for field in entity.fields.values() if field.unique}
    referring = {field.name for field in entity.fields.values() if field.type.indexed}
    for relation in relations:
        if relation.target == entity.name and relation.target_key:
            referring.add(relation.target_key)
            if relation.type == "one_to_one":
                unique.add(relation.target_key)
    unique.discard(entity.primary_key.field)
    referring.discard(entity.primary_key.field)
    for name in entity.fields:
        if name in unique:
            yield Index(index_name(entity.table, name), (name,), unique=True, live_only=entity.soft_delete)
        elif name in referring:
            yield Index(index_name(entity.table, name), (name,))
    for name, field in entity.fields.items():
        for part in field.type.indexed_parts:
            # No column has a dot in its name, so that no index of a column bears this one.
            yield Index(index_name(entity.table, f"{name}.{part}"), (name,), part=part)
    if entity.soft_delete and DELETED_AT not in unique | referring:
        yield Index(index_name(entity.table, DELETED_AT), (DELETED_AT,), live_only=True)
