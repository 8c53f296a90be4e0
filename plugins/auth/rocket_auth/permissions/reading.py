"""What a caller may read of an entity: its read rules as a policy of the kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rocket_auth.permissions.memory import Memory
from rocket_auth.permissions.rules import CHECK, Grant, Rules, union
from rocket_kernel import NEVER, Actor, AllOf, AnyOf, Entity, Filter, ReadGrant, span

_OPEN = ReadGrant()
_MAX_COMPARISONS = 500
"""In one statement. One of the databases plans in quadratic time, 3 ms for so many, and nests no deeper than 1000."""

Projection = Callable[[Mapping[str, Any]], frozenset[str]]
"""A complete record -> the fields it shows."""


@dataclass(frozen=True, slots=True, eq=False)
class ReadRules:
    """The rules that name a role of the caller are alternatives: contract §3.7."""

    entity: Entity
    rules: Rules
    _known: Memory[ReadGrant] = field(default_factory=Memory)

    def grant(self, actor: Actor) -> ReadGrant:
        """Raises Forbidden."""
        with span(*CHECK, entity=self.entity.name):
            return self._grant(actor)

    def _grant(self, actor: Actor) -> ReadGrant:
        if actor.is_admin:
            return _OPEN
        key = self.rules.key(actor)
        found = self._known.get(key)
        return self._known.keep(key, self._granted(actor)) if found is None else found

    def _granted(self, actor: Actor) -> ReadGrant:
        grants, fields = self.rules.grants(actor), frozenset(self.entity.fields)
        condition = _alternatives(grants)
        if _comparisons(condition) > _MAX_COMPARISONS:
            raise self.rules.refusal()
        unnameable = _hidden_by_some(grants, fields) - {self.entity.primary_key.field}
        return ReadGrant(
            condition=condition,
            unnameable=unnameable,
            visible=_projection(grants, fields),
            sometimes=unnameable & _shown_by_some(grants, fields),
        )


def _alternatives(grants: Sequence[Grant]) -> Filter | None:
    if any(grant.condition is None for grant in grants):
        return None
    found = tuple(grant.condition for grant in grants if grant.condition not in (None, NEVER))
    return found[0] if len(found) == 1 else AnyOf(found)


def _comparisons(condition: Filter | None) -> int:
    match condition:
        case None:
            return 0
        case AnyOf(parts) | AllOf(parts):
            return sum(map(_comparisons, parts))
    return 1


def _hidden_by_some(grants: Sequence[Grant], fields: frozenset[str]) -> frozenset[str]:
    """Whether such a field is shown depends on the record, so nothing may be asked about it."""
    return frozenset().union(*(fields - grant.fields for grant in grants if grant.fields is not None))


def _shown_by_some(grants: Sequence[Grant], fields: frozenset[str]) -> frozenset[str]:
    allowed = union(grant for grant in grants if grant.condition != NEVER)
    return fields if allowed is None else allowed


def _projection(grants: Sequence[Grant], fields: frozenset[str]) -> Projection | None:
    """The fields that the grants which hold for a record allow together; None where that is always all."""
    if all(grant.fields is None for grant in grants):
        return None
    if all(grant.condition is None for grant in grants):
        always = union(grants)
        return None if always is None else lambda _record: always

    def visible(record: Mapping[str, Any]) -> frozenset[str]:
        allowed = union(grant for grant in grants if grant.holds_for(record))
        return fields if allowed is None else allowed

    return visible
