from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from rocket_kernel import Actor, ConfigError, Range

Limit = Annotated[int, Range(0, 2_000_000_000)]


@dataclass(frozen=True, slots=True)
class QuotaSettings:
    roles: Mapping[str, Limit] = field(default_factory=dict)
    """Records that a caller with the role may write in one window. Who holds several roles has the largest quota."""
    others: Limit | None = None
    """For callers with none of these roles; null is no limit."""
    window_s: Annotated[int, Range(1, 366 * 86_400)] = 3600
    """Length of a window; the first one began in 1970."""

    def __post_init__(self) -> None:
        for role in self.roles:
            if role != role.strip().lower() or not role:
                raise ConfigError(f"plugins.settings.quota.roles: {role!r} is no name of a role in lower case")

    def limit_for(self, roles: frozenset[str]) -> int | None:
        """None is no limit. Administrators have one only where the role is named."""
        limits = [limit for role, limit in self.roles.items() if role in roles]
        if limits:
            return max(limits)
        return None if "admin" in roles else self.others

    def limit_of(self, actor: Actor) -> int | None:
        """The engine acting for itself has none."""
        return None if actor.system else self.limit_for(actor.roles)
