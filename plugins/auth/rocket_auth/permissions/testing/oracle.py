"""What callers may do, said once more: by the contract's words (§3.7, §10.5) and without any of the plugin's code.

Four entities, callers with rules of all sorts, and what comes of a request by them. Tests compare a server with it.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from rocket_auth.permissions.testing import permission
from rocket_kernel import Actor
from rocket_kernel.testing import entity, many_to_many, one_to_many, one_to_one
from rocket_kernel.testing.actors import actor_header

Row = Mapping[str, Any]

ME, YOU = "00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"
FIELDS: Mapping[str, tuple[str, ...]] = {
    "project": ("id", "code", "name", "owner", "level", "secret"),
    "task": ("id", "project_id", "name", "owner", "level", "secret"),
    "badge": ("id", "project_id", "name", "owner", "level", "secret"),
    "label": ("id", "name", "owner", "level", "secret"),
}
ACTIONS = ("read", "create", "update", "delete")
HIGH, LOW = 9, 1
KINDS = tuple(product((LOW, HIGH), (ME, YOU)))
"""Level and owner of a row: inside and outside of each condition."""
HOPS: Mapping[tuple[str, str], tuple[str, tuple[str, str] | None, bool]] = {
    ("project", "tasks"): ("task", ("task", "project_id"), True),
    ("project", "badge"): ("badge", ("badge", "project_id"), False),
    ("project", "labels"): ("label", None, True),
    ("task", "project"): ("project", ("task", "project_id"), False),
    ("badge", "project"): ("project", ("badge", "project_id"), False),
    ("label", "project"): ("project", None, True),
}
"""By entity and key: the other entity, the field that holds the reference, whether there are many."""

_TYPES = {"level": "int", "owner": "string", "project_id": "uuid", "code": "string unique"}
_SLUG = {"slug": {"field": "code"}, "soft_delete": True}
_CHILDREN = ("task", "badge")
_SEED = 2026
_DRAWN = 9


class Refused(Exception):
    """`paths` are the fields of the details."""

    def __init__(self, status: int, message: str, *paths: str) -> None:
        super().__init__(message)
        self.status, self.message, self.paths = status, message, paths


@dataclass(frozen=True, slots=True)
class Rule:
    low: bool = False
    """Only rows of a level of 5 at most."""
    own: bool = False
    """Only rows whose owner is the caller."""
    fields: str = ""
    """`open`: all but the secret; `keyless`: three, none of which is the key of a relation."""

    def holds(self, caller: Caller, row: Row) -> bool:
        if self.low and (row["level"] is None or row["level"] > 5):
            return False
        return not self.own or (caller.id is not None and row["owner"] == caller.id)

    def allows(self, name: str) -> bool:
        if self.fields == "keyless":
            return name in ("name", "secret", "owner")
        return not (self.fields == "open" and name == "secret")

    def body(self, name: str, action: str, role: str) -> dict[str, Any]:
        when = [("level", "lte", 5)] * self.low + [("owner", "eq", "{{user.id}}")] * self.own
        lists = {"keyless": {"include": ["name", "secret", "owner"]}, "open": {"exclude": ["secret"]}}
        return permission(name, action, role, when=when, **lists.get(self.fields, {}))


Policy = Mapping[tuple[str, str], list[Rule]]
"""By entity and action."""


def _policies() -> Mapping[str, Policy]:
    """By role. Nobody may delete badges, so there is no row for that at all."""
    pairs = list(product(FIELDS, ACTIONS))
    found: dict[str, dict[tuple[str, str], list[Rule]]] = {
        "reader": {pair: [Rule()] for pair in pairs if pair[1] == "read"},
        "writer": {pair: [Rule()] for pair in pairs if pair[1] != "read" and pair[0] != "badge"},
        "owner": {pair: [Rule(own=True)] for pair in pairs},
        "clerk": {pair: [Rule(low=True, fields="" if pair[1] == "delete" else "open")] for pair in pairs},
        # Everything but which tasks and badges belong to which project.
        "keyless": {
            pair: [Rule(fields="keyless" if pair[1] == "read" and pair[0] in _CHILDREN else "")] for pair in pairs
        },
        "keyhole": {("task", "read"): [Rule(fields="keyless")]},
    }
    chance = random.Random(_SEED)  # noqa: S311 - the same rules in every run
    for number in range(_DRAWN):
        found[f"r{number}"] = {
            pair: [_drawn(chance, pair[1]) for _ in range(chance.choice([0, 1, 1, 1, 2]))] for pair in pairs
        }
    for policy in found.values():
        policy.pop(("badge", "delete"), None)
    return found


def _drawn(chance: random.Random, action: str) -> Rule:
    fields = "" if action == "delete" else chance.choice(["", "", "open", "keyless"])
    return Rule(low=chance.random() < 0.4, own=chance.random() < 0.3, fields=fields)


POLICIES = _policies()


@dataclass(frozen=True, slots=True)
class Caller:
    name: str
    roles: tuple[str, ...]
    id: str | None = ME

    @property
    def header(self) -> str:
        return actor_header(Actor(id=self.id, email=None, roles=frozenset(self.roles)))

    @property
    def is_admin(self) -> bool:
        return "admin" in self.roles

    def rules(self, name: str, action: str) -> list[Rule]:
        if self.is_admin:
            return [Rule()]
        return [rule for role in self.roles for rule in POLICIES.get(role, {}).get((name, action), [])]

    def holding(self, name: str, action: str, row: Row) -> list[Rule]:
        return [rule for rule in self.rules(name, action) if rule.holds(self, row)]

    def may(self, name: str, action: str) -> bool:
        return bool(self.rules(name, action))

    def require(self, name: str, action: str) -> None:
        """The gate."""
        if not self.may(name, action):
            known = any(policy.get((name, action)) for policy in POLICIES.values())
            raise Refused(403, f"{'Permission denied' if known else 'No permission'} for {action} on {name}")

    def sees(self, name: str, row: Row) -> bool:
        return bool(self.holding(name, "read", row))

    def shown(self, name: str, row: Row) -> dict[str, Any]:
        """What an answer shows of a row; its key alone when the caller may not read it."""
        rules = self.holding(name, "read", row)
        return {each: row[each] for each in FIELDS[name] if each == "id" or any(rule.allows(each) for rule in rules)}

    def names(self, name: str, each: str) -> bool:
        """Whether an answer may depend on a field."""
        if each == "id":
            return True
        rules = self.rules(name, "read")
        return bool(rules) and all(rule.allows(each) for rule in rules)

    def require_name(self, name: str, each: str) -> None:
        if not self.names(name, each):
            raise Refused(403, f"Permission denied for read on {name}.{each}")

    def require_walk(self, name: str, key: str) -> None:
        target, place, _ = HOPS[name, key]
        self.require(target, "read")
        if place is not None:
            self.require_name(*place)

    def require_row(self, name: str, row: Row, *, by: str = "id") -> None:
        """The row that a path names, for reading. The gate has been passed."""
        if not (self.names(name, by) and self.sees(name, row)):
            raise Refused(404, f"{name} with id {row[by]} not found")

    def load(self, name: str, action: str, row: Row, *, by: str = "id") -> list[Rule]:
        """Of an update or delete: the gate, the row, its conditions. The rules that hold."""
        self.require(name, action)
        missing = Refused(404, f"{name} with id {row[by]} not found")
        if not self.names(name, by) or (self.may(name, "read") and not self.sees(name, row)):
            raise missing
        holding = self.holding(name, action, row)
        if not holding:
            raise self._denied(name, action) if self.may(name, "read") else missing
        return holding

    def judge_new(self, name: str, row: Row, given: Iterable[str], *, under: str = "") -> None:
        """Of a create: the fields any rule allows, the conditions, the fields the rules that hold allow."""
        names = list(given)
        require_writable(self.rules(name, "create"), names, under=under)
        holding = self.holding(name, "create", row)
        if not holding:
            raise self._denied(name, "create")
        require_writable(holding, names, under=under)

    def judge_child(self, name: str, action: str, row: Row) -> list[Rule]:
        """Of a row that is known to be a child."""
        self.require(name, action)
        holding = self.holding(name, action, row)
        if not holding:
            raise self._denied(name, action)
        return holding

    @staticmethod
    def _denied(name: str, action: str) -> Refused:
        return Refused(403, f"Permission denied for {action} on {name}")


def require_writable(rules: Iterable[Rule], given: Iterable[str], *, under: str = "") -> None:
    """Raises Refused with the fields that no rule allows."""
    listed = list(rules)
    wrong = [f"{under}{each}" for each in given if not any(rule.allows(each) for rule in listed)]
    if wrong:
        raise Refused(422, "Validation failed", *wrong)


CALLERS = (
    *(Caller(role, (role,)) for role in POLICIES),
    Caller("two", ("r0", "r1")),
    Caller("three", ("r2", "r5", "clerk")),
    Caller("nameless", ("owner", "r3"), None),
    Caller("another owner", ("owner",), YOU),
    Caller("nobody", ()),
    Caller("admin", ("admin",)),
)


def document() -> dict[str, Any]:
    """For an import: the entities, their relations and all rules."""
    entities = [
        entity(name, _SLUG if name == "project" else {}, **{each: _TYPES.get(each, "string") for each in names[1:]})
        for name, names in FIELDS.items()
    ]
    relations = [
        one_to_many("tasks", "project", "task"),
        one_to_one("badge", "project", "badge"),
        many_to_many("labels", "project", "label"),
    ]
    rows = [
        rule.body(name, action, role)
        for role, policy in POLICIES.items()
        for (name, action), rules in policy.items()
        for rule in rules
    ]
    return {"entities": entities, "relations": relations, "permissions": rows}
