"""What the routes of the plugin do, for the API description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rocket_kernel import EntityView, Operation, answers_data, answers_text, array_of, nullable, object_of
from rocket_statemachines.kind import active_machines

Schema = Mapping[str, Any]

_TEXT: Schema = {"type": "string"}
_MOVE = object_of(
    {
        "field": _TEXT,
        "from": nullable(_TEXT),
        "to": _TEXT,
        "allowed": {"type": "boolean"},
        "reason": nullable(_TEXT),
    }
)

DIAGRAM = Operation(
    summary="Draw a state machine",
    tag="state-machines",
    answers=answers_text("A Mermaid state diagram."),
)


def describe_transitions(view: EntityView) -> Operation | None:
    """Where there is nothing to move, there is nothing to ask."""
    fields = [machine.field for machine in active_machines(view.entity.name, view.model)]
    if not view.rights.reads or not view.rights.shown.intersection(fields):
        return None
    return Operation(
        summary=f"List where a {view.entity.name} record may go from here",
        answers=answers_data(array_of(_MOVE)),
        refusals=frozenset({403}),
    )
