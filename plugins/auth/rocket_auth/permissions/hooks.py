"""The hooks by which the kernel asks for permissions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rocket_auth.permissions.metadata import VisibleMetadata
from rocket_auth.permissions.model import PERMISSION_KIND
from rocket_auth.permissions.reading import ReadRules
from rocket_auth.permissions.rules import RuleBook, compile_rules
from rocket_auth.permissions.writing import WriteRules
from rocket_kernel import Entity, MetadataKind, MetadataPolicy, Model, ReadPolicy, Step, WritePolicy, hookimpl


class PermissionHooks:
    """A part of the plugin class."""

    _compiled: tuple[Model, RuleBook] | None = None

    @hookimpl
    def register_metadata_kinds(self) -> Sequence[MetadataKind[Any]]:
        return [PERMISSION_KIND]

    @hookimpl
    def compile_read_policy(self, entity: Entity, model: Model) -> ReadPolicy | None:
        return ReadRules(entity, self._rules(model).entities[entity.name]["read"])

    @hookimpl
    def compile_write_steps(self, entity: Entity, model: Model) -> Sequence[Step]:
        return WriteRules(self._rules(model).entities[entity.name]).steps()

    @hookimpl
    def compile_write_policy(self, entity: Entity, model: Model) -> WritePolicy | None:
        return WriteRules(self._rules(model).entities[entity.name])

    @hookimpl
    def compile_metadata_policy(self, model: Model) -> MetadataPolicy | None:
        return VisibleMetadata(self._rules(model))

    def _rules(self, model: Model) -> RuleBook:
        """Compiled once for all entities of a model; nothing else is compiled in between."""
        known = self._compiled
        if known is None or known[0] is not model:
            known = self._compiled = (model, compile_rules(model))
        return known[1]
