"""Conditions of a permission: JSON -> what gives the filter for a caller. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rocket_auth.permissions.templates import SAMPLES, UnknownTemplate, fill, is_marked, is_roles, mark
from rocket_kernel import (
    NEVER,
    Actor,
    Compare,
    Detail,
    Entity,
    Field,
    Filter,
    InvalidPayload,
    ValidationFailed,
    parse_condition,
)

_LISTS = frozenset({"in", "not_in"})
_TEXT_MATCHES = frozenset({"like", "ilike", "contains", "starts_with", "ends_with"})
_MAX_LIST = 1000


@dataclass(frozen=True, slots=True)
class Condition:
    """`resolve` gives the filter for a caller; NEVER where it cannot be asked."""

    resolve: Callable[[Actor], Filter]
    personal: bool = False
    """Depends on more of the caller than the roles."""


UNFULFILLABLE = Condition(lambda _actor: NEVER)


def compile_condition(body: Any, entity: Entity, *, at: str) -> Condition:
    """One item of `conditions`; `at` is its path. Raises ValidationFailed with the path of the fault."""
    if not isinstance(body, Mapping):
        raise refused("condition must be an object", at=at)
    field = _read_field(body.get("field"), entity, at=f"{at}.field")
    operator = body.get("operator")
    if not isinstance(operator, str) or operator not in field.type.operators:
        raise refused(f"unknown operator: {shown(operator)}", at=f"{at}.operator")
    condition = _compile_value(field, operator, body.get("value"), at=f"{at}.value")
    # A condition is refused when nobody could ever be asked it: {{user.email}} of a number, say.
    if all(condition.resolve(sample) == NEVER for sample in SAMPLES):
        raise refused(f"invalid value for operator {operator}", at=f"{at}.value")
    return condition


def refused(message: str, *, at: str) -> ValidationFailed:
    return ValidationFailed(message, details=[Detail(message, field=at)])


def shown(value: Any) -> str:
    """A value of a definition as messages print it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _read_field(name: Any, entity: Entity, *, at: str) -> Field:
    if name is None or name == "":
        raise refused("field is required", at=at)
    if not isinstance(name, str) or name not in entity.fields:
        raise refused(f"unknown field: {shown(name)}", at=at)
    return entity.fields[name]


def _compile_value(field: Field, operator: str, value: Any, *, at: str) -> Condition:
    if operator in _LISTS:
        return _compile_list(field, operator, value, at=at)
    if operator == "between":
        return _compile_between(field, value, at=at)
    text = _marked(field, operator, value, at=at)
    if operator in _TEXT_MATCHES:
        # The pattern is made before the caller's values come in, so that their % and _ are no wildcards.
        pattern = _checked(field, operator, text, operator, at=at)
        return _personal(lambda actor: _filled_pattern(pattern, actor)) if is_marked(text) else _constant(pattern)
    if is_marked(text):
        return _personal(lambda actor: parse_condition(field, operator, fill(text, actor)))
    return _constant(_checked(field, operator, text, operator, at=at))


def _checked(field: Field, operator: str, text: str, said: str, *, at: str) -> Compare:
    """A value in the notation of URL filters; `said` is the operator of the condition it stands in."""
    try:
        return parse_condition(field, operator, text)
    except InvalidPayload as error:
        raise refused(f"invalid value for operator {said}", at=at) from error


def _filled_pattern(pattern: Compare, actor: Actor) -> Compare:
    return replace(pattern, operand=tuple(fill(part, actor) if type(part) is str else part for part in pattern.operand))


def _compile_list(field: Field, operator: str, value: Any, *, at: str) -> Condition:
    if is_roles(value):
        return _personal(lambda actor: _one_of(field, operator, sorted(actor.roles)), personal=False)
    if isinstance(value, str):
        items: Sequence[Any] = [item.strip() for item in value.split(",")] if value.strip() else []
        paths = [at] * len(items)
    elif isinstance(value, list):
        items, paths = value, [f"{at}[{position}]" for position in range(len(value))]
    else:
        raise refused(f"invalid value for operator {operator}", at=at)
    if len(items) > _MAX_LIST:
        raise refused(f"too many values for operator {operator} (max {_MAX_LIST})", at=at)
    texts = [_marked(field, operator, item, at=path) for item, path in zip(items, paths, strict=True)]
    for text, path in zip(texts, paths, strict=True):
        if not is_marked(text):
            _checked(field, "eq", text, operator, at=path)
    if not any(map(is_marked, texts)):
        return _constant(_one_of(field, operator, texts))
    return _personal(lambda actor: _one_of(field, operator, [fill(text, actor) for text in texts]))


def _one_of(field: Field, operator: str, texts: Sequence[str]) -> Compare:
    return Compare(field, operator, tuple(parse_condition(field, "eq", text).operand for text in texts))


def _compile_between(field: Field, value: Any, *, at: str) -> Condition:
    bounds = value.split(",") if isinstance(value, str) else value
    if not isinstance(bounds, list) or len(bounds) != 2:
        raise refused("invalid value for operator between", at=at)
    low, high = (
        _marked(field, "between", bound.strip() if isinstance(bound, str) else bound, at=at) for bound in bounds
    )
    for text in (low, high):
        if not is_marked(text):
            _checked(field, "eq", text, "between", at=at)

    def compare(fill_in: Callable[[str], str]) -> Compare:
        operands = (parse_condition(field, "eq", fill_in(text)).operand for text in (low, high))
        return Compare(field, "between", tuple(operands))

    if is_marked(low + high):
        return _personal(lambda actor: compare(lambda text: fill(text, actor)))
    return _constant(compare(lambda text: text))


def _marked(field: Field, operator: str, value: Any, *, at: str) -> str:
    """A JSON scalar in the notation of URL filters, templates marked. Raises ValidationFailed."""
    fault = refused(f"invalid value for operator {operator}", at=at)
    match value:
        case str():
            try:
                return mark(value)
            except UnknownTemplate as unknown:
                raise refused(f"unknown template: {unknown}", at=at) from unknown
            except ValueError as error:
                raise fault from error
        case bool() if _takes_booleans(field, operator):
            return "true" if value else "false"
        case int() | float() if not isinstance(value, bool) and (operator == "is_null" or not _is_text(field)):
            return str(int(value)) if value == int(value) else repr(value)
    raise fault


def _takes_booleans(field: Field, operator: str) -> bool:
    return operator == "is_null" or field.type.canonical == "boolean"


def _is_text(field: Field) -> bool:
    return field.type.canonical == "string"


def _constant(filter: Filter) -> Condition:
    return Condition(lambda _actor: filter)


def _personal(resolve: Callable[[Actor], Filter], *, personal: bool = True) -> Condition:
    """What cannot be asked of a caller, because a template is null or of another type, is not fulfilled."""

    def resolved(actor: Actor) -> Filter:
        try:
            return resolve(actor)
        except (LookupError, InvalidPayload):
            return NEVER

    return Condition(resolved, personal)
