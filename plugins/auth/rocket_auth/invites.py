"""Invites: an administrator names an address, and whoever has the token becomes its user (contract §10.6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from rocket_auth.accounts import is_email, normal_email, read_email, read_id, read_roles, storable
from rocket_auth.described import INVITES_OPERATIONS
from rocket_auth.passwords import DEFAULT_PASSWORD, Passwords, require_allowed
from rocket_auth.realm import AppRealm
from rocket_auth.sessions import Sessions
from rocket_auth.settings import AuthSettings
from rocket_auth.tables import INVITES
from rocket_auth.tokens import new_opaque_token
from rocket_auth.users import EXISTS, NewUser, insert_user
from rocket_kernel import (
    AccessClass,
    Comparison,
    Conflict,
    InvalidPayload,
    NotFound,
    Request,
    Response,
    RocketError,
    Route,
    TableRows,
    Transaction,
    ValidationFailed,
    data,
)

_PENDING = "A pending invite already exists for this email"
_MOST_AT_ONCE = 10_000
_SHOWN = ("id", "email", "roles", "token", "expires_at", "accepted_at", "invited_by", "created_at")

_INVITES = TableRows(INVITES)

Row = Mapping[str, Any]


class InviteUnusable(InvalidPayload):
    """The invite is there but was accepted, or its time is over."""

    code = "VALIDATION_FAILED"


@dataclass(frozen=True, slots=True)
class Invites:
    settings: AuthSettings
    passwords: Passwords
    sessions: Sessions

    def routes(self) -> list[Route]:
        base, admin = "/api/:app/_admin/invites", AccessClass.ADMIN
        accept = "/api/:app/auth/accept-invite"
        return [
            Route(method=method, path=path, access=access, handler=handler, operation=INVITES_OPERATIONS[name])
            for method, path, access, handler, name in (
                ("GET", base, admin, self.list_invites, "list"),
                ("POST", base, admin, self.create, "create"),
                ("POST", f"{base}/bulk", admin, self.create_many, "create_many"),
                ("DELETE", f"{base}/:id", admin, self.remove, "remove"),
                ("POST", accept, AccessClass.PUBLIC, self.accept, "accept"),
            )
        ]

    async def list_invites(self, request: Request) -> Response:
        realm = AppRealm(request.app)
        rows = await realm.read(lambda session: _INVITES.select(session, order_by=("-created_at", "id")))
        return data([shown_invite(row, request.now) for row in rows])

    async def create(self, request: Request) -> Response:
        email = read_email(request.body.get("email"))
        roles = _read_roles(request.body)
        async with AppRealm(request.app).writing() as tx:
            row = await self._insert(tx, request, email, roles)
        return data(shown_invite(row, request.now), 201)

    async def create_many(self, request: Request) -> Response:
        """Each address by itself: what is wrong with one is reported and does not touch the others."""
        emails, roles = _read_emails(request.body.get("emails")), _read_roles(request.body)
        created: list[dict[str, Any]] = []
        skipped: list[dict[str, Any]] = []
        async with AppRealm(request.app).writing() as tx:
            for email in emails:
                try:
                    row = await self._insert_one_of_many(tx, request, email, roles)
                except (Conflict, ValidationFailed) as error:
                    skipped.append({"email": email, "reason": error.message})
                except RocketError as error:
                    skipped.append({"email": email, "reason": f"Insert failed: {error.message}"})
                else:
                    created.append({name: row[name] for name in ("id", "email", "token", "expires_at")})
        summary = {"total": len(emails), "created": len(created), "skipped": len(skipped)}
        return data({"created": created, "skipped": skipped, "summary": summary})

    async def remove(self, request: Request) -> Response:
        invite_id = read_id(request.params["id"])
        async with AppRealm(request.app).writing() as tx:
            if invite_id is None or not await _INVITES.delete(tx, {"id": invite_id}):
                raise NotFound(f"Invite not found: {request.params['id']}")
        return data({"id": invite_id, "deleted": True})

    async def accept(self, request: Request) -> Response:
        realm = AppRealm(request.app)
        token, password = _read_acceptance(request.body)
        # Hashing is slow; whoever comes too late learns so without it, even after having waited for it.
        await self._usable(realm, token, request.now)
        async with self.passwords.place() as hasher:
            invite = await self._usable(realm, token, request.now)
            hashed = await hasher.hash(password)
        new = NewUser(
            email=invite["email"],
            password_hash=hashed,
            roles=invite["roles"],
            must_change_password=password == DEFAULT_PASSWORD,
        )
        async with realm.writing() as tx:
            claimed = await _INVITES.update(
                tx,
                {"id": invite["id"], "accepted_at": None, "expires_at": Comparison(">", request.now)},
                {"accepted_at": request.now, "pending_email": None},
            )
            if not claimed:
                _require_usable(await _INVITES.first(tx, {"id": invite["id"]}), request.now)
            user = await insert_user(realm, tx, new, request.now)
            signed = await self.sessions.begin(realm, tx, user, datetime.fromisoformat(request.now))
        shown = {name: user[name] for name in ("id", "email", "roles")}
        return data({**signed.as_json(), "user": shown}, 201)

    async def _usable(self, realm: AppRealm, token: str, now: str) -> Row:
        row = await realm.read(lambda session: _INVITES.first(session, {"token": token}))
        return _require_usable(row, now)

    async def _insert_one_of_many(self, tx: Transaction, request: Request, email: str, roles: Sequence[str]) -> Row:
        if not is_email(email):
            raise ValidationFailed("email is not valid")
        async with tx.savepoint():
            return await self._insert(tx, request, email, roles)

    async def _insert(self, tx: Transaction, request: Request, email: str, roles: Sequence[str]) -> Row:
        """The stored row. Raises Conflict."""
        if await AppRealm.tables.users.first(tx, {"email": email}) is not None:
            raise Conflict(EXISTS)
        # One that has expired holds nothing back.
        expired = {"pending_email": email, "expires_at": Comparison("<=", request.now)}
        await _INVITES.update(tx, expired, {"pending_email": None})
        expires = datetime.fromisoformat(request.now) + timedelta(hours=self.settings.invite_ttl_h)
        row = {
            "id": str(uuid4()),
            "email": email,
            "roles": list(roles),
            "token": new_opaque_token(),
            "expires_at": expires.isoformat(timespec="milliseconds")[:23] + "Z",
            "accepted_at": None,
            "invited_by": request.actor.id,
            "created_at": request.now,
            "pending_email": email,
        }
        if not await _INVITES.try_insert(tx, row):
            raise Conflict(_PENDING)
        return row


def shown_invite(row: Row, now: str) -> dict[str, Any]:
    """A row as administrators see it: with its token only while that can be used."""
    pending = row["accepted_at"] is None and row["expires_at"] > now
    shown = {name: row[name] for name in _SHOWN}
    return shown if pending else {**shown, "token": None}


def _require_usable(row: Row | None, now: str) -> Row:
    """Raises NotFound and InviteUnusable."""
    if row is None:
        raise NotFound("Invalid invite token")
    if row["accepted_at"] is not None:
        raise InviteUnusable("Invite has already been accepted")
    if row["expires_at"] <= now:
        raise InviteUnusable("Invite has expired")
    return row


def _read_roles(body: Mapping[str, Any]) -> list[str]:
    roles = body.get("roles")
    return [] if roles is None else read_roles(roles)


def _read_emails(value: object) -> list[str]:
    """Normal forms, each once. Raises ValidationFailed, and InvalidPayload for U+0000."""
    if not isinstance(value, list) or not value:
        raise ValidationFailed("emails is required and must be a non-empty array")
    if len(value) > _MOST_AT_ONCE:
        raise ValidationFailed(f"emails must not contain more than {_MOST_AT_ONCE} entries")
    if not all(isinstance(email, str) and email.strip() for email in value):
        raise ValidationFailed("emails must not contain blank entries")
    return list(dict.fromkeys(normal_email(storable(email)) for email in value))


def _read_acceptance(body: Mapping[str, Any]) -> tuple[str, str]:
    """Token and password. Raises ValidationFailed."""
    token, password = body.get("token"), body.get("password")
    if not isinstance(token, str) or not token:
        raise ValidationFailed("token is required")
    if not isinstance(password, str) or not password:
        raise ValidationFailed("password is required")
    if "\x00" in token:
        raise NotFound("Invalid invite token")
    return token, require_allowed(password)
