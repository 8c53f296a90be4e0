"""How a definition is refused, and how its values are printed."""

from __future__ import annotations

import json
from typing import Any

from rocket_kernel import Detail, ValidationFailed


def refuse(message: str, *, at: str | None = None) -> ValidationFailed:
    """`at` is the path of the fault inside the definition, such as `steps[0].expression`."""
    return ValidationFailed(message, details=() if at is None else (Detail(message, field=at),))


def shown(value: Any) -> str:
    """A value of a definition as messages print it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def is_name(value: Any) -> bool:
    """A text that is not empty."""
    return isinstance(value, str) and bool(value)
