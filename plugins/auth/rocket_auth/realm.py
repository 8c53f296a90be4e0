"""Where users sign in: an app, or the platform. Both work alike."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar

from rocket_auth.accounts import role_set
from rocket_auth.tables import OF_APPS, OF_PLATFORM, UserTables
from rocket_kernel import AppContext, Kernel, Registry, Request, Secret, Session, Transaction

T = TypeVar("T")

PLATFORM = "_platform"
"""Stands in tokens where an app's name stands."""


class Realm(Protocol):
    @property
    def name(self) -> str:
        """As tokens bear it."""
        ...

    @property
    def secret(self) -> Secret:
        """Signs the realm's access tokens."""
        ...

    @property
    def tables(self) -> UserTables: ...

    @property
    def ruling_role(self) -> str:
        """At least one active user must have it."""
        ...

    async def read(self, work: Callable[[Session], Coroutine[Any, Any, T]]) -> T:
        """The result of a read that awaits nothing but its session."""
        ...

    @asynccontextmanager
    def writing(self) -> AsyncIterator[Transaction]:
        """A transaction that commits when the block ends."""
        ...

    async def users_change(self, tx: Transaction) -> None:
        """To be called before a user's row is locked and changed: such transactions follow one another."""
        ...


@dataclass(frozen=True, slots=True)
class AppRealm:
    app: AppContext
    tables: ClassVar[UserTables] = OF_APPS
    ruling_role: ClassVar[str] = "admin"

    @property
    def name(self) -> str:
        return self.app.name

    @property
    def secret(self) -> Secret:
        return self.app.secret

    async def read(self, work: Callable[[Session], Coroutine[Any, Any, T]]) -> T:
        async def with_registry(session: Session, _registry: Registry) -> T:
            return await work(session)

        return await self.app.read(with_registry)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Transaction]:
        async with self.app.writing() as (tx, _registry):
            yield tx

    async def users_change(self, tx: Transaction) -> None:
        await self.app.callers_changed(tx)


@dataclass(frozen=True, slots=True)
class PlatformRealm:
    kernel: Kernel
    secret: Secret
    name: ClassVar[str] = PLATFORM
    tables: ClassVar[UserTables] = OF_PLATFORM
    ruling_role: ClassVar[str] = "platform_admin"

    async def read(self, work: Callable[[Session], Coroutine[Any, Any, T]]) -> T:
        return await self.kernel.apps.management.run(work)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Transaction]:
        async with self.kernel.apps.management.write() as tx:
            yield tx

    async def users_change(self, tx: Transaction) -> None:
        # The platform has few users, and nobody remembers them from one request to the next.
        await self.tables.users.select(tx, {"active": True}, order_by=("id",), lock=True)


@dataclass(slots=True)
class Realms:
    """All realms of one kernel. The platform's is there from the moment the management database is open."""

    _platform: PlatformRealm | None = None

    @property
    def platform(self) -> PlatformRealm:
        if self._platform is None:
            raise RuntimeError("the management database is not open yet")
        return self._platform

    @platform.setter
    def platform(self, platform: PlatformRealm) -> None:
        self._platform = platform

    def of(self, request: Request) -> Realm:
        """Whose users a route is about."""
        return AppRealm(request.app) if request.in_app else self.platform

    def of_caller(self, request: Request) -> Realm:
        """Where the caller has signed in, which for a route of an app may be the platform."""
        return self.platform if request.actor.platform else self.of(request)


def rules(realm: Realm, row: Mapping[str, Any]) -> bool:
    """Whether a user is one of those of whom one must remain."""
    return bool(row["active"]) and realm.ruling_role in role_set(row["roles"])
