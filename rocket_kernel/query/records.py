"""Fetching raw records: complete rows in wire values, before any projection."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from time import perf_counter
from typing import Any

from rocket_kernel import json_text
from rocket_kernel.metadata.entity import Entity
from rocket_kernel.metadata.hops import Hop
from rocket_kernel.metadata.registry import Registry
from rocket_kernel.query.access import FullAccess, RowScope
from rocket_kernel.query.filters import Compare, Filter
from rocket_kernel.query.shape import Shape
from rocket_kernel.query.sql import QueryCompiler
from rocket_kernel.query.values import SortKey
from rocket_kernel.store.builder import SqlBuilder, encoded
from rocket_kernel.store.protocol import Session

Record = dict[str, Any]

_TOTALS_KEPT = 1000
_PAGES_KEPT, _LARGEST_PAGE_BYTES = 100, 64 * 1024
_WORTH_KEEPING_S = 0.0003
_BY_KEY = "by key"
_ONE = " LIMIT 1 OFFSET 0"
_KEPT_TYPES = (str, int, float, bool, bytes, type(None))


async def fetch_records(
    session: Session,
    registry: Registry,
    entity: str,
    scope: RowScope,
    *,
    where: Filter | None = None,
    sort: Sequence[SortKey] = (),
    limit: int | None = None,
    offset: int = 0,
    lock: bool = False,
) -> list[Record]:
    """Live rows that `scope` shows, ordered by `sort` and then by key. `lock` needs a transaction."""
    shape = registry.entity(entity).shape
    paged = "" if limit is None else f" LIMIT {int(limit)} OFFSET {int(offset)}"
    condition = scope.condition(entity)
    form = None if lock or not paged else _form(shape.entity, where, sort)
    known = shape.known(form, condition) if form is not None else None
    if known is not None:
        text, params = known.text + paged, [*_operands(shape, where), *known.params]
        if condition is not None and where is None:
            return await _page(session, registry, shape, text, params)
        return [shape.decode(row) for row in await session.fetch(text, params)]
    builder = SqlBuilder(session.dialect)
    query = QueryCompiler(registry, builder, scope)
    alias = query.alias()
    builder.add(f"SELECT {shape.select_list(alias)} FROM {shape.table} AS {alias}")
    query.visible(entity, alias, where)
    query.order_by(entity, alias, sort)
    if form is not None:
        of_condition = builder.params[len(_operands(shape, where)) :]
        shape.remember(form, condition, builder.text(), of_condition)
    builder.add(paged)
    if lock or not paged:
        builder.add(session.dialect.lock_clause() if lock else "")
        rows = await session.fetch(builder.text(), builder.params)
        return [shape.decode(row) for row in rows]
    return await _page(session, registry, shape, builder.text(), builder.params)


async def _page(
    session: Session, registry: Registry, shape: Shape, text: str, params: Sequence[object]
) -> list[Record]:
    """Finding a page among many rows costs far more than its rows do: one that took long is kept, as totals are."""
    version = await session.version()
    key = _memo_key(text, params, version)
    known = registry.pages.get(key) if key is not None else None
    if known is not None and known[0] == version:
        return [record.copy() for record in known[1]]
    start = perf_counter()
    records = [shape.decode(row) for row in await session.fetch(text, params)]
    took_s = perf_counter() - start
    if key is None or took_s < _WORTH_KEEPING_S or len(json_text.encode(records)) > _LARGEST_PAGE_BYTES:
        return records
    _make_room(registry.pages, _PAGES_KEPT)
    registry.pages[key] = (version, records)
    return [record.copy() for record in records]


def _form(entity: Entity, where: Filter | None, sort: Sequence[SortKey]) -> str | None:
    """What the text of the most frequent statements depends on, beside the row condition; None for all others."""
    if sort:
        return None
    if where is None:
        return "page"
    by_key = isinstance(where, Compare) and where.operator == "eq" and where.field.name == entity.primary_key.field
    return _BY_KEY if by_key else None


def _operands(shape: Shape, where: Filter | None) -> list[object]:
    if not isinstance(where, Compare):
        return []
    return [encoded(shape.dialect, where.operand, shape.type(where.field.name))]


async def count_records(
    session: Session, registry: Registry, entity: str, scope: RowScope, *, where: Filter | None = None
) -> int:
    """How many rows `scope` shows. Counting costs most of a list, so a total is kept until anything is committed."""
    builder = SqlBuilder(session.dialect)
    query = QueryCompiler(registry, builder, scope)
    alias, shape = query.alias(), query.shape(entity)
    builder.add(f"SELECT count(*) FROM {shape.table} AS {alias}")
    query.visible(entity, alias, where)
    text, version = builder.text(), await session.version()
    key = _memo_key(text, builder.params, version)
    known = registry.memo.get(key) if key is not None else None
    if known is not None and known[0] == version:
        return int(known[1])
    rows = await session.fetch(text, builder.params)
    if key is not None:
        _make_room(registry.memo, _TOTALS_KEPT)
        registry.memo[key] = (version, rows[0][0])
    return int(rows[0][0])


def _make_room(kept: dict[Any, Any], most: int) -> None:
    if len(kept) >= most:
        del kept[next(iter(kept))]


def _memo_key(text: str, params: Sequence[object], version: Hashable | None) -> Hashable | None:
    """None where nothing can be remembered. Values carry their types, because for Python 1, 1.0 and True are equal."""
    if version is None or not all(isinstance(value, _KEPT_TYPES) for value in params):
        return None
    return text, tuple((type(value), value) for value in params)


async def fetch_related(
    session: Session,
    registry: Registry,
    hop: Hop,
    keys: Sequence[object],
    scope: RowScope,
    *,
    where: Filter | None = None,
    limit: int | None = None,
) -> list[tuple[Any, Record]]:
    """The rows a hop reaches from the given values of its `own_field`, each with the value it belongs to.

    One statement however many keys there are; rows are ordered by their primary key. `limit` is that of all rows.
    """
    if not keys:
        return []
    builder = SqlBuilder(session.dialect)
    query = QueryCompiler(registry, builder, scope)
    alias = query.alias()
    target, origin = query.shape(hop.target), query.shape(hop.origin)
    if hop.relation.many_to_many:
        # The join's alias follows the target's, see QueryCompiler.join_related.
        owner = f"t2.{session.dialect.quote(hop.join_own)}"
    else:
        owner = target.column(alias, hop.other_field)
    builder.add(f"SELECT {owner}, {target.select_list(alias)}")
    far = query.join_related(hop, None, alias)
    builder.add(" WHERE ")
    query.member(far, origin, hop.own_field, keys)
    query.visible(hop.target, alias, where, prefix=" AND ")
    query.order_by(hop.target, alias)
    if limit is not None:
        builder.add(f" LIMIT {int(limit)}")
    decoder = session.dialect.decoder(origin.type(hop.own_field))
    rows = await session.fetch(builder.text(), builder.params)
    return [(decoder(row[0]) if decoder else row[0], target.decode(row, skip=1)) for row in rows]


async def existing_keys(session: Session, registry: Registry, entity: Entity, keys: Sequence[object]) -> list[Any]:
    """Those of the wire keys that some row has, softly deleted rows and rows hidden from the caller included."""
    return await existing_values(session, registry, entity, entity.primary_key.field, keys)


async def existing_values(
    session: Session, registry: Registry, entity: Entity, name: str, values: Sequence[object]
) -> list[Any]:
    """What the rows have in a field whose value is one of the given wire values; softly deleted rows count, too."""
    if not values:
        return []
    builder = SqlBuilder(session.dialect)
    query = QueryCompiler(registry, builder, FullAccess())
    alias, shape = query.alias(), query.shape(entity.name)
    builder.add(f"SELECT {shape.column(alias, name)} FROM {shape.table} AS {alias} WHERE ")
    query.member_of(shape, alias, name, values)
    decoder = dict(shape.decoders).get(name)
    rows = await session.fetch(builder.text(), builder.params)
    return [decoder(row[0]) if decoder else row[0] for row in rows]


def key_condition(entity: Entity, wire_key: object) -> Compare:
    return Compare(entity.key, "eq", wire_key)


def keys_condition(entity: Entity, wire_keys: Sequence[object]) -> Compare:
    return Compare(entity.key, "in", tuple(wire_keys))


def parse_id(entity: Entity, text: str) -> object | None:
    """The id of a path -> wire key; None when it is not of the key's type, which is the same as not found."""
    if "\x00" in text:
        return None
    try:
        key: object = entity.key.type.read_filter(text, entity.key.precision)
    except ValueError:
        return None
    return key


def looks_like_key(entity: Entity, text: str) -> bool:
    """Whether an id has the form of the key's type, so that it is not taken for a slug."""
    match entity.primary_key.type:
        case "uuid":
            return parse_id(entity, text) is not None
        case "int" | "bigint":
            return text.isascii() and text.isdigit()
        case _:
            return False


async def find_record(
    session: Session, registry: Registry, entity: Entity, text: str, scope: RowScope, *, lock: bool = False
) -> Record | None:
    """The record an id of a path names: by slug first where the entity has one and the id is no key by its form.

    A slug that `scope` may not name finds nothing. `lock` needs a transaction.
    """
    if "\x00" in text:
        return None
    slug = entity.slug
    if slug is not None and not looks_like_key(entity, text) and scope.may_name(entity.name, slug.field):
        by_slug = Compare(entity.fields[slug.field], "eq", text)
        found = await fetch_records(session, registry, entity.name, scope, where=by_slug, limit=1, lock=lock)
        if found:
            return found[0]
    return await find_by_key(session, registry, entity, text, scope, lock=lock)


async def find_by_key(
    session: Session, registry: Registry, entity: Entity, text: str, scope: RowScope, *, lock: bool = False
) -> Record | None:
    """The record with this primary key, as a path has it."""
    key = parse_id(entity, text)
    if key is None:
        return None
    shape = registry.entity(entity.name).shape
    known = None if lock else shape.known(_BY_KEY, scope.condition(entity.name))
    if known is not None:
        operand = encoded(shape.dialect, key, shape.type(entity.primary_key.field))
        rows = await session.fetch(f"{known.text}{_ONE}", [operand, *known.params])
        return shape.decode(rows[0]) if rows else None
    where = key_condition(entity, key)
    found = await fetch_records(session, registry, entity.name, scope, where=where, limit=1, lock=lock)
    return found[0] if found else None
