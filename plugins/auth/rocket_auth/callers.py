"""Who calls: from the header to the actor (contract §1.3, §10.2).

A token is verified once and remembered by its text. Roles and activity are always those stored now: the user's row is
read in each request, or, where the handler's own session tells whether any user has changed, remembered as well.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rocket_auth.accounts import role_set
from rocket_auth.realm import PLATFORM, AppRealm, PlatformRealm
from rocket_auth.sessions import DISABLED
from rocket_auth.tokens import Claims, read_token
from rocket_kernel import Actor, AppContext, Registry, Request, Session, Unauthorized

_STASH = "auth:tokens"
_KEPT = 8192
_LONGEST_KEPT = 4096
"""In characters; longer tokens are verified each time."""

_ADMIN, _PLATFORM_ADMIN = "admin", "platform_admin"

Row = Mapping[str, Any]


@dataclass(slots=True)
class Known:
    """What one token has turned out to be."""

    claims: Claims
    of_platform: bool
    actor: Actor | None = None
    """As found last."""
    version: Hashable | None = None
    """Of the management database when a platform user was found; None where databases do not tell."""


@dataclass(slots=True)
class TokenMemory:
    """Verified tokens by the header that bears them; of too many the oldest are forgotten."""

    _known: dict[str, Known] = field(default_factory=dict)

    def get(self, header: str, now: str) -> Known | None:
        known = self._known.get(header)
        if known is not None and known.claims.expires_at <= now:
            del self._known[header]
            return None
        return known

    def put(self, header: str, known: Known) -> None:
        if len(header) > _LONGEST_KEPT:
            return
        if len(self._known) >= _KEPT:
            del self._known[next(iter(self._known))]
        self._known[header] = known

    def __len__(self) -> int:
        return len(self._known)


async def identify(request: Request, platform: PlatformRealm) -> Actor:
    """The caller of a route that is not public. Raises Unauthorized."""
    header = request.headers.get("authorization")
    if header is None:
        raise Unauthorized
    if not request.in_app:
        claims = read_token(bearer_token(header), platform.secret, app=PLATFORM, now=_moment(request))
        return await _platform_actor(claims, platform)
    memory = _memory(request.app)
    known = memory.get(header, request.now)
    if known is None:
        known = _verified(bearer_token(header), request, platform)
        memory.put(header, known)
    if known.of_platform:
        return await _platform_actor_in_app(known, platform)
    actor = known.actor
    if actor is None or not request.confirms_caller or actor.known_at != request.app.registry.callers:
        known.actor = actor = await _app_actor(known.claims, request.app)
    return actor


def bearer_token(header: str) -> str:
    """Raises Unauthorized for anything but `Bearer` and a token with one space between."""
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token or " " in token:
        raise Unauthorized("Invalid auth header format")
    return token


def as_seen_in_apps(actor: Actor) -> Actor:
    """A platform administrator is admin of every app; nobody else of the platform is admin of any."""
    roles = actor.roles | {_ADMIN} if actor.is_platform_admin else actor.roles - {_ADMIN}
    return Actor(id=actor.id, email=actor.email, roles=roles, platform=True)


def _memory(app: AppContext) -> TokenMemory:
    memory = app.stash.get(_STASH)
    if memory is None:
        memory = app.stash[_STASH] = TokenMemory()
    found: TokenMemory = memory
    return found


def _verified(token: str, request: Request, platform: PlatformRealm) -> Known:
    """The app's secret is tried first, then the platform's. Raises Unauthorized."""
    app, now = request.app, _moment(request)
    claims = read_token(token, app.secret, app=app.name, now=now)
    if claims is not None:
        return Known(claims, of_platform=False)
    claims = read_token(token, platform.secret, app=PLATFORM, now=now)
    if claims is None:
        raise _refused()
    return Known(claims, of_platform=True)


async def _app_actor(claims: Claims, app: AppContext) -> Actor:
    users = AppRealm.tables.users

    async def work(session: Session, registry: Registry) -> tuple[Row | None, int]:
        return await users.first(session, {"id": claims.user_id}), registry.callers

    found, known_at = await app.read(work)
    row = _require_active(found, claims)
    # A role of this name given in an app has no power over the platform.
    roles = role_set(row["roles"]) - {_PLATFORM_ADMIN}
    return Actor(id=row["id"], email=row["email"], roles=roles, known_at=known_at)


async def _platform_actor(claims: Claims | None, platform: PlatformRealm) -> Actor:
    if claims is None:
        raise _refused()
    user_id = claims.user_id
    found = await platform.read(lambda session: platform.tables.users.first(session, {"id": user_id}))
    return _platform_user(_require_active(found, claims))


async def _platform_actor_in_app(known: Known, platform: PlatformRealm) -> Actor:
    """The user's row need not be read again while nothing at all was committed to the management database."""
    users, user_id = platform.tables.users, known.claims.user_id
    remembered = known.actor

    async def work(session: Session) -> tuple[Actor | None, Row | None, Hashable | None]:
        version = await session.version()
        if remembered is not None and version is not None and version == known.version:
            return remembered, None, version
        return None, await users.first(session, {"id": user_id}), version

    actor, row, version = await platform.read(work)
    if actor is None:
        actor = as_seen_in_apps(_platform_user(_require_active(row, known.claims)))
        known.actor, known.version = actor, version
    return actor


def _platform_user(row: Row) -> Actor:
    return Actor(id=row["id"], email=row["email"], roles=role_set(row["roles"]), platform=True)


def _require_active(row: Row | None, claims: Claims) -> Row:
    """Raises Unauthorized."""
    if row is None or row["generation"] != claims.generation:
        raise _refused()
    if not row["active"]:
        raise Unauthorized(DISABLED)
    return row


def _refused() -> Unauthorized:
    return Unauthorized("Invalid or expired token")


def _moment(request: Request) -> datetime:
    return datetime.fromisoformat(request.now)
