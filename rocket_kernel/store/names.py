"""Names that are derived, and names that databases keep for themselves."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

MAX_BYTES = 63
"""The longest identifier every database of ours keeps whole."""

_RESERVED_TABLE_PREFIXES = ("pg_", "sqlite_")
_RESERVED_COLUMNS = frozenset({"tableoid", "ctid", "xmin", "xmax", "cmin", "cmax"})


def index_name(table: str, *columns: str) -> str:
    """`idx_{table}_{columns}`, cut and completed with a stable hash where it is too long."""
    return _shortened("_".join(("idx", table, *columns)))


def distinct_index_name(name: str, table: str) -> str:
    """The name of an index whose usual one belongs to another table: `a_b` + `c` and `a` + `b_c` derive the same."""
    return _completed(name, f"{table}.{name}")


def index_names(table: str, *columns: str) -> tuple[str, str]:
    """The two names an index of these columns can bear."""
    name = index_name(table, *columns)
    return name, distinct_index_name(name, table)


def key_name(table: str) -> str:
    """Of a table's primary key. A database may keep it among the tables, none of which may have a dot in its name."""
    return _shortened(f"key.{table}")


def key_names(table: str) -> tuple[str, str]:
    """The names a primary key can bear; the second is that of a table which was not made by us."""
    return key_name(table), f"{table}_pkey"


def counter_name(table: str, column: str) -> str:
    """Of what hands out numbers for an identity column; kept among the tables like a primary key."""
    return _shortened(f"counter.{table}.{column}")


def indexed_column(index: str, table: str, columns: Iterable[str]) -> str | None:
    """Which of the columns a single-column index with this name covers."""
    for column in columns:
        if index in index_names(table, column):
            return column
    return None


def is_reserved_table(name: str) -> bool:
    """Some database of ours has tables of its own under such names; all of them refuse it, to stay equal."""
    return name.startswith(_RESERVED_TABLE_PREFIXES)


def is_reserved_column(name: str) -> bool:
    return name in _RESERVED_COLUMNS


def _shortened(name: str) -> str:
    return name if len(name.encode()) <= MAX_BYTES else _completed(name, name)


def _completed(name: str, identity: str) -> str:
    digest = sha256(identity.encode()).hexdigest()[:8]
    kept = name.encode()[: MAX_BYTES - 1 - len(digest)].decode(errors="ignore")
    return f"{kept}_{digest}"
