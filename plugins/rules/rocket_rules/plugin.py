"""The hooks of the plugin: each gathers, delegates and returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rocket_kernel import Entity, MetadataKind, Model, Plugin, Step, hookimpl
from rocket_rules.kind import RULE_KIND
from rocket_rules.steps import compile_steps


class RulesPlugin(Plugin):
    name = "rules"
    version = "0.1.0"

    @hookimpl
    def register_metadata_kinds(self) -> Sequence[MetadataKind[Any]]:
        return [RULE_KIND]

    @hookimpl
    def compile_write_steps(self, entity: Entity, model: Model) -> Sequence[Step]:
        return compile_steps(entity, model)
