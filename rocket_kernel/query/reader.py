"""Answering reads: pages, single records, includes and what a caller may see of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rocket_kernel.metadata.entity import DELETED_AT, Entity
from rocket_kernel.metadata.registry import Registry
from rocket_kernel.query.access import Access
from rocket_kernel.query.memory import holds
from rocket_kernel.query.records import (
    Record,
    count_records,
    fetch_records,
    fetch_related,
    find_record,
    key_condition,
)
from rocket_kernel.query.values import Include, ListQuery, Projection
from rocket_kernel.store.protocol import Session

EVERYTHING = Projection()


@dataclass(slots=True, eq=False)
class Reader:
    """Reads of one request: one session, one registry, one caller. `Reader(registry, session, access)`."""

    registry: Registry
    session: Session
    access: Access

    async def page(self, entity: Entity, query: ListQuery) -> tuple[list[Record], int]:
        """The shown records of one page, and how many rows there are on all pages together."""
        total = await count_records(self.session, self.registry, entity.name, self.access, where=query.where)
        offset = (query.page - 1) * query.per_page
        if offset >= total:
            return [], total
        records = await fetch_records(
            self.session,
            self.registry,
            entity.name,
            self.access,
            where=query.where,
            sort=query.sort,
            limit=query.per_page,
            offset=offset,
        )
        return await self.show(entity, records, query.projection), total

    async def find(self, entity: Entity, id_text: str) -> Record | None:
        """The raw record that an id or slug of a path names, if it is visible to the caller."""
        return await find_record(self.session, self.registry, entity, id_text, self.access)

    async def show(
        self, entity: Entity, records: Sequence[Record], projection: Projection = EVERYTHING
    ) -> list[Record]:
        """Raw records -> what the answer shows of them, eager relations and requested includes added."""
        if projection.fields is None and not self._restricts(entity):
            shown = [record.copy() for record in records]
        else:
            shown = [self.visible(entity, record, projection.fields) for record in records]
        if entity.shows_deleted_at and projection.fields is None:
            for record in shown:
                record[DELETED_AT] = None
        eager = self._eager(entity, projection)
        if not eager and not projection.includes:
            return shown
        includes = {**projection.includes, **eager}
        for key, include in includes.items():
            await self._attach(key, include, records, shown)
        return shown

    def shows_as_it_is(self, entity: Entity, projection: Projection) -> bool:
        """Whether `show` gives nothing but the visible part of a record."""
        if projection.fields is not None or projection.includes or entity.shows_deleted_at:
            return False
        return not self._eager(entity, projection)

    def visible(self, entity: Entity, record: Mapping[str, Any], fields: frozenset[str] | None = None) -> Record:
        """A copy of a raw record without the fields that are hidden from the caller or not asked for."""
        allowed = self.access.readable_fields(entity.name, record) if self._restricts(entity) else None
        if fields is not None:
            allowed = fields if allowed is None else allowed & fields
        if allowed is None:
            return dict(record)
        return {name: record[name] for name in entity.fields if name in allowed}

    async def shows(self, entity: Entity, record: Mapping[str, Any], *, stored: bool = True) -> bool:
        """Whether a complete record is one that the caller may read.

        `stored`: it is the row as the session sees it. Conditions on related rows can be asked of such only; of
        another record they count as not fulfilled.
        """
        if not self.access.may_read(entity.name):
            return False
        condition = self.access.condition(entity.name)
        if condition is None:
            return True
        try:
            return holds(condition, record)
        except TypeError:  # it walks a relation
            if not stored:
                return False
        where = key_condition(entity, record[entity.primary_key.field])
        return bool(await fetch_records(self.session, self.registry, entity.name, self.access, where=where, limit=1))

    def _restricts(self, entity: Entity) -> bool:
        return self.access.grant(entity.name).visible is not None

    def _eager(self, entity: Entity, projection: Projection) -> dict[str, Include]:
        hops = self.registry.model.source_hops(entity.name)
        return {
            hop.relation.name: Include(hop)
            for hop in hops
            if hop.relation.fetch == "eager"
            and hop.relation.name not in projection.includes
            and self.access.may_walk(hop)
        }

    async def _attach(self, key: str, include: Include, owners: Sequence[Record], shown: Sequence[Record]) -> None:
        """Load one include for all owners with one statement a level, and put it under `key`."""
        hop = include.hop
        own_type = self.registry.entity(hop.origin).entity.fields[hop.own_field].type
        wanted = {own_type.order_key(value): value for owner in owners if (value := owner[hop.own_field]) is not None}
        found = await fetch_related(self.session, self.registry, hop, list(wanted.values()), self.access)
        target = self.registry.entity(hop.target).entity
        rows: dict[Any, Record] = {}
        groups: dict[Any, list[Any]] = {}
        for owner_value, record in found:
            row_key = record[target.primary_key.field]
            rows.setdefault(row_key, record)
            groups.setdefault(own_type.order_key(owner_value), []).append(row_key)
        raw = list(rows.values())
        display = [self.visible(target, record) for record in raw]
        for child_key, child in include.children.items():
            await self._attach(child_key, child, raw, display)
        by_key = dict(zip(rows, display, strict=True))
        for owner, record in zip(owners, shown, strict=True):
            value = owner[hop.own_field]
            members = groups.get(own_type.order_key(value), []) if value is not None else []
            related = [by_key[member] for member in members]
            record[key] = related if hop.many else (related[0] if related else None)
