"""A workflow's definition -> Workflow, in the contract's order of checks (§9.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rocket_kernel import Expression, ExpressionError, Model, compile_expression, scope
from rocket_workflows.check import check_references
from rocket_workflows.context import Path, parse_path
from rocket_workflows.definition import Workflow
from rocket_workflows.parse_steps import LONGEST_NAME, Compile, build_steps, outline_steps
from rocket_workflows.parse_trigger import build_trigger, outline_trigger
from rocket_workflows.refusal import refuse

CONDITION_NAMES = ("context", "user", "now")
DEFINITION = ("trigger", "context", "steps")
"""What makes a version of a workflow."""


def parse_workflow(body: Mapping[str, Any], model: Model) -> Workflow:
    """Every name it mentions is looked up in `model`. Raises ValidationFailed."""
    workflow = _parse(body, _strict(model))
    check_references(workflow, model)
    return workflow


def load_workflow(body: Mapping[str, Any], model: Model) -> Workflow:
    """As it was stored: what it names may be gone by now, and shows when a step needs it."""
    return _parse(body, _lenient(model))


def _parse(body: Mapping[str, Any], compile: Compile) -> Workflow:
    name = _parse_name(body.get("name"))
    trigger = outline_trigger(body.get("trigger"))
    outline = outline_steps(body.get("steps"))
    context = _parse_context(body.get("context"))
    active = body.get("active")
    if active is not None and not isinstance(active, bool):
        raise refuse("active must be true or false", at="active")
    return Workflow(
        name=name,
        active=active is not False,
        trigger=build_trigger(trigger),
        context=context,
        steps=build_steps(outline, compile),
        body={"trigger": dict(trigger), "context": body.get("context") or {}, "steps": body["steps"]},
    )


def _parse_name(name: Any) -> str:
    if not isinstance(name, str) or not name.strip():
        raise refuse("workflow name is required", at="name")
    if len(name) > LONGEST_NAME:
        raise refuse(f"workflow name must be at most {LONGEST_NAME} characters", at="name")
    return name


def _parse_context(body: Any) -> dict[str, Path | None]:
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise refuse("context must be an object", at="context")
    return {name: parse_path(value) for name, value in body.items()}


def _strict(model: Model) -> Compile:
    def compile(source: str, at: str) -> Expression:
        try:
            return _compiled(source, model)
        except ExpressionError as error:
            raise refuse(f"invalid expression: {error}", at=at) from error

    return compile


def _lenient(model: Model) -> Compile:
    def compile(source: str, _at: str) -> Expression | ExpressionError:
        try:
            return _compiled(source, model)
        except ExpressionError as error:
            return error

    return compile


def _compiled(source: str, model: Model) -> Expression:
    return compile_expression(source, scope(CONDITION_NAMES, model=model))
