"""The two kinds the kernel itself declares, in the way a plugin declares its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rocket_kernel.errors import Conflict
from rocket_kernel.metadata.definition_schemas import ENTITY_SCHEMA, RELATION_SCHEMA
from rocket_kernel.metadata.entity import DELETED_AT, Entity, parse_entity
from rocket_kernel.metadata.field import refuse, shown
from rocket_kernel.metadata.kinds import MetadataKind
from rocket_kernel.metadata.model import ENTITIES, RELATIONS, Model
from rocket_kernel.metadata.relation import Relation, parse_relation
from rocket_kernel.metadata.tables import entity_table, join_table
from rocket_kernel.store.columns import Column, ColumnType, Index, Storage, Table

_TEXT = ColumnType(Storage.TEXT)
_TIMESTAMP = ColumnType(Storage.TIMESTAMP)

ENTITIES_TABLE = Table(
    name="_entities",
    columns=(
        Column("name", _TEXT, nullable=False),
        Column("table_name", _TEXT, nullable=False),
        Column("definition", ColumnType(Storage.DOCUMENT), nullable=False),
        Column("created_at", _TIMESTAMP, nullable=False),
        Column("updated_at", _TIMESTAMP, nullable=False),
    ),
    primary_key=("name",),
    indexes=(Index("idx__entities_table_name", ("table_name",), unique=True),),
)

RELATIONS_TABLE = Table(
    name="_relations",
    columns=(
        Column("name", _TEXT, nullable=False),
        Column("source", _TEXT, nullable=False, references="_entities.name"),
        Column("target", _TEXT, nullable=False, references="_entities.name"),
        Column("definition", ColumnType(Storage.DOCUMENT), nullable=False),
        Column("created_at", _TIMESTAMP, nullable=False),
        Column("updated_at", _TIMESTAMP, nullable=False),
    ),
    primary_key=("name",),
)


def _check_entity(entity: Entity, former: Entity | None, model: Model) -> None:
    if former is None and entity.name in model.entities:
        raise Conflict(f"Entity already exists: {entity.name}")
    if any(other.table == entity.table and other.name != entity.name for other in model.entities.values()):
        raise Conflict(f"Table already in use: {entity.table}")
    if former is None:
        return
    if entity.primary_key != former.primary_key:
        raise refuse(f"cannot change primary key of {entity.name}")
    for name, field in former.fields.items():
        kept = entity.fields.get(name)
        if kept is not None and kept.type.canonical != field.type.canonical:
            raise refuse(f"cannot change type of field {name} from {field.type.name} to {kept.type.name}")
        if kept is not None and kept.precision != field.precision:
            raise refuse(
                f"cannot change type of field {name} from {_decimal_name(field.precision)}"
                f" to {_decimal_name(kept.precision)}"
            )


def _decimal_name(precision: int | None) -> str:
    return "decimal" if precision is None else f"decimal({precision})"


def _entity_tables(entity: Entity, model: Model) -> Sequence[Table]:
    return (entity_table(entity, model.relations.values()),)


def _entity_backfill(entity: Entity, table: str) -> Mapping[str, Any]:
    if table != entity.table:
        return {}
    return {name: field.default for name, field in entity.fields.items() if field.default is not None}


def _joined(row: Mapping[str, Any], definition: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**definition, **row}


def _emptied(entity: Entity, former: Entity) -> Iterable[tuple[str, str]]:
    """Without soft delete all rows live, and go on living when it is switched on again."""
    if former.soft_delete and not entity.soft_delete and entity.table == former.table:
        yield entity.table, DELETED_AT


def _check_relation(relation: Relation, former: Relation | None, model: Model) -> None:
    if former is None and relation.name in model.relations:
        raise Conflict(f"Relation already exists: {relation.name}")
    if relation.many_to_many and any(entity.table == relation.join_table for entity in model.entities.values()):
        raise Conflict(f"Table already in use: {relation.join_table}")


def _relation_tables(relation: Relation, model: Model) -> Sequence[Table]:
    target = model.entities[relation.target]
    if relation.many_to_many:
        return (join_table(relation, model.entities[relation.source], target),)
    return (entity_table(target, model.relations.values()),)


def _without_relation(relation: Relation, model: Model) -> Sequence[Table]:
    target = model.entities.get(relation.target)
    if target is None or relation.many_to_many:
        return ()
    return (entity_table(target, model.relations.values()),)


def _relation_uses(relation: Relation, entity: str, field: str) -> str | None:
    used = {(relation.target, relation.target_key), (relation.source, relation.source_key)}
    return f"relation {relation.name}" if (entity, field) in used else None


def _label(body: Mapping[str, Any]) -> str:
    return shown(body.get("name", ""))


ENTITY_KIND: MetadataKind[Entity] = MetadataKind(
    name=ENTITIES,
    singular="entity",
    path="entities",
    noun="Entity",
    table=ENTITIES_TABLE,
    rank=10,
    key="name",
    order_by=("name",),
    parse=lambda body, model: parse_entity(body, model.types, model.properties),
    body=lambda row: row["definition"],
    row=lambda entity: {
        "name": entity.name,
        "table_name": entity.table,
        "definition": dict(entity.definition),
    },
    identity=lambda entity: entity.name,
    value=lambda entity: entity.value,
    export=lambda entity: entity.definition,
    label=_label,
    check=_check_entity,
    tables=_entity_tables,
    backfill=_entity_backfill,
    emptied=_emptied,
    entities=lambda entity: (entity.name,),
    answer=lambda row, entity: _joined(row, entity.definition),
    readers="authenticated",
    partial_update=False,
    schema=ENTITY_SCHEMA,
)

RELATION_KIND: MetadataKind[Relation] = MetadataKind(
    name=RELATIONS,
    singular="relation",
    path="relations",
    noun="Relation",
    table=RELATIONS_TABLE,
    rank=20,
    key="name",
    order_by=("name",),
    parse=lambda body, model: parse_relation(body, model.entities),
    body=lambda row: row["definition"],
    row=lambda relation: {
        "name": relation.name,
        "source": relation.source,
        "target": relation.target,
        "definition": dict(relation.definition),
    },
    identity=lambda relation: relation.name,
    value=lambda relation: relation.value,
    export=lambda relation: relation.definition,
    label=_label,
    check=_check_relation,
    tables=_relation_tables,
    tables_without=_without_relation,
    uses_field=_relation_uses,
    entities=lambda relation: (relation.source, relation.target),
    answer=lambda row, relation: _joined(row, relation.definition),
    readers="authenticated",
    partial_update=False,
    schema=RELATION_SCHEMA,
)
