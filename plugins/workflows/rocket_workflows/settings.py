"""The plugin's settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from rocket_kernel import Range

_DEEPEST_CHAIN = 10
"""The kernel allows no longer chains of writes."""


@dataclass(frozen=True, slots=True)
class WorkflowSettings:
    lease_s: Annotated[int, Range(1)] = 30
    """Seconds after which an instance goes on elsewhere when its process has died."""
    max_steps: Annotated[int, Range(1)] = 1000
    """Steps an instance may execute before it is taken for a circle."""
    max_chain_depth: Annotated[int, Range(0, _DEEPEST_CHAIN)] = 10
    """How many instances may start each other."""
