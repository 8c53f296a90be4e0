"""What a database holds now."""

from __future__ import annotations

from rocket_kernel.store.existing import ExistingTable
from rocket_kernel.store.protocol import Session


async def read_table(session: Session, name: str) -> ExistingTable | None:
    """The table as it is, or None when there is none of this name."""
    columns = await session.fetch(*session.dialect.describe_columns(name))
    if not columns:
        return None
    indexes = await session.fetch(*session.dialect.describe_indexes(name))
    return session.dialect.existing_table(name, columns, indexes)


async def name_taken(session: Session, name: str) -> bool:
    """The schema has a table or an index of this name."""
    return bool(await session.fetch(*session.dialect.find_name(name)))
