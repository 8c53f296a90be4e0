"""The checks of a definition, in the contract's order. Pure; the first that fails raises ValidationFailed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rocket_kernel import (
    Detail,
    Entity,
    ExpressionError,
    Field,
    Model,
    Storage,
    ValidationFailed,
    canonical_text,
    compile_expression,
    write_scope,
)
from rocket_statemachines.check_actions import check_action
from rocket_statemachines.refusal import refuse

DEFINITION = "definition"
DELETED_AT = "deleted_at"


def check_machine(body: Mapping[str, Any], model: Model) -> None:
    entity = _check_entity(body.get("entity"), model)
    field = _check_field(body.get("field"), entity)
    definition = body.get(DEFINITION)
    transitions = definition.get("transitions") if isinstance(definition, Mapping) else None
    if not isinstance(definition, Mapping) or not isinstance(transitions, list) or not transitions:
        at = f"{DEFINITION}.transitions" if isinstance(definition, Mapping) else DEFINITION
        raise refuse("at least one transition is required", at)
    _check_state(definition.get("initial"), "initial", f"{DEFINITION}.initial")
    for number, transition in enumerate(transitions):
        _check_transition(transition, f"{DEFINITION}.transitions[{number}]", entity, field, model)
    if not _can_begin(definition["initial"], field):
        raise refuse(f"invalid initial for field {field.name}", f"{DEFINITION}.initial")
    if not isinstance(body.get("active", True), (bool, type(None))):
        raise refuse("active must be true or false", "active")


def _check_entity(name: Any, model: Model) -> Entity:
    if name is None or name == "":
        raise ValidationFailed("entity is required")
    entity = model.entities.get(name) if isinstance(name, str) else None
    if entity is None:
        raise ValidationFailed(f"entity not found: {_shown(name)}")
    return entity


def _check_field(name: Any, entity: Entity) -> Field:
    if name is None or name == "":
        raise ValidationFailed("field is required")
    field = entity.fields.get(name) if isinstance(name, str) else None
    if field is None:
        raise ValidationFailed(f"field not found: {_shown(name)}")
    kept = name == entity.primary_key.field or (name == DELETED_AT and entity.soft_delete)
    if kept or field.auto is not None or field.type.storage is Storage.JSON:
        raise ValidationFailed(f"field {name} cannot hold a state")
    return field


def _check_transition(body: Any, at: str, entity: Entity, field: Field, model: Model) -> None:
    if not isinstance(body, Mapping):
        raise refuse("transition must be an object", at)
    sources = body.get("from")
    if isinstance(sources, list) and sources:
        for number, source in enumerate(sources):
            _check_state(source, "from", f"{at}.from[{number}]")
    else:
        _check_state(None if sources == [] else sources, "from", f"{at}.from")
    _check_state(body.get("to"), "to", f"{at}.to")
    _check_roles(body.get("roles"), f"{at}.roles")
    _check_guard(body.get("guard"), f"{at}.guard", entity, model)
    actions = body.get("actions")
    if not isinstance(actions, (list, type(None))):
        raise refuse("actions must be a list", f"{at}.actions")
    for number, action in enumerate(actions or ()):
        check_action(action, f"{at}.actions[{number}]", entity, field.name, model)


def _check_state(value: Any, what: str, at: str) -> None:
    if value is None or value == "":
        raise refuse(f"{what} is required", at)
    if not isinstance(value, str):
        raise refuse(f"{what} must be a string", at)


def _check_roles(roles: Any, at: str) -> None:
    if roles is None:
        return
    if not isinstance(roles, list) or not all(isinstance(role, str) and role for role in roles):
        raise refuse("roles must be a list of non-empty strings", at)


def _check_guard(source: Any, at: str, entity: Entity, model: Model) -> None:
    if source is None or source == "":
        return
    if not isinstance(source, str):
        raise refuse("guard must be an expression", at)
    try:
        compile_expression(source, write_scope(entity, model))
    except ExpressionError as error:
        message = f"invalid expression: {error}"
        detail = Detail(message, field=at, line=error.line, column=error.column)
        raise ValidationFailed(message, details=[detail]) from error


def _can_begin(initial: str, field: Field) -> bool:
    """Whether records could be created at all."""
    try:
        return field.allows(field.read(initial))
    except ValueError:
        return False


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else canonical_text(value)
