"""Signing in and out, for apps and for the platform alike (contract §10.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rocket_auth.accounts import normal_email
from rocket_auth.attempts import Attempt, AttemptLimit, account_name
from rocket_auth.client_address import FORWARDED, Network, client_address
from rocket_auth.described import SIGN_IN
from rocket_auth.passwords import DEFAULT_PASSWORD, Passwords, require_allowed
from rocket_auth.realm import Realm, Realms
from rocket_auth.sessions import DISABLED, Sessions, end_all, signed_in
from rocket_kernel import (
    AccessClass,
    Forbidden,
    Increment,
    Request,
    Response,
    Route,
    Session,
    Transaction,
    Unauthorized,
    ValidationFailed,
    data,
    json_response,
)

_WRONG = "Invalid email or password"

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SignIn:
    realms: Realms
    passwords: Passwords
    sessions: Sessions
    limit: AttemptLimit
    proxies: tuple[Network, ...]

    def routes(self) -> list[Route]:
        found = []
        for base, signed_in_user in (
            ("/api/_platform/auth", AccessClass.PLATFORM_USER),
            ("/api/:app/auth", AccessClass.AUTHENTICATED),
        ):
            for method, name, access, handler in (
                ("POST", "login", AccessClass.PUBLIC, self.login),
                ("POST", "refresh", AccessClass.PUBLIC, self.refresh),
                ("POST", "logout", AccessClass.PUBLIC, self.logout),
                ("GET", "me", signed_in_user, self.me),
                ("POST", "change-password", signed_in_user, self.change_password),
            ):
                path, does = f"{base}/{name}", SIGN_IN[name]
                found.append(Route(method=method, path=path, access=access, handler=handler, operation=does))
        return found

    async def login(self, request: Request) -> Response:
        realm = self.realms.of(request)
        email, password = _credentials(request.body)
        attempt = self._attempt(request, email)
        email = attempt.account
        user = await self._user_to_try(realm, attempt, {"email": email})
        right = await self.passwords.matches(password, None if user is None else user["password_hash"])
        async with realm.writing() as tx:
            recent = await self.limit.enter(realm, tx, attempt)
            # Looked up for every outcome, so that all of them take the same time.
            now_stored = await realm.tables.users.first(tx, {"email": email}, lock=True)
            found = now_stored if right and _same_password(user, now_stored) else None
            if found is not None and found["active"]:
                await self.limit.succeeded(realm, tx, attempt)
                answer = signed_in(await self.sessions.begin(realm, tx, found, attempt.now), found)
            else:
                await self.limit.failed(realm, tx, attempt, recent)
                answer = None
        if answer is not None:
            return data(answer)
        await self.limit.tidy(realm, attempt.now)
        raise Unauthorized(_WRONG if found is None else DISABLED)

    async def refresh(self, request: Request) -> Response:
        token = _refresh_token(request.body)
        return data(await self.sessions.rotate(self.realms.of(request), token, datetime.fromisoformat(request.now)))

    async def logout(self, request: Request) -> Response:
        await self.sessions.end(self.realms.of(request), _refresh_token(request.body))
        return json_response({"message": "Logged out"})

    async def me(self, request: Request) -> Response:
        """A platform user in an app sees the roles that count there."""
        realm, actor = self.realms.of_caller(request), request.actor
        user = await realm.read(lambda session: realm.tables.users.first(session, {"id": actor.id}))
        if user is None:
            raise Unauthorized("Invalid or expired token")
        roles = sorted(actor.roles) if request.in_app and actor.platform else user["roles"]
        shown = {"id": user["id"], "email": user["email"], "roles": roles}
        return data({**shown, "must_change_password": user["must_change_password"]})

    async def change_password(self, request: Request) -> Response:
        if request.in_app and request.actor.platform:
            raise Forbidden("Platform users change their password on the platform")
        realm = self.realms.of(request)
        current, new = request.body.get("current_password"), request.body.get("new_password")
        if not isinstance(current, str) or not current:
            raise ValidationFailed("Current password is incorrect")
        new = require_allowed(new if isinstance(new, str) else "")
        attempt = self._attempt(request, request.actor.email or "")
        user = await self._user_to_try(realm, attempt, {"id": request.actor.id})
        right = await self.passwords.matches(current, None if user is None else user["password_hash"])
        hashed = await self.passwords.hash(new) if right else ""
        async with realm.writing() as tx:
            recent = await self.limit.enter(realm, tx, attempt)
            if right:
                await realm.users_change(tx)
            now_stored = await realm.tables.users.first(tx, {"id": request.actor.id}, lock=True)
            found = now_stored if right and _same_password(user, now_stored) else None
            if found is not None:
                await self.limit.succeeded(realm, tx, attempt)
                user = await set_password(realm, tx, found["id"], new, hashed, request.now)
                answer = signed_in(await self.sessions.begin(realm, tx, user, attempt.now), user)
            else:
                await self.limit.failed(realm, tx, attempt, recent)
                answer = None
        if answer is None:
            raise ValidationFailed("Current password is incorrect")
        return data(answer)

    async def _user_to_try(self, realm: Realm, attempt: Attempt, where: Mapping[str, object]) -> Row | None:
        """The row against whose password the attempt goes. Raises RateLimited."""

        async def work(session: Session) -> Row | None:
            await self.limit.require_open(realm, session, attempt)
            return await realm.tables.users.first(session, where)

        return await realm.read(work)

    def _attempt(self, request: Request, email: str) -> Attempt:
        address = client_address(request.peer, request.headers.get(FORWARDED), self.proxies)
        return Attempt(account_name(email), address, datetime.fromisoformat(request.now))


async def set_password(realm: Realm, tx: Transaction, user_id: str, password: str, hashed: str, now: str) -> Row:
    """Store a new password and end all sessions; the row after that.

    Inside a transaction that has called `users_change` and locked the row.
    """
    users = realm.tables.users
    values = {
        "password_hash": hashed,
        "must_change_password": password == DEFAULT_PASSWORD,
        "generation": Increment(),
        "updated_at": now,
    }
    await users.update(tx, {"id": user_id}, values)
    await end_all(realm, tx, user_id)
    row = await users.first(tx, {"id": user_id})
    if row is None:
        raise Unauthorized("Invalid or expired token")
    return row


def _credentials(body: Mapping[str, Any]) -> tuple[str, str]:
    """Raises Unauthorized."""
    email, password = body.get("email"), body.get("password")
    if not isinstance(email, str) or not isinstance(password, str) or not email.strip() or not password:
        raise Unauthorized("Email and password are required")
    return normal_email(email), password


def _refresh_token(body: Mapping[str, Any]) -> str:
    """Raises Unauthorized."""
    token = body.get("refresh_token")
    if not isinstance(token, str) or not token:
        raise Unauthorized("Refresh token is required")
    return token


def _same_password(tried: Row | None, stored: Row | None) -> bool:
    """Whether the password that was judged is still the one."""
    return tried is not None and stored is not None and tried["password_hash"] == stored["password_hash"]
