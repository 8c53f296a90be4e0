"""A model -> the registry in force: shapes, read policies and pipelines of every entity."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from rocket_kernel.errors import PluginError
from rocket_kernel.metadata.entity import Entity
from rocket_kernel.metadata.masking import is_sensitive
from rocket_kernel.metadata.model import Model
from rocket_kernel.metadata.registry import CompiledEntity, Registry
from rocket_kernel.metadata.visibility import MetadataPolicy
from rocket_kernel.plugins import Implementation, PluginSet
from rocket_kernel.query.access import ReadPolicy
from rocket_kernel.query.shape import compile_shape
from rocket_kernel.step_times import CUT_OFF_S
from rocket_kernel.store.dialects.base import Dialect
from rocket_kernel.write.context import Write
from rocket_kernel.write.pipeline import Pipeline, compile_pipeline
from rocket_kernel.write.policy import WritePolicy
from rocket_kernel.write.stages import ACTIONS, CREATE_AND_UPDATE, DELETE, KERNEL_STAGES, Stage, Step

_PARTICIPANTS: tuple[tuple[str, Stage, frozenset[str]], ...] = (
    ("before_write", Stage.BEFORE_WRITE, CREATE_AND_UPDATE),
    ("before_delete", Stage.BEFORE_WRITE, frozenset({DELETE})),
    ("after_write", Stage.AFTER_WRITE, CREATE_AND_UPDATE),
    ("after_delete", Stage.AFTER_WRITE, frozenset({DELETE})),
    ("after_commit", Stage.AFTER_WEBHOOKS, frozenset(ACTIONS)),
)


def compile_registry(revision: int, model: Model, dialect: Dialect, plugins: PluginSet, app: str) -> Registry:
    """Raises whatever a plugin refuses the metadata with; PluginError for a plugin's defect."""
    with plugins.naming_places():
        return _compiled(revision, model, dialect, plugins, app)


def _compiled(revision: int, model: Model, dialect: Dialect, plugins: PluginSet, app: str) -> Registry:
    participants = _participant_steps(plugins)
    compiled = {
        entity.name: CompiledEntity(
            entity=entity,
            shape=compile_shape(entity, dialect, app),
            read_policies=_read_policies(entity, model, plugins),
            pipeline=_pipeline(entity, model, plugins, participants),
            write_policies=_write_policies(entity, model, plugins),
        )
        for entity in model.entities.values()
    }
    listeners = tuple(implementation.call for implementation in plugins.of("on_event"))
    return Registry(
        revision,
        model,
        MappingProxyType(_with_external_reach(compiled, model)),
        listeners=listeners,
        metadata_policies=_metadata_policies(model, plugins),
        secret_slugs=frozenset(entity.name for entity in model.entities.values() if _goes_by_a_secret(entity)),
    )


def _goes_by_a_secret(entity: Entity) -> bool:
    return entity.slug is not None and is_sensitive(entity, entity.slug.field)


def _pipeline(entity: Entity, model: Model, plugins: PluginSet, participants: list[Step]) -> Pipeline:
    steps = list(participants)
    for plugin, step in plugins.collect("compile_write_steps", Step, entity=entity, model=model):
        _require_sound(plugin, step)
        steps.append(step)
    times = {step.name: plugins.times.of(step.name, _limit_s(step)) for step in steps}
    return replace(compile_pipeline(steps, plugins.order), times=times)


def _limit_s(step: Step) -> float | None:
    """Who asks the outside world has a limit of his own, and holds nothing that others wait for."""
    return None if step.stage is Stage.BEFORE_WEBHOOKS else CUT_OFF_S


def _require_sound(plugin: str, step: Step) -> None:
    hook = "compile_write_steps"
    if not step.name.startswith(f"{plugin}:"):
        raise PluginError(plugin, f"step {step.name!r} must begin with {plugin!r} and a colon", hook=hook)
    if step.stage in KERNEL_STAGES:
        raise PluginError(plugin, f"step {step.name!r}: the stage {step.stage} is the kernel's alone", hook=hook)


def _participant_steps(plugins: PluginSet) -> list[Step]:
    return [
        Step(stage, f"{implementation.plugin}:{hook}", _participant(implementation), actions)
        for hook, stage, actions in _PARTICIPANTS
        for implementation in plugins.of(hook)
    ]


def _participant(implementation: Implementation) -> Callable[[Write], Awaitable[None]]:
    run: Callable[[Write], Awaitable[None]] = implementation.participant("write")
    return run


def _read_policies(entity: Entity, model: Model, plugins: PluginSet) -> tuple[ReadPolicy, ...]:
    found = (implementation.call(entity=entity, model=model) for implementation in plugins.of("compile_read_policy"))
    return tuple(policy for policy in found if policy is not None)


def _write_policies(entity: Entity, model: Model, plugins: PluginSet) -> tuple[WritePolicy, ...]:
    found = (implementation.call(entity=entity, model=model) for implementation in plugins.of("compile_write_policy"))
    return tuple(policy for policy in found if policy is not None)


def _metadata_policies(model: Model, plugins: PluginSet) -> tuple[MetadataPolicy, ...]:
    found = (implementation.call(model=model) for implementation in plugins.of("compile_metadata_policy"))
    return tuple(policy for policy in found if policy is not None)


def _with_external_reach(compiled: Mapping[str, CompiledEntity], model: Model) -> dict[str, CompiledEntity]:
    """Mark every entity whose writes can bring along a record that the outside world judges."""
    reach = {name for name, item in compiled.items() if item.pipeline.external}
    grown = bool(reach)
    while grown:
        nearer = {relation.source for relation in model.relations.values() if relation.target in reach}
        grown = not nearer <= reach
        reach |= nearer
    return {
        name: replace(item, pipeline=replace(item.pipeline, external=True)) if name in reach else item
        for name, item in compiled.items()
    }
