"""Columns that only the engine sets: made with an item, changed without judging it again, the same in every process."""

from typing import ClassVar

from rocket_kernel import Column, ColumnType, MetadataKind, Plugin, Storage, Table, ValidationFailed, hookimpl
from rocket_kernel.testing import entity

TEXT, TIME = ColumnType(Storage.TEXT), ColumnType(Storage.TIMESTAMP)
KEYS = Table(
    "_keys",
    (
        Column("id", ColumnType(Storage.UUID), nullable=False),
        Column("name", TEXT, nullable=False),
        Column("secret", TEXT, nullable=False),
        Column("created_at", TIME, nullable=False),
        Column("updated_at", TIME, nullable=False),
    ),
    ("id",),
)


def parse(body, _model):
    if body.get("name") in (None, "bad"):
        raise ValidationFailed("name is required")
    return body["name"]


class Keys(Plugin):
    name = "keys"
    made: ClassVar[list[str]] = []

    @hookimpl
    def register_metadata_kinds(self):
        def generate():
            Keys.made.append(f"secret {len(Keys.made)}")
            return {"secret": Keys.made[-1]}

        return [
            MetadataKind(
                name="keys",
                singular="key",
                path="keys",
                noun="Key",
                table=KEYS,
                rank=150,
                parse=parse,
                load=lambda body, _model: body["name"],
                body=lambda row: {"name": row["name"]},
                row=lambda name: {"name": name},
                generate=generate,
                identity=lambda name: name,
                value=lambda name: name,
                export=lambda name: {"name": name},
                label=lambda body: str(body.get("name")),
            )
        ]


async def test_they_are_made_once_and_no_client_gives_them(start_kernel):
    Keys.made.clear()
    client = await (await start_kernel([Keys])).client.app("shop")
    made = await client.create("_admin/keys", {"name": "a", "secret": "mine"})
    assert made["secret"] == "secret 0"
    changed = (await client.put(f"_admin/keys/{made['id']}", {"name": "b", "secret": "mine"})).require(200).data
    assert (changed["name"], changed["secret"]) == ("b", "secret 0")
    imported = (await client.post("_admin/import", {"keys": [{"name": "c", "secret": "mine"}]})).require(200)
    assert imported.data["summary"]["keys"] == 1
    assert {row["secret"] for row in (await client.get("_admin/keys")).data} == {"secret 0", "secret 1"}


async def test_they_are_changed_for_every_process(start_kernel, clock):
    running, other = await start_kernel([Keys]), await start_kernel([Keys])
    client = await running.client.app("shop")
    made = await client.create("_admin/keys", {"name": "a"})
    beside = other.client.in_app("shop")
    await beside.get("_admin/keys")
    app = await running.kernel.apps.app("shop")
    revision = app.registry.revision
    clock.advance(seconds=1)
    async with app.changing() as catalog:
        kind = catalog.kinds.named("keys")
        # It is not judged again: what has become invalid since may still be changed.
        stored = await catalog.change_columns(kind, made["id"].upper(), {"secret": "new", "name": "bad"})
        assert (stored.item, stored.row["secret"]) == ("bad", "new")
    assert app.registry.revision == revision + 1
    await beside.define(entity("book"))
    seen = (await other.kernel.apps.app("shop")).registry.model.of("keys")[made["id"]]
    assert (seen.item, seen.row["secret"]) == ("bad", "new")
    assert seen.row["updated_at"] > made["updated_at"]
