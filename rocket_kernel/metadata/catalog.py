"""Changing metadata: rows, tables and model together, inside one transaction of the app's database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from rocket_kernel.errors import NotFound, ValidationFailed
from rocket_kernel.metadata.kinds import Body, Change, MetadataKind, Stored
from rocket_kernel.metadata.model import ENTITIES, RELATIONS, Model
from rocket_kernel.store.columns import Table
from rocket_kernel.store.migrate import apply_table, empty_column
from rocket_kernel.store.protocol import Session, Transaction
from rocket_kernel.store.table_rows import TableRows


@dataclass(frozen=True, slots=True)
class Kinds:
    """All declared kinds, in the order of their rank."""

    ordered: tuple[MetadataKind[Any], ...]

    def named(self, name: str) -> MetadataKind[Any] | None:
        return next((kind for kind in self.ordered if kind.name == name), None)


async def load_model(session: Session, kinds: Kinds, empty: Model) -> Model:
    """`empty` with everything stored. Raises ValidationFailed for a definition that can no longer be read."""
    model = empty
    for kind in kinds.ordered:
        load = kind.load or kind.parse
        for row in await TableRows(kind.table).select(session, order_by=kind.order_by):
            model = model.including(kind.name, Stored(row[kind.key], load(kind.body(row), model), row))
    return model


def not_found(kind: MetadataKind[Any], key: str) -> NotFound:
    return NotFound(f"{kind.noun} not found: {key}")


def stored_item(kind: MetadataKind[Any], key: str, model: Model) -> Stored[Any]:
    """The item of a path; ids compare without regard to case. Raises NotFound."""
    stored = model.of(kind.name).get(key if kind.key == "name" else key.lower())
    if stored is None:
        raise not_found(kind, key)
    return stored


@dataclass(slots=True)
class Catalog:
    """The metadata of one app while it is being changed. `model` always matches what the transaction holds."""

    tx: Transaction
    kinds: Kinds
    model: Model
    now: str
    ddl: list[str] = field(default_factory=list)
    """Statements run on tables so far."""

    async def create(self, kind: MetadataKind[Any], body: Body) -> Stored[Any]:
        """Raises ValidationFailed or Conflict; then the caller's savepoint or transaction must be undone."""
        item = kind.parse(body, self.model)
        kind.check(item, None, self.model)
        row = {**kind.row(item), **kind.generate(), "created_at": self.now, "updated_at": self.now}
        if kind.key == "id":
            row["id"] = str(uuid4())
        if kind.ordinal is not None:
            taken = [stored.row[kind.ordinal] for stored in self.model.of(kind.name).values()]
            row[kind.ordinal] = 1 + max(taken, default=0)
        stored_row = await TableRows(kind.table).insert(self.tx, row)
        stored = Stored(stored_row[kind.key], item, stored_row)
        self.model = self.model.including(kind.name, stored)
        await self._tell(kind, None, stored)
        await self._migrate(kind.tables(item, self.model), kind, item)
        return stored

    async def replace(self, kind: MetadataKind[Any], key: str, body: Body) -> Stored[Any]:
        """Raises NotFound, ValidationFailed or Conflict."""
        former = stored_item(kind, key, self.model)
        others = self.model.without(kind.name, former.key)
        if kind.partial_update:
            body = {**kind.body(former.row), **body}
        if kind.key == "name":
            body = {**body, "name": former.key}
        item = kind.parse(body, self.model if kind.name != ENTITIES else others)
        kind.check(item, former.item, others)
        row = {**kind.row(item), **kind.revise(item, former), "updated_at": self.now}
        rows = TableRows(kind.table)
        await rows.update(self.tx, {kind.key: former.key}, row)
        stored_row = await rows.first(self.tx, {kind.key: former.key})
        if stored_row is None:
            raise not_found(kind, key)
        stored = Stored(former.key, item, stored_row)
        self.model = others.including(kind.name, stored)
        if kind.name == ENTITIES:
            self._check_uses(former, stored)
        await self._tell(kind, former, stored)
        await self._migrate(kind.tables(item, self.model), kind, item)
        await self._migrate(kind.tables_without(former.item, self.model), kind, item)
        # After the migration, which tells better what is wrong with values that were hidden so far.
        for table, column in kind.emptied(item, former.item):
            await empty_column(self.tx, table, column)
        return stored

    async def change_columns(self, kind: MetadataKind[Any], key: str, values: Mapping[str, Any]) -> Stored[Any]:
        """Set columns of an item that is not judged again, such as what only the engine sets. Raises NotFound."""
        stored = stored_item(kind, key, self.model)
        changed = {**values, "updated_at": self.now}
        await TableRows(kind.table).update(self.tx, {kind.key: stored.key}, changed)
        row = {**stored.row, **changed}
        again = Stored(stored.key, (kind.load or kind.parse)(kind.body(row), self.model), row)
        self.model = self.model.including(kind.name, again)
        await self._tell(kind, stored, again)
        return again

    async def remove(self, kind: MetadataKind[Any], key: str) -> Stored[Any]:
        """Delete an item, with an entity also what belongs to it. Tables and data stay. Raises NotFound."""
        stored = stored_item(kind, key, self.model)
        gone = await self._orphan(stored.key) if kind.name == ENTITIES else []
        gone.append((kind, stored.item))
        await TableRows(kind.table).delete(self.tx, {kind.key: stored.key})
        self.model = self.model.without(kind.name, stored.key)
        await self._tell(kind, stored, None)
        for gone_kind, item in gone:
            await self._migrate(gone_kind.tables_without(item, self.model), gone_kind, item)
        return stored

    async def _orphan(self, entity: str) -> list[tuple[MetadataKind[Any], Any]]:
        """Delete or change what belongs to an entity; what was deleted."""
        gone: list[tuple[MetadataKind[Any], Any]] = []
        for kind in reversed(self.kinds.ordered):
            if kind.name == ENTITIES:
                continue
            for stored in list(self.model.of(kind.name).values()):
                if entity not in kind.entities(stored.item):
                    continue
                if kind.orphaned is None:
                    await TableRows(kind.table).delete(self.tx, {kind.key: stored.key})
                    self.model = self.model.without(kind.name, stored.key)
                    await self._tell(kind, stored, None)
                    gone.append((kind, stored.item))
                elif values := kind.orphaned(stored.item):
                    await self.change_columns(kind, stored.key, values)
        return gone

    async def _tell(self, kind: MetadataKind[Any], former: Stored[Any] | None, stored: Stored[Any] | None) -> None:
        if kind.changed is not None:
            await kind.changed(Change(self.tx, self.now, former, stored))

    def _check_uses(self, former: Stored[Any], stored: Stored[Any]) -> None:
        """A field that something else builds on must stay, and every relation must still fit the entity."""
        for name in former.item.fields:
            if name in stored.item.fields:
                continue
            for kind in self.kinds.ordered:
                for other in self.model.of(kind.name).values():
                    user = kind.uses_field(other.item, stored.key, name)
                    if user is not None:
                        raise ValidationFailed(f"field {name} is used by {user}")
        for relation in self.kinds.ordered:
            if relation.name == RELATIONS:
                for other in self.model.of(RELATIONS).values():
                    if stored.key in relation.entities(other.item):
                        relation.parse(relation.body(other.row), self.model)

    async def _migrate(self, tables: Sequence[Table], kind: MetadataKind[Any], item: Any) -> None:
        for table in tables:
            self.ddl += await apply_table(self.tx, table, backfill=kind.backfill(item, table.name))
