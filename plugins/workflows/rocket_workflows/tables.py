"""The plugin's tables."""

from __future__ import annotations

from rocket_kernel import Column, ColumnType, Index, Storage, Table, TableRows

NEVER = "9999-01-01T00:00:00.000Z"
"""`due_at` of an instance that no worker need look at: a time, so that one index and one comparison find what is due."""

_DOCUMENT = ColumnType(Storage.DOCUMENT)
_INTEGER = ColumnType(Storage.INTEGER)
_TEXT = ColumnType(Storage.TEXT)
_TIMESTAMP = ColumnType(Storage.TIMESTAMP)
_UUID = ColumnType(Storage.UUID)

WORKFLOWS = Table(
    name="_workflows",
    columns=(
        Column("id", _UUID, nullable=False),
        Column("name", _TEXT, nullable=False),
        Column("trigger", _DOCUMENT, nullable=False),
        Column("context", _DOCUMENT, nullable=False, default={}),
        Column("steps", _DOCUMENT, nullable=False, default=[]),
        Column("active", ColumnType(Storage.BOOLEAN), nullable=False, default=True),
        Column("version", _INTEGER, nullable=False, default=1),
        Column("created_at", _TIMESTAMP, nullable=False),
        Column("updated_at", _TIMESTAMP, nullable=False),
    ),
    primary_key=("id",),
    indexes=(Index("idx__workflows_name", ("name",), unique=True),),
)

VERSIONS = Table(
    name="_workflow_versions",
    columns=(
        Column("workflow_id", _UUID, nullable=False, references="_workflows.id"),
        Column("version", _INTEGER, nullable=False),
        Column("definition", _DOCUMENT, nullable=False),
        Column("created_at", _TIMESTAMP, nullable=False),
    ),
    primary_key=("workflow_id", "version"),
)
"""Definitions that are no longer in force: `trigger`, `context` and `steps`."""

SCHEDULES = Table(
    name="_workflow_schedules",
    columns=(
        Column("workflow_id", _UUID, nullable=False, references="_workflows.id"),
        Column("due_at", _TIMESTAMP, nullable=False),
    ),
    primary_key=("workflow_id",),
    indexes=(Index("idx__workflow_schedules_due_at", ("due_at",)),),
)
"""When each active workflow with a schedule starts next. A start is claimed by moving `due_at` on."""

INSTANCES = Table(
    name="_workflow_instances",
    columns=(
        Column("id", _UUID, nullable=False),
        Column("workflow_id", _UUID, nullable=False, references="_workflows.id"),
        Column("workflow_name", _TEXT, nullable=False),
        Column("workflow_version", _INTEGER, nullable=False),
        Column("entity", _TEXT),
        Column("record_id", _TEXT),
        Column("status", _TEXT, nullable=False, default="running"),
        Column("current_step", _TEXT, nullable=False, default=""),
        Column("current_step_deadline", _TIMESTAMP),
        Column("assignee", _DOCUMENT),
        Column("context", _DOCUMENT, nullable=False, default={}),
        Column("history", _DOCUMENT, nullable=False, default=[]),
        Column("error", _TEXT),
        Column("depth", _INTEGER, nullable=False, default=0),
        Column("started_by", _TEXT),
        Column("starter", _DOCUMENT),
        Column("assignee_key", _TEXT),
        Column("due_at", _TIMESTAMP, nullable=False, default=NEVER),
        Column("claim", _TEXT),
        Column("visit", _INTEGER, nullable=False, default=0),
        Column("position", _INTEGER, nullable=False, default=0),
        Column("attempt", _INTEGER, nullable=False, default=0),
        Column("delivery", _TEXT),
        Column("sensitive", _DOCUMENT),
        Column("created_at", _TIMESTAMP, nullable=False),
        Column("updated_at", _TIMESTAMP, nullable=False),
    ),
    primary_key=("id",),
    indexes=(
        Index("idx__workflow_instances_due_at", ("due_at",)),
        Index("idx__workflow_instances_assignee", ("assignee_key",)),
        Index("idx__workflow_instances_status", ("status", "id")),
        Index("idx__workflow_instances_record", ("record_id",)),
    ),
)
"""Ids begin with the time of the start, see `ids.py`: their order is that of age, and indexes grow at their ends. None is for
what only administrators ask now and then: each costs the writes that start instances. Beside what answers show:

- `starter`: id, e-mail and roles of who started it, for conditions; null for the system.
- `assignee_key`: who decides, as one text that callers are looked up by; null outside approvals.
- `due_at`: when a worker looks at it next; while one works on it, the end of its lease.
- `claim`: the mark of the worker that has it; every change a worker makes asks that it still stands.
- `visit`: how many steps it has executed, which tells one visit of a step from the next.
- `position`: the action of an action step that comes next.
- `attempt`: how often that action has been tried in vain.
- `delivery`: the key of the delivery that the step waits for.
- `sensitive`: names of members of the context that hold values of sensitive fields, which answers mask; null for none.
"""

WORKFLOW_ROWS = TableRows(WORKFLOWS)
VERSION_ROWS = TableRows(VERSIONS)
SCHEDULE_ROWS = TableRows(SCHEDULES)
INSTANCE_ROWS = TableRows(INSTANCES)
