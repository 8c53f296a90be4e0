"""The old slugs of records: one row for each slug that a record has had."""

from __future__ import annotations

from hashlib import sha256

from rocket_kernel import Column, ColumnType, Entity, Index, Session, Storage, Table, TableRows, Transaction

_TEXT = ColumnType(Storage.TEXT)

TRAIL = Table(
    name="_slugtrail",
    columns=(
        Column("id", ColumnType(Storage.BIGINT), nullable=False, identity=True),
        Column("place", _TEXT, nullable=False),
        Column("owner", _TEXT, nullable=False),
        Column("record_id", _TEXT, nullable=False),
        Column("slug", _TEXT, nullable=False),
        Column("changed_at", ColumnType(Storage.TIMESTAMP), nullable=False),
    ),
    primary_key=("id",),
    indexes=(
        Index("idx__slugtrail_place_owner", ("place", "owner"), unique=True),
        Index("idx__slugtrail_owner", ("owner",)),
    ),
)
MOST_OWNERS = 100
"""Of so many records that have had a slug one after another the newest are asked about."""

_AT_ONCE = 1000
_ROWS = TableRows(TRAIL)


def place_of(entity: Entity, slug_field: str, slug: str) -> str:
    """Where a slug leads from. By table, since an entity defined anew over another table has other records.

    A digest, because a slug and its entity together can be longer than an index entry may be.
    """
    return _digest(entity.table, slug_field, slug)


def owner_of(entity: Entity, key: object) -> str:
    return _digest(entity.table, str(key))


async def keep_slug(
    tx: Transaction, entity: Entity, field: str, key: object, slug: str, *, now: str, most: int
) -> None:
    """The record had this slug until now. Beyond `most` its oldest ones are forgotten."""
    place, owner = place_of(entity, field, slug), owner_of(entity, key)
    await _ROWS.delete(tx, {"place": place, "owner": owner})
    row = {"place": place, "owner": owner, "record_id": str(key), "slug": slug, "changed_at": now}
    await _ROWS.insert(tx, row)
    kept = await _ROWS.select(tx, {"owner": owner}, order_by=["-id"], limit=_AT_ONCE, offset=most)
    if kept:
        await _ROWS.delete(tx, {"id": [oldest["id"] for oldest in kept]})


async def forget_slug(tx: Transaction, entity: Entity, field: str, key: object, slug: str) -> None:
    """The record has this slug again."""
    await _ROWS.delete(tx, {"place": place_of(entity, field, slug), "owner": owner_of(entity, key)})


async def forget_record(tx: Transaction, entity: Entity, key: object) -> None:
    await _ROWS.delete(tx, {"owner": owner_of(entity, key)})


async def former_owners(session: Session, entity: Entity, field: str, slug: str) -> list[str]:
    """Keys of the records that have had a slug, as texts, the last one first."""
    where = {"place": place_of(entity, field, slug)}
    rows = await _ROWS.select(session, where, order_by=["-id"], limit=MOST_OWNERS)
    return [str(row["record_id"]) for row in rows]


def _digest(*parts: str) -> str:
    return sha256("\0".join(parts).encode()).hexdigest()
