"""Trying an expression out on values of a client: what `changes` is, and the answer with all its digits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rocket_kernel.expressions.compare import equals
from rocket_kernel.expressions.errors import ExpressionError, Fault
from rocket_kernel.expressions.limits import MAX_STEPS
from rocket_kernel.expressions.values import json_text_of, value_of
from rocket_kernel.expressions.work import Work


class SampleChanges(Mapping[str, Any]):
    """`changes` of two records without an entity: members of either that are not equal, found out when asked."""

    __slots__ = ("_action", "_old", "_record", "_work")

    def __init__(self, action: str, old: Mapping[str, Any] | None, record: Mapping[str, Any]) -> None:
        self._action = action
        self._old = old
        self._record = record
        self._work = Work(MAX_STEPS)

    def get(self, name: str, default: Any = None) -> Any:
        if self._action == "delete":
            return default
        new = value_of(self._record.get(name))
        if self._old is None or self._action == "create":
            return default if new is None else {"new": new}
        old = value_of(self._old.get(name))
        return default if equals(old, new, self._work) else {"old": old, "new": new}

    def __getitem__(self, name: str) -> Any:
        found = self.get(name)
        if found is None:
            raise KeyError(name)
        return found

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def __iter__(self) -> Any:
        return (name for name in dict.fromkeys([*self._record, *(self._old or {})]) if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def sample_changes(action: str, old: Mapping[str, Any] | None, record: Mapping[str, Any]) -> Mapping[str, Any]:
    return SampleChanges(action, old, record)


def json_text(value: Any) -> str:
    """A value as JSON with all its digits. Raises ExpressionError beyond the limits."""
    try:
        return json_text_of(value, Work(MAX_STEPS))
    except Fault as fault:
        raise ExpressionError(fault.reason) from fault
