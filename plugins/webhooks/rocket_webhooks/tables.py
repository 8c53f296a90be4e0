"""The tables of contract §17, with the columns that delivering needs beside those that answers show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rocket_kernel import Column, ColumnType, Index, Storage, Table, TableRows

_TEXT = ColumnType(Storage.TEXT)
_UUID = ColumnType(Storage.UUID)
_INTEGER = ColumnType(Storage.INTEGER)
_BOOLEAN = ColumnType(Storage.BOOLEAN)
_TIMESTAMP = ColumnType(Storage.TIMESTAMP)
_DOCUMENT = ColumnType(Storage.DOCUMENT)

WEBHOOKS = Table(
    name="_webhooks",
    columns=(
        Column("id", _UUID, nullable=False),
        Column("entity", _TEXT, nullable=False),
        Column("hook", _TEXT, nullable=False, default="after_write"),
        Column("url", _TEXT, nullable=False),
        Column("method", _TEXT, nullable=False, default="POST"),
        Column("headers", _DOCUMENT, nullable=False, default={}),
        Column("condition", _TEXT, nullable=False, default=""),
        Column("async", _BOOLEAN, nullable=False, default=True),
        Column("retry", _DOCUMENT, nullable=False, default={}),
        Column("order", _TEXT, nullable=False, default="none"),
        Column("active", _BOOLEAN, nullable=False, default=True),
        Column("secret", _TEXT, nullable=False, default=""),
        Column("previous_secret", _TEXT),
        Column("previous_secret_expires_at", _TIMESTAMP),
        Column("ordinal", _INTEGER, nullable=False, default=0),
        Column("created_at", _TIMESTAMP, nullable=False),
        Column("updated_at", _TIMESTAMP, nullable=False),
    ),
    primary_key=("id",),
)

PENDING = "pending"
RETRYING = "retrying"
DELIVERED = "delivered"
FAILED = "failed"
STATUSES = (PENDING, RETRYING, DELIVERED, FAILED)

WEBHOOK_LOGS = Table(
    name="_webhook_logs",
    columns=(
        Column("id", _UUID, nullable=False),
        Column("webhook_id", _UUID, references="_webhooks.id"),
        Column("entity", _TEXT, nullable=False),
        Column("hook", _TEXT, nullable=False, default="after_write"),
        Column("url", _TEXT, nullable=False),
        Column("method", _TEXT, nullable=False, default="POST"),
        Column("request_headers", _DOCUMENT, nullable=False, default={}),
        Column("request_body", _TEXT, nullable=False),
        Column("response_status", _INTEGER),
        Column("response_body", _TEXT, nullable=False, default=""),
        Column("status", _TEXT, nullable=False, default=PENDING),
        Column("attempt", _INTEGER, nullable=False, default=0),
        Column("max_attempts", _INTEGER, nullable=False, default=3),
        Column("next_retry_at", _TIMESTAMP),
        Column("error", _TEXT, nullable=False, default=""),
        Column("idempotency_key", _TEXT, nullable=False),
        Column("created_at", _TIMESTAMP, nullable=False),
        Column("updated_at", _TIMESTAMP, nullable=False),
        # What follows is for delivering and never shown.
        Column("lane", _TEXT),  # whom it waits with; NULL once it has ended
        Column("due_at", _TIMESTAMP),  # of a claimed row the end of the lease
        Column("claim", _TEXT),  # made up by who claims it; only its holder may store an outcome
        Column("order_key", _TEXT),  # the record, where open deliveries of a record keep their order
        Column("seq", _INTEGER, nullable=False, default=0),
        Column("backoff", _TEXT, nullable=False, default="exponential"),
        Column("trace_id", _TEXT, nullable=False, default=""),
        Column("span_id", _TEXT, nullable=False, default=""),  # of the span that caused it, where there was one
        Column("record_id", _TEXT, nullable=False, default=""),
        Column("is_test", _BOOLEAN, nullable=False, default=False),
        Column("sensitive", _DOCUMENT),  # of an action: names of members of its body that answers mask
        Column("headers", _DOCUMENT),  # of an action: as defined, with templates
        Column("action_key", _TEXT),  # of an action that brought its own idempotency_key: that key
        Column("then_job", _TEXT),
        Column("then_payload", _DOCUMENT),
        # The webhook of a row that is not sorted yet, whose `webhook_id` is empty: it spares the writer the places in
        # the index that are each webhook's own.
        Column("new_for", _UUID),
    ),
    primary_key=("id",),
    indexes=(
        # Other keys hold the row's own id.
        Index("idx__webhook_logs_key", ("action_key",), unique=True, present_only=True),
        Index("idx__webhook_logs_due", ("lane", "due_at", "seq"), present_only=True),
        Index("idx__webhook_logs_order", ("order_key", "seq"), present_only=True),
        Index("idx__webhook_logs_webhook", ("webhook_id", "id"), present_only=True),
    ),
)
UNSORTED = ""
"""The lane of new rows that wait for nobody: all at one end of the index. Whoever looks next puts each into the lane of
its webhook, many at a time."""
SHOWN = tuple(column.name for column in WEBHOOK_LOGS.columns[:18])
"""The columns of contract §11.6, in its order."""

LOGS = TableRows(WEBHOOK_LOGS)


def filed(row: dict[str, Any]) -> dict[str, Any]:
    """A stored row with its webhook, also before it is sorted."""
    return row if row["new_for"] is None else {**row, "webhook_id": row["new_for"]}


def with_defaults(row: Mapping[str, Any]) -> dict[str, Any]:
    """A new row as it will be stored."""
    return {**{column.name: column.default for column in WEBHOOK_LOGS.columns}, **row}


def without_defaults(values: Mapping[str, Any]) -> dict[str, Any]:
    """Column values of a new row but for those that the table gives it anyway."""
    return {name: value for name, value in values.items() if value != WEBHOOK_LOGS.column(name).default}
