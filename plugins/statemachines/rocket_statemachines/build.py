"""A definition that has passed its checks -> Machine. Pure.

Stored definitions come here too, long after they were checked. What has changed since makes single transitions fail
when they are tried, and never keeps an app from being opened.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rocket_kernel import (
    WRITE_NAMES,
    Entity,
    ExpressionError,
    Model,
    Scope,
    compile_expression,
    scope,
    text_form,
    write_scope,
)
from rocket_statemachines.check import check_machine
from rocket_statemachines.machine import (
    Action,
    CreateRecord,
    Guard,
    Machine,
    ReachOutside,
    SendEvent,
    SetField,
    Transition,
)
from rocket_statemachines.references import field_references


def parse_machine(body: Mapping[str, Any], model: Model) -> Machine:
    """Raises ValidationFailed with the text of the first failing check."""
    check_machine(body, model)
    return _build(body, model, write_scope(model.entities[body["entity"]], model))


def load_machine(body: Mapping[str, Any], model: Model) -> Machine:
    """From a stored row: fields and relations that guards name may be gone meanwhile, and read as null."""
    return _build(body, model, scope(WRITE_NAMES, model=model))


def _build(body: Mapping[str, Any], model: Model, place: Scope) -> Machine:
    entity = model.entities.get(body["entity"])
    definition = body["definition"]
    transitions = tuple(
        _transition(transition, entity, body["field"], place) for transition in definition["transitions"]
    )
    active = body.get("active")
    return Machine(
        entity=body["entity"],
        field=body["field"],
        active=True if active is None else active,
        initial=_state(definition["initial"], entity, body["field"]),
        transitions=transitions,
        definition=definition,
        uses=frozenset(_used(body, transitions, model)),
    )


def _transition(body: Mapping[str, Any], entity: Entity | None, field: str, place: Scope) -> Transition:
    sources = body["from"]
    return Transition(
        sources=tuple(_state(it, entity, field) for it in ([sources] if isinstance(sources, str) else sources)),
        to=_state(body["to"], entity, field),
        roles=frozenset(role.lower() for role in body.get("roles") or ()),
        guard=_guard(body["guard"], place) if body.get("guard") else None,
        actions=tuple(_action(action) for action in body.get("actions") or ()),
    )


def _state(text: str, entity: Entity | None, name: str) -> str:
    """A state in the form that the field's values have: `1` of a decimal with two digits is `1.00`."""
    field = None if entity is None else entity.fields.get(name)
    if field is None:
        return text
    try:
        value = field.read(text)
    except ValueError:
        return text
    return text if value is None else text_form(value)


def _guard(source: str, place: Scope) -> Guard:
    try:
        expression = compile_expression(source, place)
    except ExpressionError as error:
        return Guard(source, None, str(error))
    return Guard(source, expression)


def _action(body: Mapping[str, Any]) -> Action:
    match body["type"]:
        case "set_field":
            return SetField(body["field"], body["value"])
        case "create_record":
            return CreateRecord(body["entity"], body["data"])
        case "send_event":
            return SendEvent(body["event"], body.get("payload") or {})
        case _:
            return ReachOutside(body)


def _used(body: Mapping[str, Any], transitions: tuple[Transition, ...], model: Model) -> Iterator[tuple[str, str]]:
    entity = body["entity"]
    yield entity, body["field"]
    for transition in transitions:
        for action in transition.actions:
            if isinstance(action, SetField):
                yield entity, action.field
            elif isinstance(action, CreateRecord):
                yield from ((action.entity, key) for key in action.data)
                target = model.entities.get(action.entity)
                if target is not None:
                    yield from ((entity, field) for _, field in field_references(action.data, target, ""))
