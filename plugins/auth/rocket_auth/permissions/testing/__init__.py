"""For tests: an app whose callers are named by a header, and permission rows in one line each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rocket_auth.testing import QuickAuth
from rocket_kernel import Actor
from rocket_kernel.testing import Actors, Client, RunningKernel, StartKernel

PLUGINS = (Actors, QuickAuth)


@dataclass(frozen=True, slots=True)
class Office:
    """An app, and its administrator. Nobody has to sign in: the test plugin `Actors` believes what a header says."""

    running: RunningKernel
    admin: Client

    def caller(self, *roles: str, id: str | None = None, email: str | None = None) -> Client:
        return self.admin.as_actor(Actor(id=id, email=email, roles=frozenset(roles)))

    async def allow(
        self, entity: str, action: str, *roles: str, when: Sequence[tuple[str, str, Any]] = (), **fields: list[str]
    ) -> dict[str, Any]:
        """Store a permission row. `when` has conditions as triples; `fields` is `include=[…]` or `exclude=[…]`."""
        made: dict[str, Any] = await self.admin.create(
            "_admin/permissions", permission(entity, action, *roles, when=when, **fields)
        )
        return made


def permission(
    entity: str, action: str, *roles: str, when: Sequence[tuple[str, str, Any]] = (), **fields: list[str]
) -> dict[str, Any]:
    """The body of a permission row."""
    conditions = [{"field": field, "operator": operator, "value": value} for field, operator, value in when]
    row = {"entity": entity, "action": action, "roles": list(roles)}
    return {**row, "conditions": conditions, "fields": fields or None}


async def open_office(start_kernel: StartKernel, app: str = "shop") -> Office:
    running = await start_kernel(PLUGINS)
    return Office(running, await running.client.app(app))
