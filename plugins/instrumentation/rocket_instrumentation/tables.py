"""The tables of the plugin in every app: contract §16.2 and §17."""

from __future__ import annotations

from rocket_kernel import Column, ColumnType, Index, Storage, Table, TableRows

_TEXT = ColumnType(Storage.TEXT)
_TIMESTAMP = ColumnType(Storage.TIMESTAMP)
_UUID = ColumnType(Storage.UUID)

_INTEGER = ColumnType(Storage.INTEGER)
_FLOAT = ColumnType(Storage.FLOAT)
_DOCUMENT = ColumnType(Storage.DOCUMENT)

EVENTS = Table(
    name="_events",
    columns=(
        Column("id", _UUID, nullable=False),
        Column("trace_id", _UUID, nullable=False),
        Column("span_id", _UUID, nullable=False),
        Column("parent_span_id", _UUID),
        Column("event_type", _TEXT, nullable=False),
        Column("source", _TEXT, nullable=False),
        Column("component", _TEXT, nullable=False),
        Column("action", _TEXT, nullable=False),
        Column("entity", _TEXT),
        Column("record_id", _TEXT),
        # Text: who calls is up to the plugin that authenticates, and so is the form of ids.
        Column("user_id", _TEXT),
        Column("duration_ms", _FLOAT),
        Column("status", _TEXT),
        Column("metadata", _DOCUMENT),
        Column("created_at", _TIMESTAMP, nullable=False),
        # What follows is for finding rows and never shown.
        Column("kept_at", _TIMESTAMP),
    ),
    primary_key=("trace_id", "id"),
    indexes=(
        Index(
            "idx__events_created_at",
            ("created_at", "source", "action", "entity", "status", "duration_ms", "component", "event_type", "user_id"),
        ),
        Index("idx__events_kept_at", ("kept_at",), present_only=True),
    ),
)
"""Spans and business events.

- The key begins with the trace, so that the rows of a trace are found together without an index of their own. Ids of
  traces and spans that are made here begin with the time: rows are added where the last ones were.
- The index of times holds every column that lists filter by and stats are made of: neither looks at a row that is not
  shown.
- `metadata`: null stands for an empty object.
- `kept_at`: of a business event its `created_at`, null for spans, which are many more.
"""

SHOWN = tuple(column.name for column in EVENTS.columns[:15])
"""The columns of contract §16.2, in its order."""

MINUTES = Table(
    name="_event_minutes",
    columns=(
        Column("minute", _TIMESTAMP, nullable=False),
        Column("source", _TEXT, nullable=False),
        Column("entity", _TEXT, nullable=False, default=""),
        Column("writer", _TEXT, nullable=False),
        Column("count", _INTEGER, nullable=False),
        Column("errors", _INTEGER, nullable=False),
        Column("timed", _INTEGER, nullable=False),
        Column("total_ms", _FLOAT, nullable=False),
        Column("durations", _TEXT, nullable=False),
    ),
    primary_key=("minute", "source", "entity", "writer"),
)
"""The spans of a minute in sum, so that stats of a day need not look at a million rows: written with the spans, in one
transaction.

- `writer`: which process counted; only it writes the row, so none waits for another.
- `timed`, `total_ms`: how many spans have a duration, and their sum.
- `durations`: how often each duration occurred, in microseconds with three significant digits, see `events_minutes.packed`.
"""

JOURNAL = Table(
    name="_event_journal",
    columns=(
        Column("id", _UUID, nullable=False),
        Column("created_at", _TIMESTAMP, nullable=False),
        Column("spans", _INTEGER, nullable=False),
        Column("traces", _TEXT, nullable=False),
    ),
    primary_key=("id",),
)
"""Traces as they were noted, many to a row: on disk at once, for a tenth of what it costs to put their spans into
`_events`, which is done when there is time for it. See `events_pack`."""

EVENT_ROWS = TableRows(EVENTS)
JOURNAL_ROWS = TableRows(JOURNAL)
MINUTE_ROWS = TableRows(MINUTES)
