"""The hooks of the plugin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rocket_kernel import Entity, MetadataKind, Model, Plugin, Route, Step, hookimpl
from rocket_statemachines.kind import STATE_MACHINE_KIND
from rocket_statemachines.moves import compile_steps
from rocket_statemachines.routes import ROUTES


class StateMachinesPlugin(Plugin):
    name = "statemachines"
    version = "0.1.0"

    @hookimpl
    def register_metadata_kinds(self) -> Sequence[MetadataKind[Any]]:
        return [STATE_MACHINE_KIND]

    @hookimpl
    def register_routes(self) -> Sequence[Route]:
        return ROUTES

    @hookimpl
    def compile_write_steps(self, entity: Entity, model: Model) -> Sequence[Step]:
        return compile_steps(entity, model)
