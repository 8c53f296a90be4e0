"""An app's metadata in force: an immutable snapshot with everything compiled.

It is replaced whole and never edited; a request keeps the one it started with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rocket_kernel.errors import UnknownEntity
from rocket_kernel.metadata.entity import Entity
from rocket_kernel.metadata.model import Model

if TYPE_CHECKING:
    from rocket_kernel.query.access import ReadPolicy
    from rocket_kernel.query.shape import Shape
    from rocket_kernel.write.pipeline import Pipeline


@dataclass(frozen=True, slots=True)
class CompiledEntity:
    entity: Entity
    shape: Shape
    read_policies: tuple[ReadPolicy, ...]
    pipeline: Pipeline


@dataclass(frozen=True, slots=True)
class Registry:
    revision: int
    """Grows with every change of metadata."""
    model: Model
    compiled: Mapping[str, CompiledEntity]
    memo: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)
    """What was found out about the data at one version of the database; never needed, only faster."""

    def entity(self, name: str) -> CompiledEntity:
        """Raises UnknownEntity."""
        found = self.compiled.get(name)
        if found is None:
            raise UnknownEntity(name)
        return found
