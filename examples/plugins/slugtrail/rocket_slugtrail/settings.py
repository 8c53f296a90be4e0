from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from rocket_kernel import Range


@dataclass(frozen=True, slots=True)
class SlugtrailSettings:
    status: Literal[301, 308] = 308
    """Of the redirect."""
    most_per_record: Annotated[int, Range(1, 1000)] = 50
    """Old slugs kept of one record, the newest ones."""
