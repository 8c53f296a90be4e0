"""Definitions of rules -> Rule. The first failing check answers with the text of the contract (§6.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rocket_kernel import (
    Detail,
    Entity,
    Expression,
    ExpressionError,
    Model,
    PatternError,
    ValidationFailed,
    compile_expression,
    parse_related_load,
    scope,
    write_scope,
)
from rocket_rules.operators import OPERATORS, FieldCheck, InvalidOperand, compile_check
from rocket_rules.rule import BEFORE_WRITE, COMPUTED, EXPRESSION, FIELD, HOOKS, TYPES, Rule

_RULE_NAMES = frozenset({"record", "old", "changes", "action", "user", "related", "now"})
EXPRESSION_MESSAGE = "Expression rule violated"


def parse_rule(body: Mapping[str, Any], model: Model) -> Rule:
    """Raises ValidationFailed."""
    entity = _parse_entity(body.get("entity"), model)
    hook, type = body.get("hook"), body.get("type")
    if hook not in HOOKS:
        raise refuse(f"invalid hook: {shown(hook)} (must be before_write, after_write, or before_delete)")
    if type not in TYPES:
        raise refuse(f"invalid rule type: {shown(type)} (must be field, expression, or computed)")
    definition = body.get("definition")
    if not isinstance(definition, Mapping) or not definition:
        raise refuse("definition is required")
    if type == COMPUTED and hook != BEFORE_WRITE:
        raise refuse("computed rules must use hook before_write")
    if type == FIELD:
        rule = _parse_field_rule(entity, hook, definition)
    elif type == EXPRESSION:
        rule = _parse_expression_rule(entity, hook, definition, model)
    else:
        rule = _parse_computed_rule(entity, definition, model)
    return _with_order(rule, body)


def load_rule(body: Mapping[str, Any], model: Model) -> Rule:
    """A stored rule, which was checked when it was stored. What has become invalid since fails when it runs.

    Fields and relations that are gone read as null, a field rule on one that is gone checks nothing.
    """
    definition: Mapping[str, Any] = body["definition"]
    shared = {key: body[key] for key in ("entity", "hook", "type", "definition", "priority", "active")}
    field = definition.get("field", "")
    if body["type"] == FIELD:
        check = _load_check(definition)
        return Rule(**shared, field=field, check=check, **_outcome(definition, _field_message(definition)))
    expression = _compile_leniently(definition["expression"], model.entities.get(body["entity"]), model)
    if body["type"] == COMPUTED:
        return Rule(**shared, field=field, expression=expression)
    return Rule(**shared, expression=expression, **_outcome(definition, EXPRESSION_MESSAGE))


def _load_check(definition: Mapping[str, Any]) -> FieldCheck:
    try:
        return compile_check(definition["operator"], definition.get("value"))
    except (InvalidOperand, PatternError):
        return FieldCheck(definition["operator"], lambda _value: False)


def refuse(message: str, *, at: str | None = None) -> ValidationFailed:
    return ValidationFailed(message, details=() if at is None else (Detail(message, field=at),))


def shown(value: Any) -> str:
    """A value of a definition, as messages name it."""
    if value is None:
        return ""
    return value[:100] if isinstance(value, str) else "a value that is not text"


def _parse_entity(name: Any, model: Model) -> Entity:
    if name is None or name == "":
        raise refuse("entity is required")
    entity = model.entities.get(name) if isinstance(name, str) else None
    if entity is None:
        raise refuse(f"entity not found: {shown(name)}")
    return entity


def _with_order(rule: Rule, body: Mapping[str, Any]) -> Rule:
    priority, active = body.get("priority"), body.get("active")
    if priority is None:
        priority = 0
    if isinstance(priority, bool) or not isinstance(priority, (int, float)) or priority != int(priority):
        raise refuse("priority must be an integer", at="priority")
    if not -(2**31) <= priority < 2**31:
        raise refuse("priority is out of range", at="priority")
    return replace(rule, priority=int(priority), active=_flag(active, "active", default=True))


def _flag(value: Any, at: str, *, default: bool) -> bool:
    if value is None:
        return default
    if not isinstance(value, bool):
        raise refuse(f"{at.rpartition('.')[2]} must be true or false", at=at)
    return value


def _parse_field(entity: Entity, definition: Mapping[str, Any]) -> str:
    field = definition.get("field")
    if not isinstance(field, str) or field not in entity.fields:
        raise refuse(f"unknown field: {shown(field)}", at="definition.field")
    return field


def _parse_field_rule(entity: Entity, hook: str, definition: Mapping[str, Any]) -> Rule:
    field, operator = _parse_field(entity, definition), definition.get("operator")
    if not isinstance(operator, str) or operator not in OPERATORS:
        raise refuse(f"unknown operator: {shown(operator)}", at="definition.operator")
    try:
        check = compile_check(operator, definition.get("value"))
    except InvalidOperand as error:
        raise refuse(f"invalid value for operator {operator}", at="definition.value") from error
    except PatternError as error:
        raise refuse(f"invalid pattern: {error}", at="definition.value") from error
    return Rule(
        entity=entity.name,
        hook=hook,
        type=FIELD,
        definition=definition,
        field=field,
        check=check,
        **_checked_outcome(definition, _field_message(definition)),
    )


def _field_message(definition: Mapping[str, Any]) -> str:
    return f"field {definition['field']} failed {definition['operator']} validation"


def _parse_expression_rule(entity: Entity, hook: str, definition: Mapping[str, Any], model: Model) -> Rule:
    expression = _compile(definition.get("expression"), entity, model)
    outcome = _checked_outcome(definition, EXPRESSION_MESSAGE)
    try:
        parse_related_load(definition.get("related_load"), entity, model)
    except ValidationFailed as error:
        path = f"definition.related_load{error.details[0].field or ''}"
        raise refuse(error.message, at=path) from error
    return Rule(entity=entity.name, hook=hook, type=EXPRESSION, definition=definition, expression=expression, **outcome)


def _parse_computed_rule(entity: Entity, definition: Mapping[str, Any], model: Model) -> Rule:
    field = _parse_field(entity, definition)
    expression = _compile(definition.get("expression"), entity, model)
    return Rule(
        entity=entity.name,
        hook=BEFORE_WRITE,
        type=COMPUTED,
        definition=definition,
        field=field,
        expression=expression,
    )


def _compile(source: Any, entity: Entity, model: Model) -> Expression:
    try:
        return compile_expression(source if isinstance(source, str) else "", write_scope(entity, model))
    except ExpressionError as error:
        message = f"invalid expression: {error}"
        detail = Detail(message, "definition.expression", "expression", error.line, error.column)
        raise ValidationFailed(message, details=[detail]) from error


def _compile_leniently(source: str, entity: Entity | None, model: Model) -> Expression | ExpressionError:
    places = [] if entity is None else [write_scope(entity, model)]
    fault = ExpressionError("the expression cannot be compiled")
    for place in (*places, scope(_RULE_NAMES, model=model)):
        try:
            return compile_expression(source, place)
        except ExpressionError as error:
            fault = error
    return fault


def _outcome(definition: Mapping[str, Any], default: str) -> dict[str, Any]:
    """What happens when the rule fails."""
    return {
        "message": definition.get("message") or default,
        "stop_on_fail": definition.get("stop_on_fail") is True,
    }


def _checked_outcome(definition: Mapping[str, Any], default: str) -> dict[str, Any]:
    message = definition.get("message")
    if message is not None and not isinstance(message, str):
        raise refuse("message must be a string", at="definition.message")
    _flag(definition.get("stop_on_fail"), "definition.stop_on_fail", default=False)
    return _outcome(definition, default)
