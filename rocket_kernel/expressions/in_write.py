"""Evaluating an expression for a record: one that is being written, or one that is stored.

Rows are loaded with the rights of the engine. What a request nests into the record counts as if it were stored
already, until it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rocket_kernel.actor import Actor
from rocket_kernel.expressions.environment import stored_values, write_values
from rocket_kernel.expressions.expression import Expression
from rocket_kernel.expressions.related import MAX_RELATED, RelatedLoad, evaluate_loading, related_values
from rocket_kernel.metadata.entity import Entity
from rocket_kernel.metadata.hops import Hop
from rocket_kernel.metadata.registry import Registry
from rocket_kernel.query.access import FullAccess, ReadableRows
from rocket_kernel.query.filters import AllOf, AnyOf, Filter, Related, all_of
from rocket_kernel.query.memory import holds
from rocket_kernel.query.records import Record, fetch_records, fetch_related, keys_condition
from rocket_kernel.store.protocol import Session
from rocket_kernel.write.context import Group, Write
from rocket_kernel.write.stages import CREATE, DELETE

_CACHE = "kernel:related"


async def evaluate_in_write(expression: Expression, write: Write, *, related_load: Sequence[RelatedLoad] = ()) -> Any:
    """The value of an expression for a record that is being written, with the names of contract §7.5.

    Reads on the session of the write. `related_load` narrows what stands behind keys of `related`. Raises
    ExpressionError.
    """
    values = write_values(write, expression.names)
    narrowed = {load.key: load for load in related_load}

    async def load(key: str) -> Any:
        registry = write.run.registry
        hop = registry.model.hop(write.entity.name, key)
        if hop is None:
            return None
        rows = await _rows_in_write(write, hop, narrowed.get(key))
        return related_values(key, hop, registry.entity(hop.target).entity, rows)

    return await evaluate_loading(expression, values, load)


async def evaluate_for_record(
    expression: Expression,
    session: Session,
    registry: Registry,
    entity: Entity,
    *,
    record: Mapping[str, Any],
    old: Mapping[str, Any] | None,
    action: str,
    actor: Actor,
    now: str,
) -> Any:
    """The same for rows outside a write: `record` and `old` in wire values, `now` a timestamp's wire value."""
    values = stored_values(expression.names, entity, record=record, old=old, action=action, actor=actor, now=now)

    async def load(key: str) -> Any:
        hop = registry.model.hop(entity.name, key)
        if hop is None:
            return None
        rows = await _stored_rows(session, registry, hop, record, None)
        return related_values(key, hop, registry.entity(hop.target).entity, rows)

    return await evaluate_loading(expression, values, load)


async def _stored_rows(
    session: Session, registry: Registry, hop: Hop, record: Mapping[str, Any], where: Filter | None
) -> list[Record]:
    value = record.get(hop.own_field)
    if value is None:
        return []
    limit = MAX_RELATED + 1
    found = await fetch_related(session, registry, hop, [value], FullAccess(), where=where, limit=limit)
    return [row for _, row in found]


async def _rows_in_write(write: Write, hop: Hop, narrowed: RelatedLoad | None) -> list[Record]:
    """Stored rows, once a relation and filter, with what the same request changes laid over them."""
    run, where = write.run, None if narrowed is None else narrowed.where
    # Steps that write beside the record make what was loaded old.
    version = (run.stored, len(run.further))
    known: dict[Any, tuple[Any, list[Record]]] = write.stash.setdefault(_CACHE, {})
    record = (write.old if write.action == DELETE else write.record) or {}
    key = (hop.relation.name, hop.forward, None if where is None else narrowed, record.get(hop.own_field))
    cached = known.get(key)
    if cached is None or cached[0] != version:
        cached = known[key] = (version, await _stored_rows(run.session, run.registry, hop, record, where))
    if run.stored or write.action == DELETE:
        return cached[1]
    return await _Overlay(write, hop, where).over(cached[1])


class _Overlay:
    """The nested items of a request, as if they were stored."""

    def __init__(self, write: Write, hop: Hop, where: Filter | None) -> None:
        self._write = write
        self._hop = hop
        self._where = where
        self._target = write.run.registry.entity(hop.target).entity

    async def over(self, stored: list[Record]) -> list[Record]:
        write, hop = self._write, self._hop
        if not hop.forward:
            return await self._parent(stored)
        rows = {self._order(row): row for row in stored}
        made: list[Record] = []
        for group in write.groups:
            if group.hop.relation.name == hop.relation.name:
                await self._lay(group, rows, made)
        if hop.many:
            return [*(rows[key] for key in sorted(rows)), *made]
        return [*made, *rows.values()]

    async def _parent(self, stored: list[Record]) -> list[Record]:
        """The record that this one is nested in, which is being written too."""
        write, hop = self._write, self._hop
        parent = write.parent
        if parent is None or write.hop is None or write.hop.relation.name != hop.relation.name:
            return stored
        fits = await self._satisfies(parent.record)
        if not hop.many:
            return [parent.record] if fits else []
        others = [row for row in stored if parent.old is None or self._order(row) != self._order(parent.old)]
        return [*others, parent.record] if fits else others

    async def _lay(self, group: Group, rows: dict[Any, Record], made: list[Record]) -> None:
        if group.hop.relation.many_to_many:
            await self._lay_links(group, rows)
        for item in group.deletes:
            rows.pop(self._order(item.old or {}), None)
        for item in group.writes:
            fits = await self._satisfies(item.record)
            if item.action == CREATE:
                made += [item.record] if fits else []
                continue
            key = self._order(item.old or {})
            rows.pop(key, None)
            if fits:
                rows[key] = item.record

    async def _lay_links(self, group: Group, rows: dict[Any, Record]) -> None:
        run, target = self._write.run, self._target
        order_key = target.key.type.order_key
        for key in group.unlink:
            rows.pop(order_key(key), None)
        linked = {order_key(key): key for key in group.link}
        if group.unlink_others and rows:
            # Links to rows that are hidden from the caller stay.
            visible = await self._fetch(
                ReadableRows(run.access), [row[target.primary_key.field] for row in rows.values()]
            )
            for row in visible:
                if self._order(row) not in linked:
                    del rows[self._order(row)]
        missing = [key for order, key in linked.items() if order not in rows]
        if missing:
            rows.update({self._order(row): row for row in await self._fetch(FullAccess(), missing, self._where)})

    async def _fetch(self, scope: Any, keys: Sequence[object], where: Filter | None = None) -> list[Record]:
        run, target = self._write.run, self._target
        wanted = all_of([keys_condition(target, keys), where])
        return await fetch_records(run.session, run.registry, target.name, scope, where=wanted)

    def _order(self, row: Mapping[str, Any]) -> Any:
        return self._target.key.type.order_key(row[self._target.primary_key.field])

    async def _satisfies(self, record: Mapping[str, Any]) -> bool:
        return self._where is None or await self._holds(self._where, record)

    async def _holds(self, where: Filter, record: Mapping[str, Any]) -> bool:
        """As `holds`, and relations are asked of the database."""
        match where:
            case AllOf(parts):
                for part in parts:
                    if not await self._holds(part, record):
                        return False
                return True
            case AnyOf(parts):
                for part in parts:
                    if await self._holds(part, record):
                        return True
                return False
            case Related(hop, inner):
                run = self._write.run
                value = record.get(hop.own_field)
                if value is None:
                    return False
                scope = FullAccess()
                return bool(await fetch_related(run.session, run.registry, hop, [value], scope, where=inner, limit=1))
        return holds(where, record)
