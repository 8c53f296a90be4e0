"""A test plugin that lets a header say who calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote
from uuid import NAMESPACE_URL, uuid5

from rocket_kernel.actor import ADMIN as ADMIN_ROLE
from rocket_kernel.actor import PLATFORM_ADMIN, Actor
from rocket_kernel.hookspecs import hookimpl
from rocket_kernel.plugins import Plugin

if TYPE_CHECKING:
    from rocket_kernel.http.messages import Request

HEADER = "X-Test-Actor"

ADMIN = Actor(
    id="00000000-0000-4000-8000-000000000001",
    email="admin@example.com",
    roles=frozenset({"admin", PLATFORM_ADMIN}),
    platform=True,
)


def actor(*roles: str, id: str | None = None, email: str | None = None, platform: bool = False) -> Actor:
    """A caller with these roles. Unless told, `id` is made of the roles and is the same in every run.

    `platform` is for one who signed in to the platform: with the role `platform_admin` they act in every app as `admin`.
    """
    held = frozenset(role.lower() for role in roles)
    return Actor(
        id=id if id is not None else str(uuid5(NAMESPACE_URL, f"actor:{','.join(sorted(held))}")),
        email=email,
        roles=held | {ADMIN_ROLE} if platform and PLATFORM_ADMIN in held else held,
        platform=platform,
    )


def actor_header(actor: Actor) -> str:
    """`id;role1,role2;email`, with `;platform` behind it for a caller who signed in to the platform."""
    roles = ",".join(quote(role, safe="") for role in sorted(actor.roles))
    parts = [quote(actor.id or "", safe=""), roles, quote(actor.email or "", safe="@")]
    return ";".join([*parts, "platform"] if actor.platform else parts)


def parse_actor(text: str) -> Actor:
    """`id;role1,role2` is enough; see `actor_header`."""
    id_text, roles, email, platform, *_ = [*text.split(";"), "", "", "", ""]
    return Actor(
        id=unquote(id_text.strip()) or None,
        email=unquote(email.strip()) or None,
        roles=frozenset(unquote(role.strip()).lower() for role in roles.split(",") if role.strip()),
        platform=platform.strip() == "platform",
    )


@dataclass(frozen=True, slots=True)
class ActorsSettings:
    default: str | None = actor_header(ADMIN)
    """The caller without the header, written like it; None refuses with 401."""


class Actors(Plugin):
    """Whoever the header `X-Test-Actor` names; without it an administrator of app and platform."""

    name = "actors"
    version = "1"
    Settings = ActorsSettings

    @hookimpl
    async def authenticate(self, request: Request) -> Actor | None:
        given = request.headers.get(HEADER.lower(), self.settings.default)
        return None if given is None else parse_actor(given)
