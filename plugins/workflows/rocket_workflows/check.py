"""Whether everything a workflow names exists: entities, fields, roles, context names, relation paths, actions."""

from __future__ import annotations

from rocket_kernel import Entity, Model
from rocket_workflows.check_actions import check_action
from rocket_workflows.context import check_path
from rocket_workflows.definition import ActionStep, ApprovalStep, Trigger, Workflow
from rocket_workflows.refusal import refuse


def check_references(workflow: Workflow, model: Model) -> None:
    """Raises ValidationFailed for the first name that is unknown: trigger, context, then step by step."""
    entity = check_trigger(workflow.trigger, model)
    for name, path in workflow.context.items():
        if path is not None:
            check_path(path, entity, at=f"context.{name}")
    for position, step in enumerate(workflow.steps.values()):
        at = f"steps[{position}]"
        if isinstance(step, ActionStep):
            for number, action in enumerate(step.actions):
                check_action(action, model, workflow.context, at=f"{at}.actions[{number}]")
        elif isinstance(step, ApprovalStep) and step.assignee is not None and step.assignee.type == "relation":
            check_assignee_path(step.assignee.value, entity, model, at=f"{at}.assignee.path")


def check_trigger(trigger: Trigger, model: Model) -> Entity | None:
    """The trigger's entity. Raises ValidationFailed."""
    if trigger.entity is None:
        return None
    entity = model.entities.get(trigger.entity)
    if entity is None:
        raise refuse(f"entity not found: {trigger.entity}", at="trigger.entity")
    if trigger.field is not None and trigger.field not in entity.fields:
        raise refuse(f"field not found: {trigger.field}", at="trigger.field")
    return entity


def check_assignee_path(path: str, entity: Entity | None, model: Model, *, at: str) -> None:
    """To-one relations from the trigger's entity, then a field. Raises ValidationFailed."""
    if entity is None:
        raise refuse("assignee path needs a trigger entity", at=at)
    *keys, name = path.split(".")
    for key in keys:
        hop = model.hop(entity.name, key)
        if hop is None:
            raise refuse(f"unknown relation: {key}", at=at)
        if hop.many:
            raise refuse(f"assignee path must follow to-one relations: {key}", at=at)
        entity = model.entities[hop.target]
    if name not in entity.fields:
        raise refuse(f"field not found: {name}", at=at)
