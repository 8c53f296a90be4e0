"""Which definitions a caller may see, where a kind is open to every caller that is signed in."""

from __future__ import annotations

from typing import Any, Protocol

from rocket_kernel.actor import Actor


class MetadataPolicy(Protocol):
    def shows(self, actor: Actor, kind: str, item: Any) -> bool:
        """Whether an item of a kind, such as an Entity of `entities`, exists for the caller. Pure."""
        ...
