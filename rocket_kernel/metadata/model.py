"""All definitions of an app at one moment, free of any database: what definitions are checked against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from rocket_kernel.metadata.entity import Entity
from rocket_kernel.metadata.field_types import BUILT_IN, FieldType
from rocket_kernel.metadata.hops import Hop, make_hop, resolve_key, resolve_written_key
from rocket_kernel.metadata.kinds import Stored
from rocket_kernel.metadata.relation import Relation

if TYPE_CHECKING:
    from rocket_kernel.actions import ActionType
    from rocket_kernel.expressions.functions import Function

ENTITIES = "entities"
RELATIONS = "relations"


@dataclass(frozen=True, slots=True)
class Model:
    """An immutable set of items by kind. `including` and `without` give changed copies."""

    types: Mapping[str, FieldType] = field(default_factory=lambda: BUILT_IN)
    items: Mapping[str, Mapping[str, Stored[Any]]] = field(default_factory=dict)
    actions: Mapping[str, ActionType] = field(default_factory=dict)
    """Actions that reach outside, by the type that definitions give."""
    functions: Mapping[str, Function] = field(default_factory=dict)
    """Functions of plugins that expressions may call, by name."""
    properties: frozenset[str] = frozenset()
    """Properties of entities that a plugin gives their meaning."""
    entities: Mapping[str, Entity] = field(init=False)
    relations: Mapping[str, Relation] = field(init=False)
    """Sorted by name, because the first relation by name wins where a key fits several."""
    _hops: dict[tuple[str, str], Hop | None] = field(init=False, repr=False, compare=False)
    _ends: dict[tuple[str, bool], tuple[Hop, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        entities = {key: stored.item for key, stored in sorted(self.of(ENTITIES).items())}
        relations = {key: stored.item for key, stored in sorted(self.of(RELATIONS).items())}
        object.__setattr__(self, "entities", MappingProxyType(entities))
        object.__setattr__(self, "relations", MappingProxyType(relations))
        object.__setattr__(self, "_hops", {})
        object.__setattr__(self, "_ends", {})

    def of(self, kind: str) -> Mapping[str, Stored[Any]]:
        """The items of a kind by name or id; empty for a kind without items."""
        return self.items.get(kind, MappingProxyType({}))

    def including(self, kind: str, stored: Stored[Any]) -> Model:
        changed = {**self.of(kind), stored.key: stored}
        return replace(self, items=MappingProxyType({**self.items, kind: MappingProxyType(changed)}))

    def without(self, kind: str, key: str) -> Model:
        changed = {name: stored for name, stored in self.of(kind).items() if name != key}
        return replace(self, items=MappingProxyType({**self.items, kind: MappingProxyType(changed)}))

    def hop(self, entity: str, key: str) -> Hop | None:
        """The relation a key names on an entity, by the four rules of contract §3.5."""
        at = (entity, key)
        if at not in self._hops:
            if len(self._hops) > 10_000:  # keys are clients' text: a cache of misses must not grow for ever
                self._hops.clear()
            self._hops[at] = resolve_key(key, entity, self.relations.values(), self.primary_keys())
        return self._hops[at]

    def written_hop(self, entity: str, key: str) -> Hop | None:
        """As `hop`, for nested writes: rules 1 to 3 only, and from the relation's source side only."""
        return resolve_written_key(key, entity, self.relations.values(), self.primary_keys())

    def source_hops(self, entity: str) -> tuple[Hop, ...]:
        """Every relation with this entity as source, by relation name."""
        return self._at_end(entity, forward=True)

    def target_hops(self, entity: str) -> tuple[Hop, ...]:
        """Every relation with this entity as target, seen from it, by relation name."""
        return self._at_end(entity, forward=False)

    def _at_end(self, entity: str, *, forward: bool) -> tuple[Hop, ...]:
        found = self._ends.get((entity, forward))
        if found is None:
            keys = self.primary_keys()
            found = tuple(
                make_hop(relation, entity, keys, forward=forward)
                for relation in self.relations.values()
                if (relation.source if forward else relation.target) == entity
            )
            self._ends[entity, forward] = found
        return found

    def primary_keys(self) -> dict[str, str]:
        return {name: entity.primary_key.field for name, entity in self.entities.items()}
