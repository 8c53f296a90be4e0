"""What a caller may read. Plugins answer through the hook `compile_read_policy`; without one all is open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from rocket_kernel.actor import Actor
from rocket_kernel.errors import Forbidden
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


OPEN = ReadGrant()


class ReadPolicy(Protocol):
    def grant(self, actor: Actor) -> ReadGrant:
        """Pure. Raises Forbidden when the caller may not read the entity at all."""
        ...


@dataclass(slots=True)
class Access:
    """The read grants of one caller in one request, found out once an entity."""

    registry: Registry
    actor: Actor
    _grants: dict[str, ReadGrant] = field(default_factory=dict)

    def grant(self, entity: str) -> ReadGrant:
        """Raises Forbidden."""
        grant = self._grants.get(entity)
        if grant is None:
            policies = self.registry.entity(entity).read_policies
            grant = _combined([policy.grant(self.actor) for policy in policies]) if policies else OPEN
            self._grants[entity] = grant
        return grant

    def may_read(self, entity: str) -> bool:
        try:
            self.grant(entity)
        except Forbidden:
            return False
        return True

    def require_nameable(self, entity: str, name: str) -> None:
        if name in self.grant(entity).unnameable:
            raise Forbidden(f"Permission denied for read on {entity}.{name}")

    def condition(self, entity: str) -> Filter | None:
        return self.grant(entity).condition


class FullAccess:
    """The engine's own view: every row and every field."""

    def condition(self, entity: str) -> Filter | None:
        return None


@dataclass(frozen=True, slots=True)
class ReadableRows:
    """The rows a caller may read, none where the entity is closed to it: for writes, which need no read grant."""

    access: Access

    def condition(self, entity: str) -> Filter | None:
        return self.access.condition(entity) if self.access.may_read(entity) else NEVER


class RowScope(Protocol):
    """All that compiling a query needs to know of access."""

    def condition(self, entity: str) -> Filter | None: ...


def _combined(grants: list[ReadGrant]) -> ReadGrant:
    if len(grants) == 1:
        return grants[0]
    projections = [grant.visible for grant in grants if grant.visible is not None]

    def visible(record: Mapping[str, Any]) -> frozenset[str]:
        return frozenset.intersection(*(projection(record) for projection in projections))

    return ReadGrant(
        condition=all_of([grant.condition for grant in grants]),
        unnameable=frozenset().union(*(grant.unnameable for grant in grants)),
        visible=visible if projections else None,
    )
