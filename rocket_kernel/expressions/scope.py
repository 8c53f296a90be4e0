"""What an expression may name at the place where it stands: contract §7.5 and §7.6."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from rocket_kernel.metadata.entity import Entity

if TYPE_CHECKING:
    from rocket_kernel.metadata.model import Model

RECORD_NAMES = frozenset({"record", "old", "changes"})
RELATED = "related"
WRITE_NAMES = frozenset({"record", "old", "changes", "action", "user", "related", "now"})
ALL_NAMES = WRITE_NAMES | {"entity", "event", "context"}


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """`names` are known. With an `entity` its fields are the members of `record`, `old` and `changes`; with a `model`
    beside it, its relation keys are those of `related`. Otherwise members are free."""

    names: frozenset[str]
    entity: Entity | None = None
    model: Model | None = None

    @property
    def functions(self) -> Mapping[str, Any]:
        """Functions of plugins by name."""
        return MappingProxyType({}) if self.model is None else self.model.functions

    def has_field(self, name: str) -> bool:
        return self.entity is None or name in self.entity.fields

    @property
    def relates(self) -> bool:
        """Whether the keys of `related` are known."""
        return self.entity is not None and self.model is not None

    def has_relation(self, key: str) -> bool:
        if self.entity is None or self.model is None:
            return True
        return self.model.hop(self.entity.name, key) is not None

    def element_fields(self, key: str) -> frozenset[str] | None:
        """The names every element of `related.<key>` has; None when it is no list, or they are not known."""
        if self.entity is None or self.model is None:
            return None
        hop = self.model.hop(self.entity.name, key)
        target = self.model.entities.get(hop.target) if hop is not None and hop.many else None
        return None if target is None else frozenset(target.fields)


def scope(names: Iterable[str], *, entity: Entity | None = None, model: Model | None = None) -> Scope:
    """A place that knows `names`, such as `{"record", "user", "now"}`. The model also brings plugins' functions."""
    return Scope(frozenset(names), entity, model)


def write_scope(entity: Entity, model: Model) -> Scope:
    """The place of rules and guards: record, old, changes, action, user, related and now, all known by field."""
    return Scope(WRITE_NAMES, entity, model)
