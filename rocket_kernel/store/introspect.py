"""What a database holds now."""

from __future__ import annotations

from collections.abc import Sequence

from rocket_kernel.store.existing import ExistingTable
from rocket_kernel.store.protocol import Session


async def read_table(session: Session, name: str) -> ExistingTable | None:
    """The table as it is, or None when there is none of this name."""
    columns = await session.fetch(*session.dialect.describe_columns(name))
    if not columns:
        return None
    indexes = await session.fetch(*session.dialect.describe_indexes(name))
    return session.dialect.existing_table(name, columns, indexes)


async def names_taken(session: Session, names: Sequence[str]) -> set[str]:
    """Those that a table or an index of the schema has."""
    return {row[0] for row in await session.fetch(*session.dialect.find_names(names))} if names else set()
