"""Permissions of one entity and action, compiled: which rows count for a caller, and what they say."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rocket_auth.permissions.conditions import UNFULFILLABLE, Condition, compile_condition
from rocket_auth.permissions.fields import compile_fields, surviving
from rocket_auth.permissions.memory import Memory
from rocket_auth.permissions.model import ACTIONS, PERMISSIONS, Permission
from rocket_kernel import NEVER, Actor, AllOf, Entity, Filter, Forbidden, Model, ValidationFailed, holds

CHECK = ("auth", "permissions", "permission.check")
"""The span of every question that permissions answer."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A permission, compiled for its entity."""

    roles: frozenset[str]
    conditions: tuple[Condition, ...]
    fields: frozenset[str] | None
    """None is all."""

    @property
    def personal(self) -> bool:
        return any(condition.personal for condition in self.conditions)


@dataclass(frozen=True, slots=True)
class Grant:
    """What one rule says to one caller."""

    condition: Filter | None
    """None always holds."""
    fields: frozenset[str] | None

    def holds_for(self, record: Mapping[str, Any]) -> bool:
        """`record` is complete, in wire values. What cannot be evaluated does not hold."""
        if self.condition is None:
            return True
        try:
            return holds(self.condition, record)
        except (TypeError, ValueError, ArithmeticError):
            return False


def compile_rule(permission: Permission, entity: Entity) -> Rule:
    """Never fails: a part that does not fit the entity any more denies."""
    conditions = tuple(_condition(body, entity) for body in permission.conditions)
    try:
        fields = compile_fields(surviving(permission.fields, entity), entity, permission.action)
    except ValidationFailed:
        fields = frozenset()
    return Rule(permission.granted_to, conditions, fields)


def _condition(body: Any, entity: Entity) -> Condition:
    try:
        return compile_condition(body, entity, at="")
    except ValidationFailed:
        return UNFULFILLABLE


@dataclass(slots=True, eq=False)
class Rules:
    """The rules of one entity and action, and what they say to whom."""

    entity: str
    action: str
    rules: Sequence[Rule]
    personal: bool = field(init=False)
    _known: Memory[tuple[Grant, ...]] = field(default_factory=Memory)

    def __post_init__(self) -> None:
        self.personal = any(rule.personal for rule in self.rules)

    def grants(self, actor: Actor) -> tuple[Grant, ...]:
        """At least one. Raises Forbidden when no rule names a role of the caller."""
        key = self.key(actor)
        found = self._known.get(key)
        if found is None:
            found = self._known.keep(key, self._granted(actor))
        if not found:
            raise self.refusal()
        return found

    def key(self, actor: Actor) -> Hashable:
        """All that the answers for a caller depend on."""
        return (actor.roles, actor.id, actor.email) if self.personal else actor.roles

    def refusal(self) -> Forbidden:
        """Of a caller to whom no rule, or none that holds, grants anything."""
        words = "Permission denied" if self.rules else "No permission"
        return Forbidden(f"{words} for {self.action} on {self.entity}")

    def _granted(self, actor: Actor) -> tuple[Grant, ...]:
        return tuple(
            Grant(_conjunction([condition.resolve(actor) for condition in rule.conditions]), rule.fields)
            for rule in self.rules
            if not rule.roles.isdisjoint(actor.roles)
        )


def _conjunction(parts: Sequence[Filter]) -> Filter | None:
    if not parts:
        return None
    if NEVER in parts:
        return NEVER
    return parts[0] if len(parts) == 1 else AllOf(tuple(parts))


def union(grants: Iterable[Grant]) -> frozenset[str] | None:
    """The fields that any of the grants allows; None is all."""
    allowed: frozenset[str] = frozenset()
    for grant in grants:
        if grant.fields is None:
            return None
        allowed |= grant.fields
    return allowed


@dataclass(frozen=True, slots=True)
class RuleBook:
    """All permissions of an app, compiled; made once a change of metadata."""

    entities: Mapping[str, Mapping[str, Rules]]
    """By entity and action; complete."""
    _seen: Memory[frozenset[str]] = field(default_factory=Memory)

    def touched(self, actor: Actor) -> frozenset[str]:
        """The entities on which some permission names a role of the caller."""
        found = self._seen.get(actor.roles)
        return self._seen.keep(actor.roles, self._touched(actor)) if found is None else found

    def _touched(self, actor: Actor) -> frozenset[str]:
        return frozenset(
            name
            for name, by_action in self.entities.items()
            for rules in by_action.values()
            if any(not rule.roles.isdisjoint(actor.roles) for rule in rules.rules)
        )


def compile_rules(model: Model) -> RuleBook:
    found: dict[str, dict[str, list[Rule]]] = {name: {action: [] for action in ACTIONS} for name in model.entities}
    for stored in model.of(PERMISSIONS).values():
        permission: Permission = stored.item
        by_action = found.get(permission.entity, {})
        if permission.action in by_action:
            by_action[permission.action].append(compile_rule(permission, model.entities[permission.entity]))
    return RuleBook(
        {
            name: {action: Rules(name, action, tuple(rules)) for action, rules in by_action.items()}
            for name, by_action in found.items()
        }
    )
