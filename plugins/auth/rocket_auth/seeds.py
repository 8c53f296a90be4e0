"""The first users, and the watch over their well-known password (contract §10.3)."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from collections.abc import Sequence

from rocket_auth.passwords import DEFAULT_PASSWORD, Passwords, require_allowed
from rocket_auth.realm import AppRealm, PlatformRealm, Realm
from rocket_auth.users import NewUser, insert_user
from rocket_kernel import (
    AppContext,
    AppNotFound,
    Kernel,
    Listening,
    StartupError,
    Transaction,
    ValidationFailed,
    listens_beyond_loopback,
    timestamp_text,
)

logger = logging.getLogger(__name__)

PLATFORM_EMAIL, PLATFORM_VARIABLE = "platform@localhost", "ROCKET_PLATFORM_PASSWORD"
ADMIN_EMAIL, ADMIN_VARIABLE = "admin@localhost", "ROCKET_ADMIN_PASSWORD"
_RANDOM_BYTES = 15


def given_password(variable: str) -> str | None:
    """The password that the environment asks for. Raises StartupError for one that is not allowed."""
    password = os.environ.get(variable)
    if not password:
        return None
    try:
        return require_allowed(password)
    except ValidationFailed as error:
        raise StartupError(f"{variable}: {error.message}") from error


async def seed_platform(realm: PlatformRealm, tx: Transaction, passwords: Passwords) -> None:
    """The first platform user, unless there is one. Raises StartupError."""
    for variable in (PLATFORM_VARIABLE, ADMIN_VARIABLE):
        given_password(variable)
    if await realm.tables.users.count(tx):
        return
    password = given_password(PLATFORM_VARIABLE) or DEFAULT_PASSWORD
    now = timestamp_text(realm.kernel.parts.clock.now())
    await _seed(realm, tx, passwords, PLATFORM_EMAIL, password, now)
    if password == DEFAULT_PASSWORD:
        logger.warning("the platform user %s has the password %r: change it", PLATFORM_EMAIL, DEFAULT_PASSWORD)


async def seed_app(app: AppContext, tx: Transaction, passwords: Passwords) -> str | None:
    """The first user of a new app. The password, when it was made up and must be shown."""
    realm = AppRealm(app)
    if await realm.tables.users.count(tx):
        return None
    made_up = None
    password = given_password(ADMIN_VARIABLE)
    if password is None and await asyncio.to_thread(listens_beyond_loopback, app.parts.config):
        password = made_up = secrets.token_urlsafe(_RANDOM_BYTES)
    now = timestamp_text(app.parts.clock.now())
    await _seed(realm, tx, passwords, ADMIN_EMAIL, password or DEFAULT_PASSWORD, now)
    return made_up


async def _seed(realm: Realm, tx: Transaction, passwords: Passwords, email: str, password: str, now: str) -> None:
    new = NewUser(
        email=email,
        password_hash=await passwords.hash(password),
        roles=[realm.ruling_role],
        must_change_password=password == DEFAULT_PASSWORD,
    )
    await insert_user(realm, tx, new, now)


async def require_own_passwords(kernel: Kernel, platform: PlatformRealm, listening: Listening) -> None:
    """Raises StartupError when strangers could sign in with a password that everybody knows."""
    if listening.address.is_loopback or listening.allow_default_passwords:
        return
    found = [f"{email} (platform)" for email in await _with_default_password(platform)]
    for row in await kernel.apps.rows():
        if row["status"] == "active":
            found += [f"{email} (app {row['name']})" for email in await _in_app(kernel, row["name"])]
    if found:
        raise StartupError(
            f"cannot listen on {listening.address} while these accounts have the default password: {', '.join(found)}. "
            "Change it with `rocket users set-password`, or start with --allow-default-passwords"
        )


async def _in_app(kernel: Kernel, name: str) -> Sequence[str]:
    try:
        app = await kernel.apps.app(name)
    except AppNotFound:  # it cannot be loaded, so nobody can sign in either
        return ()
    try:
        return await _with_default_password(AppRealm(app))
    finally:
        # There may be many, and each holds a connection.
        await kernel.apps.close(name)


async def _with_default_password(realm: Realm) -> list[str]:
    where = {"active": True, "must_change_password": True}
    users = realm.tables.users
    rows = await realm.read(lambda session: users.select(session, where, order_by=("email",)))
    return [row["email"] for row in rows]
