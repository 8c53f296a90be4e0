"""The compiled steps of one entity: what a write runs, and what `rocket plugins --pipeline` prints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from rocket_kernel.step_times import StepTime
from rocket_kernel.write.stages import ACTIONS, CREATE_AND_UPDATE, DELETE, POSITION, STAGES, Stage, Step

NO_STEPS: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Steps by action and stage, in running order."""

    steps: Mapping[tuple[str, Stage], tuple[Step, ...]] = field(default_factory=dict)
    fills: frozenset[str] = frozenset()
    """Fields that some step computes."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Wire values of fields that are absent on create."""
    times: Mapping[str, StepTime] = field(default_factory=dict)
    """By the names of the steps."""
    external: bool = False
    """Something outside the database judges writes of this entity, or of one that is written together with it."""

    def at(self, action: str, stage: Stage) -> tuple[Step, ...]:
        return self.steps.get((action, stage), NO_STEPS) if self.steps else NO_STEPS


def compile_pipeline(steps: Iterable[Step], plugin_order: Mapping[str, int]) -> Pipeline:
    """Sort by stage, then declared plugin order, then name. The order of installation never counts."""
    ordered = sorted(
        steps, key=lambda step: (POSITION[step.stage], plugin_order.get(step.name.split(":", 1)[0], -1), step.name)
    )
    table: dict[tuple[str, Stage], tuple[Step, ...]] = {}
    for step in ordered:
        for action in step.actions:
            table[action, step.stage] = (*table.get((action, step.stage), ()), step)
    return Pipeline(
        steps=MappingProxyType(table),
        fills=frozenset().union(*(step.fills for step in ordered)),
        defaults=MappingProxyType({name: value for step in ordered for name, value in step.defaults.items()}),
        external=any(step.stage is Stage.BEFORE_WEBHOOKS for step in ordered),
    )


_KERNEL_WORK: Mapping[Stage, tuple[frozenset[str], str]] = MappingProxyType(
    {
        Stage.LOAD: (frozenset({"update", "delete"}), "kernel:load"),
        Stage.CLASSIFY: (CREATE_AND_UPDATE, "kernel:classify"),
        Stage.CONVERT: (CREATE_AND_UPDATE, "kernel:convert"),
        Stage.SLUG: (CREATE_AND_UPDATE, "kernel:slug"),
        Stage.LOCK: (frozenset(ACTIONS), "kernel:lock"),
        Stage.WRITE: (frozenset(ACTIONS), "kernel:write"),
        Stage.NESTED: (CREATE_AND_UPDATE, "kernel:nested"),
        Stage.COMMIT: (frozenset(ACTIONS), "kernel:commit"),
        Stage.RESPOND: (frozenset(ACTIONS), "kernel:respond"),
    }
)


def describe(pipeline: Pipeline, action: str, *, has_slug: bool) -> list[tuple[str, str]]:
    """`(stage, step name)` in running order, the kernel's own work included."""
    lines: list[tuple[str, str]] = []
    for stage in STAGES:
        actions, name = _KERNEL_WORK.get(stage, (frozenset[str](), ""))
        if stage is Stage.WRITE and action == DELETE:
            lines.append((str(stage), "kernel:on_delete"))
        if action in actions and (stage is not Stage.SLUG or has_slug):
            lines.append((str(stage), name))
        lines.extend((str(stage), step.name) for step in pipeline.at(action, stage))
    return lines
