"""A state machine as it is defined: one field of one entity, its initial state and its transitions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rocket_kernel import Expression

NOW = "now"


@dataclass(frozen=True, slots=True)
class SetField:
    field: str
    value: Any
    """A JSON value; the text `now` stands for the current time."""


@dataclass(frozen=True, slots=True)
class CreateRecord:
    entity: str
    data: Mapping[str, Any]
    """JSON values; texts such as `record.total` stand for values of the record that is moved."""


@dataclass(frozen=True, slots=True)
class SendEvent:
    event: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ReachOutside:
    """An action of a type that another plugin brings."""

    definition: Mapping[str, Any]

    @property
    def type(self) -> str:
        return str(self.definition["type"])


Action = SetField | CreateRecord | SendEvent | ReachOutside


@dataclass(frozen=True, slots=True)
class Guard:
    """Truthy lets a transition pass. `expression` is None when the source cannot be compiled any more."""

    source: str
    expression: Expression | None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Transition:
    """States are text forms of the field's values."""

    sources: tuple[str, ...]
    to: str
    roles: frozenset[str] = frozenset()
    """Lower-case; empty lets everyone pass."""
    guard: Guard | None = None
    actions: tuple[Action, ...] = ()


@dataclass(frozen=True, slots=True)
class Machine:
    entity: str
    field: str
    active: bool
    initial: str
    """Text form of the initial state."""
    transitions: tuple[Transition, ...]
    definition: Mapping[str, Any]
    """As it was given, unknown keys included. Not to be changed."""
    uses: frozenset[tuple[str, str]]
    """Entities and fields without which the machine would break."""

    def leading(self, before: str, after: str) -> tuple[Transition, ...]:
        """The transitions from one state to another, in list order."""
        return tuple(it for it in self.transitions if it.to == after and before in it.sources)

    def targets(self, state: str | None) -> tuple[str, ...]:
        """The states that follow one, each once, in list order; None is no state yet."""
        if state is None:
            return (self.initial,)
        return tuple(dict.fromkeys(it.to for it in self.transitions if state in it.sources))
