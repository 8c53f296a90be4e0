"""What tests of and beside this plugin sign in with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from rocket_auth.plugin import AuthPlugin
from rocket_kernel.testing import Answer, Client, FakeClock, RunningKernel, StartKernel


class QuickAuth(AuthPlugin):
    """With the least work that bcrypt knows: tests sign in often."""

    hash_cost: ClassVar[int] = 4


SECRET = "correct horse"  # noqa: S105  # of users who exist in tests alone
PLATFORM = {"email": "platform@localhost", "password": "changeme"}
ADMIN = {"email": "admin@localhost", "password": "changeme"}


def bearer(token: str) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def login(client: Client, email: str, password: str) -> Answer:
    """`client` is bound to an app, or to none for the platform."""
    base = "auth" if client.app_name else "/api/_platform/auth"
    return await client.post(f"{base}/login", {"email": email, "password": password})


async def signed_in(client: Client, email: str, password: str) -> Client:
    """The same client with the access token of a new sign-in."""
    return client.with_headers(bearer((await login(client, email, password)).require(200).data["access_token"]))


@dataclass(frozen=True, slots=True)
class House:
    """A kernel with the plugin, the platform's administrator, and an app with its administrator."""

    running: RunningKernel
    platform: Client
    """Of the platform's administrator, bound to no app."""
    admin: Client
    """Of the administrator of the app `shop`."""
    clock: FakeClock

    @property
    def stranger(self) -> Client:
        """Nobody yet, bound to `shop`."""
        return self.running.client.in_app("shop")

    async def user(self, email: str, *roles: str, password: str = SECRET, **more: Any) -> Client:
        """A new user of `shop`, signed in."""
        body = {"email": email, "password": password, "roles": list(roles), **more}
        (await self.admin.post("_admin/users", body)).require(201)
        return await signed_in(self.stranger, email, password)

    async def login(self, email: str, password: str) -> Answer:
        """To `shop`."""
        return await login(self.stranger, email, password)

    async def row(self, email: str) -> dict[str, Any]:
        """A user of `shop` as the administrator sees it."""
        return next(row for row in (await self.admin.get("_admin/users")).data if row["email"] == email)

    async def change(self, email: str, **values: Any) -> Answer:
        row = await self.row(email)
        return await self.admin.put(f"_admin/users/{row['id']}", {"email": email, **values})


async def build_house(start_kernel: StartKernel, clock: FakeClock, **options: Any) -> House:
    """A house with settings or configuration of its own; see `StartKernel`."""
    running = await start_kernel([QuickAuth], **options)
    platform = await signed_in(running.client, **PLATFORM)
    made = await platform.post("/api/_platform/apps", {"name": "shop"})
    password = made.require(201).data.get("admin_password", ADMIN["password"])
    admin = await signed_in(running.client.in_app("shop"), ADMIN["email"], password)
    return House(running, platform, admin, clock)
