"""Hook implementations of the auth plugin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import click

from rocket_auth.attempts import AttemptLimit
from rocket_auth.callers import identify
from rocket_auth.client_address import parse_proxies
from rocket_auth.commands import users
from rocket_auth.invites import Invites
from rocket_auth.passwords import COST, Passwords
from rocket_auth.permissions.hooks import PermissionHooks
from rocket_auth.realm import PlatformRealm, Realms
from rocket_auth.seeds import require_own_passwords, seed_app, seed_platform
from rocket_auth.sessions import Sessions
from rocket_auth.settings import AuthSettings
from rocket_auth.sign_in import SignIn
from rocket_auth.tables import APP_TABLES, PLATFORM_TABLES
from rocket_auth.tokens import SHORTEST_SECRET
from rocket_auth.users import Users
from rocket_kernel import (
    Actor,
    AppContext,
    Kernel,
    Listening,
    Plugin,
    Request,
    Route,
    Secret,
    StartupError,
    Table,
    Transaction,
    hookimpl,
    kept_secret,
)


class AuthPlugin(PermissionHooks, Plugin):
    """Users, tokens, invites and permissions.

    `hash_cost` is no setting, so that nobody weakens passwords by configuration; tests subclass the plugin.
    """

    name = "auth"
    version = "0.1.0"
    Settings = AuthSettings
    hash_cost: ClassVar[int] = COST

    def __init__(self, settings: AuthSettings | None = None) -> None:
        super().__init__(settings or AuthSettings())
        chosen: AuthSettings = self.settings
        self.realms = Realms()
        self.passwords = Passwords(self.hash_cost)
        sessions = Sessions(chosen)
        limit = AttemptLimit(chosen.rate_limit_attempts, chosen.rate_limit_window_s)
        proxies = parse_proxies(chosen.trusted_proxies)
        self._sign_in = SignIn(self.realms, self.passwords, sessions, limit, proxies)
        self._users = Users(self.realms, self.passwords)
        self._invites = Invites(chosen, self.passwords, sessions)

    @hookimpl
    def register_tables(self) -> Sequence[Table]:
        return APP_TABLES

    @hookimpl
    def register_platform_tables(self) -> Sequence[Table]:
        return PLATFORM_TABLES

    @hookimpl
    def register_routes(self) -> Sequence[Route]:
        return [*self._sign_in.routes(), *self._users.routes(), *self._invites.routes()]

    @hookimpl
    def register_commands(self) -> Sequence[click.Command]:
        return [users]

    @hookimpl
    async def authenticate(self, request: Request) -> Actor | None:
        return await identify(request, self.realms.platform)

    @hookimpl
    async def on_platform_opened(self, kernel: Kernel, tx: Transaction) -> None:
        secret = kernel.parts.config.platform_jwt_secret or await kept_secret(tx, "platform_jwt_secret")
        self.realms.platform = PlatformRealm(kernel, _long_enough(secret))
        await seed_platform(self.realms.platform, tx, self.passwords)

    @hookimpl
    async def on_listening(self, kernel: Kernel, listening: Listening) -> None:
        await require_own_passwords(kernel, self.realms.platform, listening)

    @hookimpl
    async def on_app_created(self, app: AppContext, tx: Transaction, shown_once: dict[str, Any]) -> None:
        made_up = await seed_app(app, tx, self.passwords)
        if made_up is not None:
            shown_once["admin_password"] = made_up


def _long_enough(secret: Secret) -> Secret:
    """Raises StartupError."""
    if len(secret.reveal().encode("utf-8", "surrogatepass")) < SHORTEST_SECRET:
        raise StartupError(f"platform_jwt_secret must have at least {SHORTEST_SECRET} bytes")
    return secret
