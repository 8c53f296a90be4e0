"""Who acts. Always handed down explicitly, never looked up from the surroundings."""

from __future__ import annotations

from dataclasses import dataclass, field

ADMIN = "admin"
PLATFORM_ADMIN = "platform_admin"


@dataclass(frozen=True, slots=True)
class Actor:
    """A caller or the engine itself.

    `roles` are lower-case, because role names compare without regard to case. `platform` marks a
    caller who signed in to the platform and not to an app. `system` marks the engine acting for itself.
    """

    id: str | None
    email: str | None
    roles: frozenset[str]
    platform: bool = False
    system: bool = False
    known_at: int | None = field(default=None, compare=False)
    """`Registry.callers` when this was found out, for a caller whose rights may have changed since; else None."""

    @property
    def is_admin(self) -> bool:
        return ADMIN in self.roles

    @property
    def is_platform_admin(self) -> bool:
        return PLATFORM_ADMIN in self.roles


class CallerChanged(Exception):
    """What is known of the caller may no longer hold: ask again who calls."""


SYSTEM = Actor(id=None, email=None, roles=frozenset({ADMIN}), system=True)

OPEN_HOUSE = Actor(id=None, email=None, roles=frozenset({ADMIN, PLATFORM_ADMIN}), platform=True)
"""Every caller of a kernel without an authentication plugin, which is why it listens on loopback only."""

NOBODY = Actor(id=None, email=None, roles=frozenset())
"""The caller of a public route."""
