"""An app with an entity of every sort, described by a kernel with every plugin that is installed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from rocket_auth.permissions.testing import permission
from rocket_auth.testing import PLATFORM, SECRET, QuickAuth, signed_in
from rocket_kernel.plugins import Plugin, installed_plugins
from rocket_kernel.testing import Client, RunningKernel, entity, many_to_many, one_to_many, one_to_one


def all_plugins() -> list[type[Plugin]]:
    return [QuickAuth if plugin.name == "auth" else plugin for plugin in installed_plugins()]


ENTITIES = [
    entity("author", {"description": "Who writes."}, name="string! unique", born="date", slug="string unique"),
    entity("profile", author_id="uuid", text="text", seen="timestamp auto=update"),
    entity(
        "book",
        {"soft_delete": True, "audit": True, "slug": {"field": "slug", "source": "title"}},
        title={"name": "title", "type": "string", "required": True, "description": "As on the cover."},
        slug="string unique",
        author_id="uuid",
        price="decimal:2",
        pages="int",
        copies="bigint",
        weight="float",
        ready="boolean",
        state="string! enum=draft|sold default=draft",
        meta="json",
        cover="file",
        made="timestamp auto=create",
        cost={"name": "cost", "type": "decimal", "sensitive": True},
    ),
    entity("tag", id="int", name="string!"),
    entity("vault", code="string! unique", note="text"),
]
RELATIONS = [
    one_to_many("books", "author", "book", on_delete="cascade"),
    one_to_one("profile", "author", "profile", "author_id"),
    many_to_many("tags", "book", "tag"),
    many_to_many("kept", "vault", "book"),
]
MACHINE = {
    "entity": "book",
    "field": "state",
    "definition": {"initial": "draft", "transitions": [{"from": "draft", "to": "sold"}]},
}
RULE = {
    "entity": "book",
    "hook": "before_write",
    "type": "field",
    "definition": {"field": "pages", "operator": "min", "value": 1},
}
WORKFLOW = {
    "name": "reading",
    "trigger": {"type": "manual", "roles": ["clerk"]},
    "context": {},
    "steps": [{"id": "wait", "type": "approval", "assignee": {"type": "role", "role": "clerk"}}],
}
PERMISSIONS = [
    permission("book", "read", "clerk", exclude=["cost"]),
    permission("book", "update", "clerk", include=["price", "state"]),
    permission("author", "read", "clerk"),
    permission("tag", "read", "clerk"),
    permission("tag", "create", "clerk"),
]
SAMPLE = {
    "author": [{"id": "0c7d3a52-2f43-4a6e-9b64-6d2f3c1f0001", "name": "Ann", "slug": "ann"}],
    "book": [
        {
            "id": "0c7d3a52-2f43-4a6e-9b64-6d2f3c1f0002",
            "title": "One",
            "slug": "one",
            "author_id": "0c7d3a52-2f43-4a6e-9b64-6d2f3c1f0001",
            "price": "9.50",
            "state": "draft",
            "meta": {"a": [1]},
        }
    ],
    "tag": [{"id": 1, "name": "new"}],
}


def document() -> dict[str, Any]:
    return {
        "entities": ENTITIES,
        "relations": RELATIONS,
        "rules": [RULE],
        "state_machines": [MACHINE],
        "workflows": [WORKFLOW],
        "permissions": PERMISSIONS,
        "ui_configs": [{"entity": "_app", "config": {"title": "Shop"}}],
        "sample_data": SAMPLE,
    }


@dataclass(frozen=True, slots=True)
class Shop:
    running: RunningKernel
    admin: Client

    @property
    def stranger(self) -> Client:
        return self.running.client.in_app("shop")

    async def user(self, *roles: str) -> Client:
        email = f"{'-'.join(roles) or 'none'}@example.com"
        await self.admin.create("_admin/users", {"email": email, "password": SECRET, "roles": list(roles)})
        return await signed_in(self.stranger, email, SECRET)

    async def described(self, client: Client) -> dict[str, Any]:
        """The document, as the client gets it."""
        found: dict[str, Any] = (await client.get("_openapi.json")).require(200).json
        return found


async def furnish(running: RunningKernel) -> Shop:
    platform = await signed_in(running.client, **PLATFORM)
    admin = await platform.app("shop")
    imported = (await admin.post("_admin/import", document())).require(200).data
    assert "errors" not in imported, imported
    return Shop(running, admin)


@pytest.fixture
async def shop(start_kernel: Any) -> Shop:
    return await furnish(await start_kernel(all_plugins()))


@pytest.fixture
async def both_shops(start_on_both: Any) -> list[Shop]:
    """The same app on each database."""
    return [await furnish(running) for running in await start_on_both(all_plugins())]


@pytest.fixture(scope="session")
def known_ids() -> dict[str, str]:
    """By entity: the id of a record that is there."""
    return {name: str(rows[0]["id"]) for name, rows in SAMPLE.items()}
