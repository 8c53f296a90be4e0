"""Deleting: what goes along, what is let loose and what forbids it (contract §5.8)."""

from __future__ import annotations

from typing import Any

from rocket_kernel.errors import Conflict
from rocket_kernel.metadata.entity import DELETED_AT, Entity
from rocket_kernel.metadata.hops import Hop
from rocket_kernel.metadata.registry import Registry
from rocket_kernel.query.access import FullAccess, ReadableRows
from rocket_kernel.query.filters import Compare
from rocket_kernel.query.records import Record, fetch_records, fetch_related
from rocket_kernel.store.builder import SqlBuilder
from rocket_kernel.write.context import Write, WriteRun
from rocket_kernel.write.convert import auto_value
from rocket_kernel.write.stages import DELETE, UPDATE

_VISITED = "kernel:visited"
_RESTRICTED = "kernel:restricted"


async def plan_delete(write: Write) -> None:
    """Find the rows a delete takes along, recursively, a row once; `write.old` is the row.

    Where a relation restricts, `raise_restricted` tells of it later: rules come before (§5.1). It acts with the rights
    of the engine: the relation's definition is the consent. Only the count in the message is limited to what the
    caller may read.
    """
    visited = _visited(write.run)
    visited.add(_identity(write.entity, write.old or {}))
    for hop in write.run.registry.model.source_hops(write.entity.name):
        policy = hop.relation.on_delete
        if policy is None or (hop.relation.many_to_many and policy != "restrict"):
            continue
        if hop.relation.many_to_many:
            await _restrict(write, hop, visited)
            continue
        keeps_key = _must_keep_value(write.run.registry.entity(hop.target).entity, hop.other_field)
        if policy == "restrict" or (policy != "cascade" and keeps_key):
            await _restrict(write, hop, visited)
        elif policy == "cascade":
            await _cascade(write, hop, visited)
        else:
            await _clear(write, hop, visited)


def is_going(run: WriteRun, entity: Entity, row: Record) -> bool:
    """Whether a row is to be deleted already: asked for on another way, or taken along."""
    return _identity(entity, row) in _visited(run)


def _visited(run: WriteRun) -> set[tuple[str, Any]]:
    visited: set[tuple[str, Any]] = run.stash.setdefault(_VISITED, set())
    return visited


def _must_keep_value(entity: Entity, name: str) -> bool:
    """Whether a field can never become null."""
    return entity.fields[name].demanded or name == entity.primary_key.field


def _identity(entity: Entity, row: Record) -> tuple[str, Any]:
    return entity.name, entity.key.type.order_key(row[entity.primary_key.field])


async def _related(write: Write, hop: Hop, scope: Any) -> list[Record]:
    value = (write.old or {}).get(hop.own_field)
    if value is None:
        return []
    found = await fetch_related(write.run.session, write.run.registry, hop, [value], scope)
    return [row for _, row in found]


async def _restrict(write: Write, hop: Hop, visited: set[tuple[str, Any]]) -> None:
    target = write.run.registry.entity(hop.target).entity
    rows = [row for row in await _related(write, hop, FullAccess()) if _identity(target, row) not in visited]
    if not rows:
        return
    access = write.run.access
    readable = await _related(write, hop, ReadableRows(access)) if access.may_walk(hop) else []
    count = sum(1 for row in readable if _identity(target, row) not in visited)
    shown = f"{count} related" if count else "related"
    write.run.stash.setdefault(_RESTRICTED, Conflict(f"Cannot delete: {shown} {target.name} records exist"))


def is_restricted(run: WriteRun) -> bool:
    """Whether a relation forbids a delete that was planned."""
    return _RESTRICTED in run.stash


async def raise_restricted(write: Write) -> None:
    """Raise Conflict for the first relation that forbids a delete of the run."""
    refusal: Conflict = write.run.stash.pop(_RESTRICTED)
    raise refusal


async def _cascade(write: Write, hop: Hop, visited: set[tuple[str, Any]]) -> None:
    target = write.run.registry.entity(hop.target)
    for row in await _locked(write, hop):
        if _identity(target.entity, row) in visited:
            continue
        taken = Write(
            run=write.run,
            compiled=target,
            action=DELETE,
            path=write.path,
            parent=write,
            hop=hop,
            old=row,
            position=write.position,
        )
        write.cascade.append(taken)
        await plan_delete(taken)


async def _locked(write: Write, hop: Hop) -> list[Record]:
    value = (write.old or {}).get(hop.own_field)
    if value is None:
        return []
    target = write.run.registry.entity(hop.target).entity
    where = Compare(target.fields[hop.other_field], "eq", value)
    run = write.run
    return await fetch_records(run.session, run.registry, target.name, FullAccess(), where=where, lock=run.locking)


async def _clear(write: Write, hop: Hop, visited: set[tuple[str, Any]]) -> None:
    target = write.run.registry.entity(hop.target)
    for row in await _locked(write, hop):
        if _identity(target.entity, row) in visited:
            continue
        record = {**row, hop.other_field: None}
        for name, definition in target.entity.fields.items():
            if definition.auto == "update":
                record[name] = auto_value(definition, write.run.now)
        write.cascade.append(
            Write(
                run=write.run,
                compiled=target,
                action=UPDATE,
                path=write.path,
                parent=write,
                hop=hop,
                old=row,
                record=record,
                by_engine=True,
                position=write.position,
            )
        )


async def apply_delete(write: Write) -> None:
    """Delete the planned row: join rows first, then the row itself, softly where the entity says so."""
    run, entity, shape = write.run, write.entity, write.compiled.shape
    quote = shape.dialect.quote
    for table, column in join_columns(run.registry, entity.name):
        builder = SqlBuilder(shape.dialect)
        builder.add(f"DELETE FROM {quote(table)} WHERE {quote(column)} = ")
        builder.bind(write.key, shape.type(entity.primary_key.field))
        await run.session.execute(builder.text(), builder.params)
    await _clear_of_deleted(write)
    builder = SqlBuilder(shape.dialect)
    if entity.soft_delete:
        builder.add(f"UPDATE {shape.table} SET {quote(DELETED_AT)} = ")
        builder.bind(run.now, shape.type(DELETED_AT))
    else:
        builder.add(f"DELETE FROM {shape.table}")
    builder.add(f" WHERE {quote(entity.primary_key.field)} = ")
    builder.bind(write.key, shape.type(entity.primary_key.field))
    if entity.soft_delete:
        builder.add(f" AND {shape.live('')}")
    if await run.session.execute(builder.text(), builder.params) != 1:
        raise Conflict


async def _clear_of_deleted(write: Write) -> None:
    """set_null and detach clear the key on softly deleted children too, without events."""
    run, old = write.run, write.old or {}
    for hop in run.registry.model.source_hops(write.entity.name):
        target = run.registry.entity(hop.target)
        if hop.relation.many_to_many or not target.entity.soft_delete:
            continue
        if _must_keep_value(target.entity, hop.other_field):
            continue
        if hop.relation.on_delete not in ("set_null", "detach") or old.get(hop.own_field) is None:
            continue
        quote = target.shape.dialect.quote
        builder = SqlBuilder(target.shape.dialect)
        builder.add(f"UPDATE {target.shape.table} SET {quote(hop.other_field)} = NULL")
        builder.add(f" WHERE {quote(DELETED_AT)} IS NOT NULL AND {quote(hop.other_field)} = ")
        builder.bind(old[hop.own_field], target.shape.type(hop.other_field))
        if not target.entity.audit:
            await run.session.execute(builder.text(), builder.params)
            continue
        builder.add(f" RETURNING {target.shape.select_list('')}")
        for row in await run.session.fetch(builder.text(), builder.params):
            record = target.shape.decode(row)
            before = {**record, hop.other_field: old[hop.own_field]}
            write.cleared.append(
                Write(run=run, compiled=target, action=UPDATE, old=before, record=record, by_engine=True)
            )


def join_columns(registry: Registry, entity: str) -> list[tuple[str, str]]:
    """Join table and column of each many_to_many relation with the entity as an end, each once."""
    hops = (*registry.model.source_hops(entity), *registry.model.target_hops(entity))
    return list(dict.fromkeys((hop.relation.join_table, hop.join_own) for hop in hops if hop.join_own))
