"""`POST _admin/expressions/test`: contract §7.8."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from rocket_kernel.errors import Detail, ValidationFailed
from rocket_kernel.expressions.environment import instant_value, user_values
from rocket_kernel.expressions.errors import ExpressionError
from rocket_kernel.expressions.expression import compile_expression
from rocket_kernel.expressions.sample import json_text, sample_changes
from rocket_kernel.expressions.scope import ALL_NAMES, scope
from rocket_kernel.http.messages import Request, Response, data
from rocket_kernel.http.router import AccessClass, Route
from rocket_kernel.openapi.operation import Operation, answers_data
from rocket_kernel.openapi.schema import ANY, object_of, one_of
from rocket_kernel.write.stages import ACTIONS, CREATE, UPDATE


async def test_expression(request: Request) -> Response:
    async with request.app.reading(request.actor) as (_session, registry):
        model = registry.model
    body = request.body
    source = body.get("expression")
    if source is None or source == "":
        raise _refused("expression is required", "expression")
    if not isinstance(source, str):
        raise _refused("expression must be a string", "expression")
    values = _values(request, body)
    try:
        found = compile_expression(source, scope(ALL_NAMES, model=model)).evaluate(values)
        text = json_text(found)
    except ExpressionError as error:
        detail = Detail(str(error.message), "expression", "expression", error.line, error.column)
        raise ValidationFailed(str(error), details=[detail]) from error
    return data({"value": msgspec.Raw(text.encode())})


def _values(request: Request, body: Mapping[str, Any]) -> dict[str, Any]:
    record = _object(body, "record")
    old = _object(body, "old")
    user = _object(body, "user")
    action = body.get("action")
    if action is None:
        action = CREATE if old is None else UPDATE
    if action not in ACTIONS:
        raise _refused(f"action must be one of: {', '.join(ACTIONS)}", "action")
    record = {} if record is None else record
    return {
        "record": record,
        "old": old,
        "changes": sample_changes(action, old, record),
        "action": action,
        "user": user_values(request.actor) if user is None else user,
        "related": {},
        "context": {},
        "now": instant_value(request.now),
    }


def _object(body: Mapping[str, Any], key: str) -> Mapping[str, Any] | None:
    value = body.get(key)
    if value is not None and not isinstance(value, Mapping):
        raise _refused(f"{key} must be an object", key)
    return value


def _refused(message: str, at: str) -> ValidationFailed:
    return ValidationFailed(message, details=[Detail(message, field=at)])


_TEST = Operation(
    summary="Evaluate an expression",
    tag="expressions",
    body={
        "type": "object",
        "required": ["expression"],
        "properties": {
            "expression": {"type": "string", "minLength": 1},
            "record": {"type": ["object", "null"]},
            "old": {"type": ["object", "null"]},
            "user": {"type": ["object", "null"]},
            "action": one_of(*ACTIONS, None),
        },
    },
    answers=answers_data(object_of({"value": ANY})),
)

ROUTES = (
    Route(
        method="POST",
        path="/api/:app/_admin/expressions/test",
        access=AccessClass.ADMIN,
        handler=test_expression,
        operation=_TEST,
    ),
)
