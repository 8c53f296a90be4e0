"""An app's metadata in force: an immutable snapshot with everything compiled.

It is replaced whole and never edited; a request keeps the one it started with.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rocket_kernel.actor import Actor
from rocket_kernel.errors import UnknownEntity
from rocket_kernel.metadata.entity import Entity
from rocket_kernel.metadata.model import Model
from rocket_kernel.metadata.visibility import MetadataPolicy

if TYPE_CHECKING:
    from rocket_kernel.query.access import ReadPolicy
    from rocket_kernel.query.shape import Shape
    from rocket_kernel.write.pipeline import Pipeline
    from rocket_kernel.write.policy import WritePolicy


@dataclass(frozen=True, slots=True)
class CompiledEntity:
    entity: Entity
    shape: Shape
    read_policies: tuple[ReadPolicy, ...]
    pipeline: Pipeline
    write_policies: tuple[WritePolicy, ...] = ()


@dataclass(frozen=True, slots=True)
class Registry:
    revision: int
    """Grows with every change of metadata."""
    model: Model
    compiled: Mapping[str, CompiledEntity]
    callers: int = 0
    """Grows whenever somebody who may call changes or goes. It is no metadata, but read together with its revision."""
    listeners: tuple[Callable[..., Awaitable[None]], ...] = ()
    """The plugins' implementations of `on_event`, see `emit_event`."""
    metadata_policies: tuple[MetadataPolicy, ...] = ()
    secret_slugs: frozenset[str] = frozenset()
    """Entities whose records go by a slug that is a sensitive field."""
    memo: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)
    """What was found out about the data at one version of the database; never needed, only faster."""
    pages: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)
    """Pages that took long to find, with the version they were found at; likewise."""

    def shows(self, actor: Actor, kind: str, item: Any) -> bool:
        """Whether an item of metadata exists for a caller; for kinds whose readers are all that are signed in."""
        return all(policy.shows(actor, kind, item) for policy in self.metadata_policies)

    def entity(self, name: str) -> CompiledEntity:
        """Raises UnknownEntity."""
        found = self.compiled.get(name)
        if found is None:
            raise UnknownEntity(name)
        return found
