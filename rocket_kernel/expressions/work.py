"""What one evaluation may use up, and where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rocket_kernel.expressions.errors import Fault
from rocket_kernel.expressions.limits import MAX_LIST, MAX_STEPS, MAX_TEXT

# Steps for one element: comparing and printing take longer than the usual step.
COMPARED, PRINTED = 2, 4

_LONG = 1024
_CHARACTERS_A_STEP = 64
_MADE_A_STEP = 16


class Work:
    """Counts steps down. Long texts cost steps by their length, so that steps bound time and memory."""

    __slots__ = ("left",)

    def __init__(self, steps: int) -> None:
        self.left = steps

    def spend(self, steps: int) -> None:
        """Raises Fault when the evaluation has gone on for too long."""
        self.left -= steps
        if self.left < 0:
            raise Fault(f"too many steps (max {MAX_STEPS})")

    def reads(self, text: str) -> None:
        """A text is looked through."""
        if len(text) > _LONG:
            self.spend(len(text) // _CHARACTERS_A_STEP)

    def makes(self, length: int) -> None:
        """A text of so many characters is about to be made."""
        if length > _LONG:
            if length > MAX_TEXT:
                raise Fault(f"text too long (max {MAX_TEXT} characters)")
            self.spend(length // _MADE_A_STEP)


def require_list_size(length: int) -> None:
    if length > MAX_LIST:
        raise Fault(f"list too long (max {MAX_LIST} elements)")


class Frame:
    """Where names are looked up: the values handed in, and inside an `e` the element at hand."""

    __slots__ = ("item", "outer", "values", "work")

    def __init__(self, values: Mapping[str, Any], work: Work, outer: Frame | None = None) -> None:
        self.values = values
        self.work = work
        self.outer = outer
        self.item: Any = None
