"""What a caller may read. Plugins answer through the hook `compile_read_policy`; without one all is open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from rocket_kernel.actor import Actor
from rocket_kernel.errors import Forbidden
from rocket_kernel.metadata.hops import Hop
from rocket_kernel.query.filters import NEVER, Filter, all_of

if TYPE_CHECKING:
    from rocket_kernel.metadata.registry import Registry

Projection = Callable[[Mapping[str, Any]], frozenset[str]]
"""A complete record in wire values -> the names of the fields the caller may see in it."""


@dataclass(frozen=True, slots=True)
class ReadGrant:
    """What one caller may read of one entity."""

    condition: Filter | None = None
    """Rows that do not satisfy it do not exist for the caller; None shows all."""
    unnameable: frozenset[str] = frozenset()
    """Fields the caller may not name in a filter, sort, projection, or as the key an include walks."""
    visible: Projection | None = None
    """None shows every field."""
    sometimes: frozenset[str] = frozenset()
    """Those among `unnameable` that some record may show all the same. A description of what the caller may read names
    no other hidden field."""


OPEN = ReadGrant()


class ReadPolicy(Protocol):
    def grant(self, actor: Actor) -> ReadGrant:
        """Pure. Raises Forbidden when the caller may not read the entity at all."""
        ...


@dataclass(slots=True)
class Access:
    """What one caller may read, in one request: `Access(registry, actor)`.

    It is a scope for `fetch_records`, `count_records` and `find_record`, which find the rows the caller may read. All
    methods are pure and need no database. An entity the registry does not have raises UnknownEntity.
    """

    registry: Registry
    actor: Actor
    _grants: dict[str, ReadGrant] = field(default_factory=dict)

    def grant(self, entity: str) -> ReadGrant:
        """Raises Forbidden when the caller may not read the entity at all."""
        grant = self._grants.get(entity)
        if grant is None:
            policies = self.registry.entity(entity).read_policies
            if len(policies) == 1:
                grant = policies[0].grant(self.actor)
            else:
                grant = _combined([policy.grant(self.actor) for policy in policies]) if policies else OPEN
            self._grants[entity] = grant
        return grant

    def may_read(self, entity: str) -> bool:
        try:
            self.grant(entity)
        except Forbidden:
            return False
        return True

    def may_name(self, entity: str, name: str) -> bool:
        """Whether an answer may depend on a field, as it does on those of filters, sorts, slugs and relation keys.

        On the primary key it always may.
        """
        try:
            if name not in self.grant(entity).unnameable:
                return True
        except Forbidden:
            pass
        return self._is_key(entity, name)

    def require_nameable(self, entity: str, name: str) -> None:
        """Raises Forbidden."""
        if name in self.grant(entity).unnameable and not self._is_key(entity, name):
            raise Forbidden(f"Permission denied for read on {entity}.{name}")

    def may_walk(self, hop: Hop) -> bool:
        """Whether an answer may depend on which rows a relation connects."""
        return self.may_read(hop.target) and all(self.may_name(*named) for named in hop.named_fields)

    def require_walk(self, hop: Hop) -> None:
        """Raises Forbidden unless the caller may read the other entity and name the keys that meet."""
        self.grant(hop.target)
        for entity, name in hop.named_fields:
            self.require_nameable(entity, name)

    def readable_fields(self, entity: str, record: Mapping[str, Any]) -> frozenset[str]:
        """The fields shown of a row that the caller may read; `record` is all of it, in wire values.

        Raises Forbidden. Whether the caller may read the row is not asked here: see `Reader.shows`.
        """
        visible = self.grant(entity).visible
        definition = self.registry.entity(entity).entity
        if visible is None:
            return frozenset(definition.fields)
        return visible(record) | {definition.primary_key.field}

    def condition(self, entity: str) -> Filter | None:
        return self.grant(entity).condition

    def _is_key(self, entity: str, name: str) -> bool:
        return name == self.registry.entity(entity).entity.primary_key.field


class FullAccess:
    """The engine's own view: every row and every field."""

    def condition(self, entity: str) -> Filter | None:
        return None

    def may_name(self, entity: str, name: str) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class ReadableRows:
    """The rows a caller may read, none where the entity is closed to it: for writes, which need no read grant."""

    access: Access

    def condition(self, entity: str) -> Filter | None:
        return self.access.condition(entity) if self.access.may_read(entity) else NEVER

    def may_name(self, entity: str, name: str) -> bool:
        return self.access.may_name(entity, name)


@dataclass(frozen=True, slots=True)
class WritableRows:
    """The rows a caller may name in order to write them: those it may read, and where the entity is closed to
    reading, all of them, by their key alone."""

    access: Access

    def condition(self, entity: str) -> Filter | None:
        return self.access.condition(entity) if self.access.may_read(entity) else None

    def may_name(self, entity: str, name: str) -> bool:
        return self.access.may_name(entity, name)


class RowScope(Protocol):
    """All that finding rows needs to know of access."""

    def condition(self, entity: str) -> Filter | None:
        """Rows that do not satisfy it do not exist; None is all rows."""
        ...

    def may_name(self, entity: str, name: str) -> bool:
        """Whether rows may be looked up by a field."""
        ...


def _combined(grants: list[ReadGrant]) -> ReadGrant:
    projections = [grant.visible for grant in grants if grant.visible is not None]

    def visible(record: Mapping[str, Any]) -> frozenset[str]:
        return frozenset.intersection(*(projection(record) for projection in projections))

    unnameable: frozenset[str] = frozenset().union(*(grant.unnameable for grant in grants))
    return ReadGrant(
        condition=all_of([grant.condition for grant in grants]),
        unnameable=unnameable,
        visible=visible if projections else None,
        sometimes=unnameable.difference(*(grant.unnameable - grant.sometimes for grant in grants)),
    )
