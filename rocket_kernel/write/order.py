"""What to write: the request, before anything is known of the record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rocket_kernel.write.idempotency import Ticket


@dataclass(frozen=True, slots=True)
class WriteOrder:
    """`action` is create, update or delete; `body` holds JSON values, as of a client."""

    action: str
    entity: str
    body: Mapping[str, Any]
    id_text: str = ""
    """An id or slug as a path has it; empty on create."""
    if_match: str | None = None
    """The value of the header; on create it has no meaning."""
    ticket: Ticket | None = None
    """Of a create that may have been sent before."""
    by_key: bool = False
    """`id_text` is a primary key and never a slug."""
