"""Which steps of plugins run: recorded without a word of the plugins."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from types import MappingProxyType, TracebackType

from rocket_kernel.apps.context import AppContext
from rocket_kernel.metadata.registry import CompiledEntity, Registry
from rocket_kernel.parts import KERNEL
from rocket_kernel.testing.client import Client
from rocket_kernel.write.context import Write
from rocket_kernel.write.stages import Step


@dataclass(frozen=True, slots=True)
class StepRun:
    """One step that ran for one record, to its end or not."""

    name: str
    stage: str
    entity: str
    action: str


@dataclass(slots=True, eq=False)
class StepRecorder(AbstractAsyncContextManager["StepRecorder"]):
    """Notes the steps that run in the client's app inside an `async with` block, in order.

    It puts recording steps into the registry in force, so a change of metadata inside the block ends the recording:
    define first, then record. Only the client's own kernel is watched.
    """

    client: Client
    runs: list[StepRun] = field(default_factory=list)
    _watched: tuple[AppContext, Registry, Registry] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(run.name for run in self.runs)

    async def __aenter__(self) -> StepRecorder:
        if self.client.app_name is None:
            raise ValueError("steps belong to an app, and this client is bound to none: see Client.app")
        app = await self.client.kernel.apps.app(self.client.app_name)
        recording = self._recording(app.registry)
        self._watched = (app, app.registry, recording)
        app.registry = recording
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._watched is not None:
            app, former, recording = self._watched
            if app.registry is recording:
                app.registry = former
            self._watched = None

    def _recording(self, registry: Registry) -> Registry:
        compiled = {name: self._recording_entity(item) for name, item in registry.compiled.items()}
        return replace(registry, compiled=MappingProxyType(compiled))

    def _recording_entity(self, item: CompiledEntity) -> CompiledEntity:
        steps = {
            place: tuple(replace(step, run=self._noting(step)) if _of_a_plugin(step) else step for step in steps)
            for place, steps in item.pipeline.steps.items()
        }
        return replace(item, pipeline=replace(item.pipeline, steps=MappingProxyType(steps)))

    def _noting(self, step: Step) -> Callable[[Write], Awaitable[None]]:
        async def run(write: Write) -> None:
            self.runs.append(StepRun(step.name, str(step.stage), write.entity.name, write.action))
            await step.run(write)

        return run


def _of_a_plugin(step: Step) -> bool:
    return not step.name.startswith(f"{KERNEL}:")
