"""Which definitions a caller may see: contract §4.6."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rocket_auth.permissions.rules import RuleBook
from rocket_kernel import Actor, Entity, Relation


@dataclass(frozen=True, slots=True)
class VisibleMetadata:
    rules: RuleBook

    def shows(self, actor: Actor, kind: str, item: Any) -> bool:
        """Entities on which the caller holds some permission, relations with two such ends; other kinds in full."""
        if actor.is_admin:
            return True
        match item:
            case Entity(name=name):
                return name in self.rules.touched(actor)
            case Relation(source=source, target=target):
                return {source, target} <= self.rules.touched(actor)
        return True
