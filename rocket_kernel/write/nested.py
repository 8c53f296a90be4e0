"""Planning the nested records of a write: which rows are created, updated, deleted and linked. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rocket_kernel.errors import Conflict, Detail, ValidationFailed
from rocket_kernel.metadata.entity import DELETED_AT, Entity
from rocket_kernel.metadata.field import shown
from rocket_kernel.metadata.hops import Hop
from rocket_kernel.query.access import ReadableRows
from rocket_kernel.query.filters import AllOf, Compare
from rocket_kernel.query.records import Record, existing_keys, fetch_records, keys_condition
from rocket_kernel.write.context import Group, Write
from rocket_kernel.write.delete import is_going, plan_delete
from rocket_kernel.write.payload import DELETE_KEY, NestedPayload, asks_deletion, given_key, parse_payload
from rocket_kernel.write.run_stage import run_stage
from rocket_kernel.write.stages import CREATE, DELETE, UPDATE, Stage


@dataclass(slots=True)
class _Item:
    path: str
    position: int
    body: Mapping[str, Any]
    key: Any = None
    """Wire key; None when the item brings none."""
    bad_key: bool = False
    """A key was given that is not of the key's type."""
    key_name: str = ""


async def classify(write: Write) -> None:
    """Split a body into fields and nested records, and plan those all the way down.

    Unknown keys and faulty items become findings. Each nested record is authorised before its body is looked at.
    """
    write.run.records += 1
    if write.run.records > write.run.limits.records:
        raise _limit(write.path, f"Too many records in one request (max {write.run.limits.records})")
    for key, value in write.body.items():
        if key in write.entity.fields or (write.parent is not None and key in (DELETED_AT, DELETE_KEY)):
            continue
        if _is_target_id(write, key):
            continue
        hop = write.run.registry.model.written_hop(write.entity.name, key)
        path = f"{write.path}.{key}" if write.path else key
        payload = parse_payload(value, hop, path) if hop is not None else None
        if hop is None or payload is None:
            write.fail(f"Unknown field or relation: {key}", field=key, rule="unknown")
        elif isinstance(payload, Detail):
            write.errors.append(payload)
        else:
            single = isinstance(value, Mapping) and not isinstance(value.get("data"), list)
            await _plan_group(write, hop, payload, path, single=single)


def _is_target_id(write: Write, key: str) -> bool:
    """`id` in an item of a many_to_many relation names the target's key, whatever that is called."""
    return key == "id" and write.hop is not None and write.hop.relation.many_to_many


async def _plan_group(write: Write, hop: Hop, payload: NestedPayload, path: str, *, single: bool) -> None:
    if write.depth + 1 > write.run.limits.depth:
        raise _limit(path, f"Nested write too deep (max {write.run.limits.depth})")
    if write.run.records + len(payload.items) > write.run.limits.records:
        raise _limit(path, f"Too many records in one request (max {write.run.limits.records})")
    group = Group(hop)
    write.groups.append(group)
    items = _read_items(write, group, payload, path, single=single)
    if hop.relation.many_to_many:
        await _plan_links(write, group, payload.mode, items)
    else:
        await _plan_children(write, group, payload.mode, items)


def _limit(path: str, message: str) -> ValidationFailed:
    return ValidationFailed(details=[Detail(message, field=path or None, rule="limit")])


def _read_items(write: Write, group: Group, payload: NestedPayload, path: str, *, single: bool) -> list[_Item]:
    hop = group.hop
    target = write.run.registry.entity(hop.target).entity
    key_field = target.primary_key.field
    names = (key_field, "id") if hop.relation.many_to_many else (key_field,)
    items: list[_Item] = []
    for position, body in enumerate(payload.items):
        at = path if single else f"{path}[{position}]"
        item_body = {"id": body} if hop.relation.many_to_many and isinstance(body, str) else body
        if not isinstance(item_body, Mapping):
            detail = Detail(f"{at} must be an object", field=at, rule="type")
            write.item_errors.append((_position(write, position), detail))
            continue
        item = _Item(at, position, item_body)
        given = given_key(item_body, *names)
        if given is not None:
            item.key_name = next(name for name in names if item_body.get(name) == given)
            try:
                item.key = target.key.type.read(given, target.key.precision)
            except ValueError:
                item.bad_key = True
        items.append(item)
    return items


def _not_found(write: Write, item: _Item, target: Entity) -> None:
    given = shown(item.body.get(item.key_name))
    message = f"{target.name} with id {given} not found"
    detail = Detail(message, field=f"{item.path}.{item.key_name}", rule="not_found")
    write.item_errors.append((_position(write, item.position), detail))


def _position(write: Write, *within: int) -> tuple[int, ...]:
    """Where something in the group that was begun last stands in the request."""
    return (*write.position, len(write.groups), *within)


_Planned = tuple[_Item, str, Record | None]
"""An item, what becomes of it, and the row it names."""


async def _plan_children(write: Write, group: Group, mode: str, items: Sequence[_Item]) -> None:
    hop, run = group.hop, write.run
    target = run.registry.entity(hop.target).entity
    single = hop.relation.type == "one_to_one"
    children = await _children(write, hop, items, everything=mode == "replace" or single)
    by_key = {target.key.type.order_key(row[target.primary_key.field]): row for row in children}
    free = await _free_keys(write, target, items, by_key)
    planned, mentioned = _match_items(write, target, mode, items, by_key, free)
    removed = [row for key, row in by_key.items() if mode == "replace" and key not in mentioned]
    if single:
        planned, removed = _at_most_one(write, mode, planned, removed, children, hop)
    await _add_children(write, group, removed, planned)


def _match_items(
    write: Write,
    target: Entity,
    mode: str,
    items: Sequence[_Item],
    by_key: Mapping[Any, Record],
    free: frozenset[Any],
) -> tuple[list[_Planned], set[Any]]:
    """What becomes of each item, by the table of contract §5.5, and the order keys of the children they name."""
    mentioned: set[Any] = set()
    planned: list[_Planned] = []
    for item in items:
        deletes = mode == "diff" and asks_deletion(item.body)
        order_key: Any = None if item.key is None else target.key.type.order_key(item.key)
        if item.bad_key or (item.key is not None and order_key not in by_key and order_key not in free):
            _not_found(write, item, target)
        elif item.key is None or order_key not in by_key:
            if not deletes:
                planned.append((item, CREATE, None))
        elif order_key in mentioned:
            message = f"{item.path} names a record that was named before"
            detail = Detail(message, field=item.path, rule="cardinality")
            write.item_errors.append((_position(write, item.position), detail))
        else:
            mentioned.add(order_key)
            if mode != "append":
                planned.append((item, DELETE if deletes else UPDATE, by_key[order_key]))
    return planned, mentioned


async def _add_children(write: Write, group: Group, removed: Sequence[Record], planned: Sequence[_Planned]) -> None:
    hop, run = group.hop, write.run
    target = run.registry.entity(hop.target).entity
    for number, row in enumerate(removed):
        if not is_going(run, target, row):
            at = _position(write, -1, number)
            group.deletes.append(await _child(write, hop, DELETE, row=row, path=write.path, position=at))
    for item, action, found in planned:
        if action == DELETE and found is not None and is_going(run, target, found):
            continue
        at = _position(write, item.position)
        child = await _child(write, hop, action, row=found, path=item.path, position=at, body=item.body)
        (group.deletes if action == DELETE else group.writes).append(child)


def _at_most_one(
    write: Write,
    mode: str,
    planned: list[_Planned],
    removed: list[Record],
    children: Sequence[Record],
    hop: Hop,
) -> tuple[list[_Planned], list[Record]]:
    kept = [entry for entry in planned if entry[1] != DELETE]
    if len(kept) > 1:
        message = f"{hop.relation.name} holds at most one record"
        second = kept[1][0]
        detail = Detail(message, field=second.path, rule="cardinality")
        write.item_errors.append((_position(write, second.position), detail))
        return planned, removed
    going = [row for _, action, row in planned if action == DELETE]
    staying = [row for row in children if row not in going and row not in removed]
    if kept and kept[0][1] == CREATE and staying:
        item = kept[0][0]
        if mode == "append":
            raise Conflict("A record with this value already exists")
        if mode == "diff" and item.key is None:
            planned = [entry for entry in planned if entry is not kept[0]]
            planned.append((item, UPDATE, staying[0]))
    return planned, removed


async def _children(write: Write, hop: Hop, items: Sequence[_Item], *, everything: bool) -> list[Record]:
    """The live rows that refer to the parent and that the caller may read; none of a parent being created.

    Where the caller may not read the keys that meet, no row is known to be a child.
    """
    run = write.run
    if write.old is None or write.old[hop.own_field] is None or not run.access.may_walk(hop):
        return []
    target = run.registry.entity(hop.target).entity
    parts = [Compare(target.fields[hop.other_field], "eq", write.old[hop.own_field])]
    if not everything:
        keys = [item.key for item in items if item.key is not None]
        if not keys:
            return []
        parts.append(keys_condition(target, keys))
    return await fetch_records(
        run.session,
        run.registry,
        target.name,
        ReadableRows(run.access),
        where=AllOf(tuple(parts)),
        lock=run.locking,
    )


async def _free_keys(
    write: Write, target: Entity, items: Sequence[_Item], by_key: Mapping[Any, Record]
) -> frozenset[Any]:
    """Keys of items that no row has and that clients may choose, as order keys."""
    if target.generated_key:
        return frozenset()
    key = target.key.type.order_key
    wanted = {key(item.key): item.key for item in items if item.key is not None and key(item.key) not in by_key}
    taken = await existing_keys(write.run.session, write.run.registry, target, list(wanted.values()))
    return frozenset(wanted) - {key(value) for value in taken}


async def _child(
    write: Write,
    hop: Hop,
    action: str,
    *,
    row: Record | None,
    path: str,
    position: tuple[int, ...],
    body: Mapping[str, Any] | None = None,
) -> Write:
    child = Write(
        run=write.run,
        compiled=write.run.registry.entity(hop.target),
        action=action,
        body=body or {},
        path=path,
        parent=write,
        hop=hop,
        old=row,
        position=position,
    )
    await run_stage([child], Stage.AUTHORIZE)
    if row is not None:
        await run_stage([child], Stage.LOAD)
    if action == DELETE:
        await plan_delete(child)
    else:
        await classify(child)
    return child


async def _plan_links(write: Write, group: Group, mode: str, items: Sequence[_Item]) -> None:
    hop, run = group.hop, write.run
    target = run.registry.entity(hop.target).entity
    key = target.key.type.order_key
    named = {key(item.key): item.key for item in items if item.key is not None}
    found: set[Any] = set()
    if any(item.key_name for item in items):
        run.access.grant(target.name)
    if named:
        where = keys_condition(target, list(named.values()))
        rows = await fetch_records(run.session, run.registry, target.name, ReadableRows(run.access), where=where)
        found = {key(row[target.primary_key.field]) for row in rows}
    for item in items:
        removes = mode == "diff" and asks_deletion(item.body)
        if item.bad_key or (item.key is not None and key(item.key) not in found):
            _not_found(write, item, target)
        elif item.key is not None:
            (group.unlink if removes else group.link).append(item.key)
        elif not removes:
            at = _position(write, item.position)
            group.writes.append(await _child(write, hop, CREATE, row=None, path=item.path, position=at, body=item.body))
    group.unlink_others = mode == "replace"
