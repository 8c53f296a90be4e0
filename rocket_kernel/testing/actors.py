"""A test plugin that lets a header say who calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

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
