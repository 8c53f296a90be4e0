"""Storing planned records: rows, nested rows, links and deletions, all inside one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rocket_kernel.errors import Conflict, Detail, NotNullViolation, UniqueViolation, ValidationFailed
from rocket_kernel.metadata.entity import Entity
from rocket_kernel.query.access import ReadableRows
from rocket_kernel.query.records import fetch_related
from rocket_kernel.store.builder import SqlBuilder
from rocket_kernel.store.names import indexed_column, key_names
from rocket_kernel.store.protocol import Transaction
from rocket_kernel.write.context import Group, Write, differs
from rocket_kernel.write.delete import apply_delete
from rocket_kernel.write.slug import next_slug
from rocket_kernel.write.stages import CREATE, DELETE

_SLUG_ATTEMPTS = 9


async def execute(tx: Transaction, write: Write) -> None:
    """Store one record and everything nested in it: the row, then per body key deletions, items and links."""
    if write.action == DELETE:
        for taken in write.cascade:
            await execute(tx, taken)
        await apply_delete(write)
        return
    _set_parent_key(write)
    await _store(tx, write)
    for group in write.groups:
        for item in group.items:
            await execute(tx, item)
        if group.hop.relation.many_to_many:
            await _store_links(tx, write, group)


def _set_parent_key(write: Write) -> None:
    hop = write.hop
    if write.parent is None or hop is None or hop.relation.many_to_many or write.by_engine:
        return
    write.record[hop.other_field] = write.parent.record[hop.own_field]


async def _store(tx: Transaction, write: Write) -> None:
    slug = write.entity.slug
    generated = slug is not None and slug.field in write.assigned
    if not generated or slug is None:
        await _store_once(tx, write)
        return
    for attempt in range(_SLUG_ATTEMPTS):
        try:
            async with tx.savepoint():
                await _store_row(tx, write)
            return
        except UniqueViolation as violation:
            if _violated_field(write.entity, violation) != slug.field or attempt == _SLUG_ATTEMPTS - 1:
                raise _conflict(write, violation) from violation
            write.record[slug.field] = await next_slug(write, losses=attempt + 1)
        except NotNullViolation as violation:
            raise _missing(write, violation) from violation


async def _store_once(tx: Transaction, write: Write) -> None:
    try:
        await _store_row(tx, write)
    except UniqueViolation as violation:
        raise _conflict(write, violation) from violation
    except NotNullViolation as violation:
        raise _missing(write, violation) from violation


async def _store_row(tx: Transaction, write: Write) -> None:
    builder = _insert(write) if write.action == CREATE else _update(write)
    if builder is None:
        return
    builder.add(f" RETURNING {write.compiled.shape.select_list('')}")
    rows = await tx.fetch(builder.text(), builder.params)
    if not rows:
        raise Conflict
    write.record = write.compiled.shape.decode(rows[0])


def _insert(write: Write) -> SqlBuilder:
    shape, entity = write.compiled.shape, write.entity
    names = [
        name
        for name in shape.names
        if not (name == entity.primary_key.field and entity.generated_key and write.record[name] is None)
    ]
    builder = SqlBuilder(shape.dialect)
    form = ("insert", len(names))
    text = shape.texts.get(form)
    if text is not None:
        builder.params = [shape.encode(name, write.record[name]) for name in names]
        return builder.add(text)
    if not names:
        builder.add(f"INSERT INTO {shape.table} DEFAULT VALUES")
        return builder
    builder.add(f"INSERT INTO {shape.table} ({', '.join(map(shape.dialect.quote, names))}) VALUES (")
    for position, name in enumerate(names):
        if position:
            builder.add(", ")
        builder.bind_raw(shape.encode(name, write.record[name]))
    builder.add(")")
    shape.texts[form] = builder.text()
    return builder


def _update(write: Write) -> SqlBuilder | None:
    """None when no column changes: the stored row is the record already."""
    shape, entity, old = write.compiled.shape, write.entity, write.old or {}
    key = entity.primary_key.field
    changed = [name for name in shape.names if name != key and _changed(entity, name, old[name], write.record[name])]
    if not changed:
        return None
    builder = SqlBuilder(shape.dialect)
    builder.add(f"UPDATE {shape.table} SET ")
    for position, name in enumerate(changed):
        builder.add(f"{', ' if position else ''}{shape.dialect.quote(name)} = ")
        builder.bind_raw(shape.encode(name, write.record[name]))
    builder.add(f" WHERE {shape.dialect.quote(key)} = ")
    builder.bind(old[key], shape.type(key))
    if live := shape.live(""):
        builder.add(f" AND {live}")
    return builder


def _changed(entity: Entity, name: str, old: Any, new: Any) -> bool:
    # A decimal without precision keeps the digits given: 1.50 replaces an equal 1.5.
    return differs(entity, name, old, new) or old != new


async def _store_links(tx: Transaction, write: Write, group: Group) -> None:
    target = write.run.registry.entity(group.hop.target).entity
    created = [item.record[target.primary_key.field] for item in group.writes]
    order_key = target.key.type.order_key
    wanted = {order_key(key): key for key in (*group.link, *created)}
    unlink = {order_key(key): key for key in group.unlink}
    if group.unlink_others and write.action != CREATE:
        own = write.record[group.hop.own_field]
        scope = ReadableRows(write.run.access)
        linked = await fetch_related(tx, write.run.registry, group.hop, [own], scope)
        for _, row in linked:
            key = row[target.primary_key.field]
            if order_key(key) not in wanted:
                unlink[order_key(key)] = key
    await _unlink(tx, write, group, list(unlink.values()))
    await _link(tx, write, group, list(wanted.values()))


async def _unlink(tx: Transaction, write: Write, group: Group, keys: Sequence[Any]) -> None:
    shape, hop = write.compiled.shape, group.hop
    target = write.run.registry.entity(hop.target).shape
    quote = shape.dialect.quote
    for key in keys:
        builder = SqlBuilder(shape.dialect)
        builder.add(f"DELETE FROM {quote(hop.relation.join_table)} WHERE {quote(hop.join_own)} = ")
        builder.bind(write.record[hop.own_field], shape.type(hop.own_field))
        builder.add(f" AND {quote(hop.join_other)} = ")
        builder.bind(key, target.type(hop.other_field))
        await tx.execute(builder.text(), builder.params)


async def _link(tx: Transaction, write: Write, group: Group, keys: Sequence[Any]) -> None:
    shape, hop = write.compiled.shape, group.hop
    target = write.run.registry.entity(hop.target).shape
    quote = shape.dialect.quote
    for key in keys:
        builder = SqlBuilder(shape.dialect)
        builder.add(f"INSERT INTO {quote(hop.relation.join_table)} ({quote(hop.join_own)}, {quote(hop.join_other)})")
        builder.add(" VALUES (")
        builder.bind(write.record[hop.own_field], shape.type(hop.own_field))
        builder.add(", ")
        builder.bind(key, target.type(hop.other_field))
        builder.add(") ON CONFLICT DO NOTHING")
        await tx.execute(builder.text(), builder.params)


def _violated_field(entity: Entity, violation: UniqueViolation) -> str | None:
    if len(violation.columns) == 1 and violation.columns[0] in entity.fields:
        return violation.columns[0]
    name = indexed_column(violation.index, entity.table, entity.fields) if violation.index else None
    if name is not None:
        return name
    if violation.index in key_names(entity.table):
        return entity.primary_key.field
    return None


def _conflict(write: Write, violation: UniqueViolation) -> Conflict:
    name = _violated_field(write.entity, violation)
    if name is None:
        return Conflict(UniqueViolation.default_message)
    detail = Detail(f"{name} already exists", field=name, rule="unique").under(write.path)
    return Conflict(UniqueViolation.default_message, details=[detail])


def _missing(write: Write, violation: NotNullViolation) -> ValidationFailed:
    column = violation.column
    detail = Detail(f"{column} is required", field=column, rule="required").under(write.path)
    return ValidationFailed(details=[detail])
