"""A workflow's steps -> Step: contract §9.1. The first failing check raises ValidationFailed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Literal, cast

from rocket_kernel import Expression, ExpressionError
from rocket_workflows.definition import Action, ActionStep, ApprovalStep, Assignee, ConditionStep, Step, WaitStep
from rocket_workflows.durations import parse_duration
from rocket_workflows.goto import END, parse_goto
from rocket_workflows.refusal import is_name, refuse, shown

Compile = Callable[[str, str], Expression | ExpressionError]
"""`(source, path of the source)`; raises ValidationFailed where it is strict."""

LONGEST_NAME = 200
"""Characters of whatever stands in an index, whose entries are limited in size."""

TARGETS: Mapping[str, tuple[str, ...]] = {
    "action": ("then",),
    "condition": ("on_true", "on_false"),
    "approval": ("on_approve", "on_reject", "on_timeout"),
    "wait": ("then",),
}


def outline_steps(body: Any) -> list[tuple[str, Mapping[str, Any]]]:
    """Id and body of each step, after the checks of ids, types and targets, in the contract's order."""
    if not isinstance(body, list) or not body:
        raise refuse("at least one step is required", at="steps")
    seen: dict[str, Mapping[str, Any]] = {}
    for position, step in enumerate(body):
        at = f"steps[{position}]"
        if not isinstance(step, dict) or not is_name(step.get("id")):
            raise refuse("step id is required", at=f"{at}.id")
        id = step["id"]
        if id in seen:
            raise refuse(f"duplicate step id: {id}", at=f"{at}.id")
        if id == END or len(id) > LONGEST_NAME:
            raise refuse(f"invalid step id: {id[:LONGEST_NAME]}", at=f"{at}.id")
        type = step.get("type")
        if not isinstance(type, str) or type not in TARGETS:
            raise refuse(f"invalid step type: {shown(step.get('type', ''))}", at=f"{at}.type")
        seen[id] = step
    for position, step in enumerate(seen.values()):
        for key in TARGETS[step["type"]]:
            parse_goto(step.get(key), seen, at=f"steps[{position}].{key}")
    return list(seen.items())


def build_steps(outline: list[tuple[str, Mapping[str, Any]]], compile: Compile) -> dict[str, Step]:
    """Steps by id, with everything parsed that needs no metadata."""
    ids = {id for id, _ in outline}

    def target(body: Mapping[str, Any], key: str, at: str) -> str | None:
        return parse_goto(body.get(key), ids, at=f"{at}.{key}")

    def build(id: str, body: Mapping[str, Any], at: str) -> Step:
        match body["type"]:
            case "action":
                return ActionStep(id, _actions(body, at), target(body, "then", at) or END)
            case "condition":
                on_true, on_false = (target(body, key, at) or END for key in ("on_true", "on_false"))
                return ConditionStep(id, _expression(body, compile, at), on_true, on_false)
            case "wait":
                return WaitStep(id, _duration(body.get("duration"), f"{at}.duration"), target(body, "then", at) or END)
            case _:
                timeout = body.get("timeout")
                return ApprovalStep(
                    id,
                    _assignee(body.get("assignee"), f"{at}.assignee"),
                    None if timeout is None else _duration(timeout, f"{at}.timeout"),
                    target(body, "on_approve", at) or END,
                    target(body, "on_reject", at) or END,
                    target(body, "on_timeout", at),
                )

    return {id: build(id, body, f"steps[{position}]") for position, (id, body) in enumerate(outline)}


def _expression(body: Mapping[str, Any], compile: Compile, at: str) -> Expression | ExpressionError:
    source = body.get("expression")
    if not isinstance(source, str) or not source.strip():
        raise refuse("expression is required", at=f"{at}.expression")
    return compile(source, f"{at}.expression")


def _duration(value: Any, at: str) -> timedelta:
    try:
        return parse_duration(value)
    except ValueError as error:
        raise refuse(f"invalid duration: {shown(value)}", at=at) from error


def _assignee(body: Any, at: str) -> Assignee | None:
    if body is None:
        return None
    if not isinstance(body, dict):
        raise refuse("assignee must be an object", at=at)
    type, keys = body.get("type"), {"role": "role", "relation": "path", "fixed": "user"}
    key = keys.get(type) if isinstance(type, str) else None
    if key is None:
        raise refuse(f"invalid assignee type: {shown(type if type is not None else '')}", at=f"{at}.type")
    value = body.get(key)
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST_NAME * 2:
        raise refuse(f"assignee {key} is required", at=f"{at}.{key}")
    wanted = value.strip().lower() if type == "role" else value.strip()
    return Assignee(cast("Literal['role', 'relation', 'fixed']", type), wanted, body)


def _actions(body: Mapping[str, Any], at: str) -> tuple[Action, ...]:
    actions = body.get("actions")
    if not isinstance(actions, list):
        raise refuse("actions must be a list", at=f"{at}.actions")
    return tuple(_action(action, f"{at}.actions[{position}]") for position, action in enumerate(actions))


def _action(body: Any, at: str) -> Action:
    if not isinstance(body, dict) or not is_name(body.get("type")):
        raise refuse("action type is required", at=f"{at}.type")
    strict = body.get("strict")
    if strict is not None and not isinstance(strict, bool):
        raise refuse("strict must be true or false", at=f"{at}.strict")
    return Action(body["type"], body, bool(strict))
