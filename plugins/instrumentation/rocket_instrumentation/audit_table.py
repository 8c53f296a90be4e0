"""The table of the audit history: contract §16.6 and §17, with the columns that reading needs beside those it shows."""

from __future__ import annotations

from rocket_kernel import Column, ColumnType, Index, Storage, Table, TableRows

_TEXT = ColumnType(Storage.TEXT)
_UUID = ColumnType(Storage.UUID)

AUDIT = Table(
    name="_audit",
    columns=(
        Column("id", _UUID, nullable=False),
        Column("entity", _TEXT, nullable=False),
        Column("record_id", _TEXT, nullable=False),
        Column("action", _TEXT, nullable=False),
        Column("user_id", _TEXT),  # not a UUID to every plugin that says who calls
        Column("user_email", _TEXT),
        Column("trace_id", _UUID),
        Column("changes", ColumnType(Storage.DOCUMENT), nullable=False),
        Column("created_at", ColumnType(Storage.TIMESTAMP), nullable=False),
        # What follows is for finding rows and never shown.
        Column("table_name", _TEXT, nullable=False),
        Column("changed", _TEXT, nullable=False),
        Column("seq", ColumnType(Storage.BIGINT), nullable=False, identity=True),
    ),
    primary_key=("seq",),
    indexes=(Index("idx__audit_record", ("table_name", "record_id", "seq")),),
)
"""`seq` tells the order in which rows were written; times do not, since a request has one instant, taken when it began.

A record is found by its table, because a definition can get another table, and a table another definition. `changed`
says which fields an update changed, see `audit_row.py`.
"""

ROWS = TableRows(AUDIT)
SHOWN = ("id", "action", "user_id", "user_email", "trace_id", "changes", "created_at")
