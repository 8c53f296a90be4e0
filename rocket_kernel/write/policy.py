"""What a caller may write, told before it writes. Plugins answer through the hook `compile_write_policy`.

It refuses nothing: that is for steps of the pipeline, which see the record. It is asked by whoever has to know ahead,
such as the description of an app's API.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from rocket_kernel.actor import Actor


@dataclass(frozen=True, slots=True)
class WriteGrant:
    """What one caller may do to one entity by one action."""

    fields: frozenset[str] | None = None
    """The fields it may give values to in some record; None is all."""


class WritePolicy(Protocol):
    def grant(self, actor: Actor, action: str) -> WriteGrant:
        """`action` is create, update or delete. Pure. Raises Forbidden when the caller may do so to no record."""
        ...
