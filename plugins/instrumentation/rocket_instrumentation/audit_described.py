"""What `_history` does, for the API description."""

from __future__ import annotations

from rocket_instrumentation.audit_row import CREATE, DELETE, UPDATE
from rocket_kernel import PAGE, EntityView, Operation, answers_page, nullable, object_of

_TEXT = {"type": "string"}
_UUID = {"type": "string", "format": "uuid"}
_ROW = object_of(
    {
        "id": _UUID,
        "action": {"enum": [CREATE, UPDATE, DELETE]},
        "user_id": nullable(_TEXT),
        "user_email": nullable(_TEXT),
        "trace_id": _UUID,
        "changes": {
            "type": "object",
            "description": "By field; `***` stands for values of sensitive fields.",
            "additionalProperties": object_of({"old": {}, "new": {}}),
        },
        "created_at": {"type": "string", "format": "date-time"},
    }
)


def describe_history(view: EntityView) -> Operation | None:
    """Where none is kept, there is nothing to ask."""
    if not view.entity.audit or not view.rights.reads:
        return None
    return Operation(
        summary=f"List who changed a {view.entity.name} record, newest first",
        parameters=PAGE,
        answers=answers_page(_ROW),
        refusals=frozenset({403}),
    )
