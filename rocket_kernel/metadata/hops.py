"""Resolving a relation key, as includes, filters, sorts, nested writes and `related` name it: contract §3.5."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rocket_kernel.metadata.relation import Relation


@dataclass(frozen=True, slots=True)
class Hop:
    """One step from an entity to a related one.

    Without a join table a row of `origin` meets the rows of `target` whose `other_field` equals its `own_field`.
    With one, `own_field` and `other_field` are the two primary keys and meet in the join table's columns.
    """

    relation: Relation
    origin: str
    target: str
    forward: bool
    """From the relation's source to its target."""
    many: bool
    own_field: str
    other_field: str
    join_own: str = ""
    join_other: str = ""

    @property
    def named_fields(self) -> tuple[tuple[str, str], tuple[str, str]]:
        """Entity and field of both ends that meet, the one that holds the reference first."""
        own, other = (self.origin, self.own_field), (self.target, self.other_field)
        return (other, own) if self.forward else (own, other)


def resolve_key(key: str, entity: str, relations: Iterable[Relation], primary_keys: dict[str, str]) -> Hop | None:
    """The first of the four rules of §3.5 that finds a relation; None when none does.

    `relations` come sorted by name, `primary_keys` maps each entity to the name of its key field.
    """
    ordered = tuple(relations)
    for relation in ordered:
        if relation.name == key and entity in (relation.source, relation.target):
            return make_hop(relation, entity, primary_keys, forward=relation.source == entity)
    for relation in ordered:
        if (relation.source, relation.target) in ((entity, key), (key, entity)):
            return make_hop(relation, entity, primary_keys, forward=relation.source == entity)
    for relation in ordered:
        if relation.name == f"{entity}_{key}" and entity in (relation.source, relation.target):
            return make_hop(relation, entity, primary_keys, forward=relation.source == entity)
    for relation in ordered:
        if relation.target == entity and relation.target_key == f"{key}_id":
            return make_hop(relation, entity, primary_keys, forward=False)
    return None


def resolve_written_key(
    key: str, entity: str, relations: Iterable[Relation], primary_keys: dict[str, str]
) -> Hop | None:
    """As `resolve_key` for nested writes: rules 1 to 3 with the entity as source."""
    owned = tuple(relation for relation in relations if relation.source == entity)
    ranked = (
        [relation for relation in owned if relation.name == key],
        [relation for relation in owned if relation.target == key],
        [relation for relation in owned if relation.name == f"{entity}_{key}"],
    )
    for fitting in ranked:
        if fitting:
            return make_hop(fitting[0], entity, primary_keys, forward=True)
    return None


def make_hop(relation: Relation, entity: str, primary_keys: dict[str, str], *, forward: bool) -> Hop:
    other = relation.target if forward else relation.source
    if relation.many_to_many:
        own_join, other_join = relation.source_join_key, relation.target_join_key
        if not forward:
            own_join, other_join = other_join, own_join
        return Hop(
            relation=relation,
            origin=entity,
            target=other,
            forward=forward,
            many=True,
            own_field=primary_keys[entity],
            other_field=primary_keys[other],
            join_own=own_join,
            join_other=other_join,
        )
    own, far = relation.source_key, relation.target_key
    if not forward:
        own, far = far, own
    return Hop(
        relation=relation,
        origin=entity,
        target=other,
        forward=forward,
        many=forward and relation.type == "one_to_many",
        own_field=own,
        other_field=far,
    )
