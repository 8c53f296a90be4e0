"""What the routes of the plugin do, and what a webhook looks like, for the API description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rocket_kernel import PAGE, Operation, Parameter, answers_data, answers_page, object_of, row_schema
from rocket_webhooks.definition import BACKOFFS, HOOKS, LONGEST_URL, METHODS, ORDERS
from rocket_webhooks.retry import MOST_ATTEMPTS
from rocket_webhooks.tables import SHOWN, STATUSES, WEBHOOK_LOGS

Schema = Mapping[str, Any]

RETRIED = (
    "id",
    "webhook_id",
    "entity",
    "hook",
    "url",
    "method",
    "status",
    "attempt",
    "max_attempts",
    "next_retry_at",
    "updated_at",
)
"""Columns of a log row that a retry answers with."""

_TEXT: Schema = {"type": "string"}
_UUID: Schema = {"type": "string", "format": "uuid"}
_TIMESTAMP: Schema = {"type": "string", "format": "date-time"}
_LOGS, _WEBHOOKS = "webhook-logs", "webhooks"
_REFUSED = frozenset({422})
_LOG = row_schema(WEBHOOK_LOGS, SHOWN, request_headers={"type": "object"}, status={"enum": list(STATUSES)})

TEST = Operation(
    summary="Send a test",
    description="One attempt at once. The answer tells what the receiver said.",
    tag=_WEBHOOKS,
    answers=answers_data(_LOG),
)
ROTATE = Operation(
    summary="Give a webhook a new secret",
    description="For a day the old one signs beside it.",
    tag=_WEBHOOKS,
    answers=answers_data(object_of({"id": _UUID, "secret": _TEXT, "previous_secret_expires_at": _TIMESTAMP})),
)
REPLAY = Operation(
    summary="Make deliveries due again",
    tag=_WEBHOOKS,
    body={
        "type": "object",
        "properties": {
            "from": {"type": ["string", "null"], "format": "date-time"},
            "to": {"type": ["string", "null"], "format": "date-time"},
            "status": {"enum": [*STATUSES, None], "default": "failed"},
        },
    },
    answers=answers_data(object_of({"queued": {"type": "integer"}})),
)
LIST_LOGS = Operation(
    summary="List deliveries",
    tag=_LOGS,
    parameters=(
        Parameter(name="webhook_id", schema=_UUID),
        Parameter(name="status", schema={"enum": list(STATUSES)}),
        Parameter(name="entity"),
        *PAGE,
    ),
    answers=answers_page(_LOG),
)
GET_LOG = Operation(summary="Get a delivery", tag=_LOGS, answers=answers_data(_LOG))
RETRY_LOG = Operation(
    summary="Try a delivery again",
    tag=_LOGS,
    answers=answers_data(row_schema(WEBHOOK_LOGS, RETRIED)),
    refusals=_REFUSED,
)

WEBHOOK: Schema = {
    "type": "object",
    "required": ["entity", "url"],
    "properties": {
        "entity": {"type": "string", "minLength": 1},
        "hook": {"enum": list(HOOKS), "default": "after_write"},
        "url": {"type": "string", "maxLength": LONGEST_URL, "pattern": "^https?://"},
        "method": {"enum": list(METHODS), "default": "POST"},
        "headers": {"type": "object", "additionalProperties": _TEXT},
        "condition": {"type": "string", "default": "", "description": "An expression; truthy delivers."},
        "async": {"type": "boolean"},
        "retry": {
            "type": "object",
            "properties": {
                "max_attempts": {"type": "integer", "minimum": 1, "maximum": MOST_ATTEMPTS},
                "backoff": {"enum": list(BACKOFFS)},
            },
        },
        "order": {"enum": list(ORDERS), "default": "none"},
        "active": {"type": "boolean", "default": True},
    },
}
