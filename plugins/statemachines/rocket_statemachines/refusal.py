"""The error of a fault inside a definition."""

from __future__ import annotations

from rocket_kernel import Detail, ValidationFailed


def refuse(message: str, at: str) -> ValidationFailed:
    """`at` is the path of the fault, such as `definition.transitions[1].guard`."""
    return ValidationFailed(message, details=[Detail(message, field=at)])
