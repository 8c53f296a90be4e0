"""Where a step leads: `"end"`, a step's id, or an object with `goto`."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from rocket_workflows.refusal import refuse, shown

END = "end"


def read_goto(value: Any) -> str | None:
    """The target as written; None when none is given. Raises ValueError for another form."""
    if isinstance(value, dict):
        value = value.get("goto")
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ValueError("a step id expected")
    return value


def parse_goto(value: Any, steps: Collection[str], *, at: str) -> str | None:
    """A target that exists, or None when none is given. Raises ValidationFailed."""
    try:
        target = read_goto(value)
    except ValueError:
        target = ""
    if target is None or target == END or target in steps:
        return target
    raise refuse(f"goto target '{target or shown(value)}' references unknown step", at=at)
