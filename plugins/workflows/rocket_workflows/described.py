"""What the routes of the plugin do, for the API description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rocket_kernel import (
    PAGE,
    Operation,
    Parameter,
    answers_data,
    answers_page,
    answers_text,
    array_of,
    object_of,
    row_schema,
)
from rocket_workflows.instance import CANCELLED, COMPLETED, FAILED, RUNNING, SHOWN
from rocket_workflows.tables import INSTANCES

Schema = Mapping[str, Any]

_TEXT: Schema = {"type": "string"}
_STATUS: Schema = {"enum": [RUNNING, COMPLETED, FAILED, CANCELLED]}
_REFUSED = frozenset({422})
_FOR_SOME = frozenset({403})
_NOTE: Schema = {
    "type": "object",
    "required": ["step", "status", "at"],
    "properties": {"step": _TEXT, "status": _TEXT, "by": _TEXT, "at": _TEXT, "comment": _TEXT, "error": _TEXT},
}
_INSTANCE = row_schema(
    INSTANCES,
    SHOWN,
    status=_STATUS,
    assignee={"type": ["object", "null"]},
    context={"type": "object"},
    history=array_of(_NOTE),
)
_DECISION: Schema = {
    "type": "object",
    "properties": {"comment": {"type": ["string", "null"], "maxLength": 4000}, "step": {"type": ["string", "null"]}},
}

LIST = Operation(
    summary="List instances",
    parameters=(
        Parameter(name="status", schema=_STATUS),
        Parameter(name="workflow", description="Name or id."),
        Parameter(name="entity"),
        Parameter(name="record_id"),
        *PAGE,
    ),
    answers=answers_page(_INSTANCE),
)
START = Operation(
    summary="Start a workflow by hand",
    body={
        "type": "object",
        "required": ["workflow"],
        "properties": {
            "workflow": {"type": "string", "minLength": 1, "description": "Name or id."},
            "record_id": {"type": ["string", "integer", "null"]},
        },
    },
    answers=answers_data(_INSTANCE, status=201),
    refusals=_FOR_SOME,
)
PENDING = Operation(summary="List the approvals you may decide", answers=answers_data(array_of(_INSTANCE)))
GET = Operation(summary="Get an instance", answers=answers_data(_INSTANCE))
REMOVE = Operation(
    summary="Delete an instance",
    answers=answers_data(object_of({"deleted": {"type": "boolean"}})),
    refusals=frozenset(),
)
DIAGRAM = Operation(
    summary="Draw an instance", answers=answers_text("A Mermaid flow chart with the path taken marked.")
)
APPROVE = Operation(summary="Approve a step", body=_DECISION, answers=answers_data(_INSTANCE), refusals=_FOR_SOME)
REJECT = Operation(summary="Reject a step", body=_DECISION, answers=answers_data(_INSTANCE), refusals=_FOR_SOME)
RETRY = Operation(summary="Retry a failed step", answers=answers_data(_INSTANCE), refusals=_REFUSED)
CANCEL = Operation(summary="Cancel an instance", answers=answers_data(_INSTANCE), refusals=_REFUSED)
DEFINITION_DIAGRAM = Operation(
    summary="Draw a workflow", tag="workflows", answers=answers_text("A Mermaid flow chart.")
)
