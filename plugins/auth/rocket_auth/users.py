"""Users as administrators see and change them: `_admin/users` of an app, and those of the platform (contract §10.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from rocket_auth.accounts import read_email, read_id, read_roles, shown_user
from rocket_auth.described import USERS_OPERATIONS
from rocket_auth.passwords import DEFAULT_PASSWORD, Passwords, require_allowed
from rocket_auth.realm import Realm, Realms, rules
from rocket_auth.sign_in import set_password
from rocket_kernel import (
    AccessClass,
    Conflict,
    NotFound,
    Request,
    Response,
    Route,
    Transaction,
    UniqueViolation,
    ValidationFailed,
    data,
)

EXISTS = "A user with this email already exists"
_LAST = "The last active admin cannot be removed or demoted"

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NewUser:
    """A row to be, but for its id and times."""

    email: str
    password_hash: str
    roles: list[str]
    active: bool = True
    must_change_password: bool = False


@dataclass(frozen=True, slots=True)
class Users:
    realms: Realms
    passwords: Passwords

    def routes(self) -> list[Route]:
        found = []
        for base, access in (
            ("/api/_platform/users", AccessClass.PLATFORM_ADMIN),
            ("/api/:app/_admin/users", AccessClass.ADMIN),
        ):
            for method, path, handler, name in (
                ("GET", base, self.list_users, "list"),
                ("POST", base, self.create, "create"),
                ("GET", f"{base}/:id", self.get, "get"),
                ("PUT", f"{base}/:id", self.replace, "replace"),
                ("DELETE", f"{base}/:id", self.remove, "remove"),
            ):
                does = USERS_OPERATIONS[name]
                found.append(Route(method=method, path=path, access=access, handler=handler, operation=does))
        return found

    async def list_users(self, request: Request) -> Response:
        realm = self.realms.of(request)
        rows = await realm.read(lambda session: realm.tables.users.select(session, order_by=("email",)))
        return data([shown_user(row) for row in rows])

    async def get(self, request: Request) -> Response:
        return data(shown_user(await _user(self.realms.of(request), request.params["id"])))

    async def create(self, request: Request) -> Response:
        realm, body = self.realms.of(request), request.body
        email = read_email(body.get("email"))
        password = _read_password(body.get("password"))
        if password is None:
            raise ValidationFailed("password is required")
        default_roles = [] if request.in_app else [realm.ruling_role]
        roles, active = _read_roles(body), _read_active(body)
        new = NewUser(
            email=email,
            password_hash=await self.passwords.hash(password),
            roles=default_roles if roles is None else roles,
            active=True if active is None else active,
            must_change_password=password == DEFAULT_PASSWORD,
        )
        async with realm.writing() as tx:
            row = await insert_user(realm, tx, new, request.now)
        return data(shown_user(row), 201)

    async def replace(self, request: Request) -> Response:
        realm, body = self.realms.of(request), request.body
        user_id = (await _user(realm, request.params["id"]))["id"]
        changes: dict[str, object] = {"email": read_email(body.get("email"))}
        roles, active = _read_roles(body), _read_active(body)
        if roles is not None:
            changes["roles"] = roles
        if active is not None:
            changes["active"] = active
        password = _read_password(body.get("password"))
        hashed = "" if password is None else await self.passwords.hash(password)
        try:
            async with realm.writing() as tx:
                row = await _locked(realm, tx, user_id)
                if not rules(realm, {**row, **changes}):
                    await _require_other_ruler(realm, tx, row)
                await realm.tables.users.update(tx, {"id": user_id}, {**changes, "updated_at": request.now})
                if password is not None:
                    await set_password(realm, tx, user_id, password, hashed, request.now)
                changed = await realm.tables.users.first(tx, {"id": user_id})
        except UniqueViolation as error:
            raise Conflict(EXISTS) from error
        return data(shown_user(changed or row))

    async def remove(self, request: Request) -> Response:
        realm = self.realms.of(request)
        user_id = (await _user(realm, request.params["id"]))["id"]
        async with realm.writing() as tx:
            row = await _locked(realm, tx, user_id)
            await _require_other_ruler(realm, tx, row)
            await realm.tables.users.delete(tx, {"id": user_id})
        return data({"id": user_id, "deleted": True})


async def insert_user(realm: Realm, tx: Transaction, new: NewUser, now: str) -> Row:
    """The stored row. Raises Conflict when the address is taken."""
    row = {
        "id": str(uuid4()),
        "email": new.email,
        "password_hash": new.password_hash,
        "roles": new.roles,
        "active": new.active,
        "must_change_password": new.must_change_password,
        "generation": 0,
        "created_at": now,
        "updated_at": now,
    }
    if not await realm.tables.users.try_insert(tx, row):
        raise Conflict(EXISTS)
    return row


async def _user(realm: Realm, id_text: str) -> Row:
    """Raises NotFound."""
    user_id = read_id(id_text)
    row = None
    if user_id is not None:
        row = await realm.read(lambda session: realm.tables.users.first(session, {"id": user_id}))
    if row is None:
        raise NotFound(f"User not found: {id_text}")
    return row


async def _locked(realm: Realm, tx: Transaction, user_id: str) -> Row:
    """A row that is about to change, with all other changes of users held up. Raises NotFound."""
    await realm.users_change(tx)
    row = await realm.tables.users.first(tx, {"id": user_id}, lock=True)
    if row is None:
        raise NotFound(f"User not found: {user_id}")
    return row


async def _require_other_ruler(realm: Realm, tx: Transaction, row: Row) -> None:
    """Raises Conflict when the row is the last one of its kind."""
    if not rules(realm, row):
        return
    active = await realm.tables.users.select(tx, {"active": True})
    if not any(rules(realm, other) for other in active if other["id"] != row["id"]):
        raise Conflict(_LAST)


def _read_roles(body: Mapping[str, Any]) -> list[str] | None:
    roles = body.get("roles")
    return None if roles is None else read_roles(roles)


def _read_active(body: Mapping[str, Any]) -> bool | None:
    active = body.get("active")
    if active is not None and not isinstance(active, bool):
        raise ValidationFailed("active must be true or false")
    return active


def _read_password(value: object) -> str | None:
    """None for an absent or empty one. Raises ValidationFailed."""
    if value is None or value == "":
        return None
    return require_allowed(value if isinstance(value, str) else "")
