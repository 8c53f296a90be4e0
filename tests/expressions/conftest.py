from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from rocket_kernel import compile_expression, plain, scope
from rocket_kernel.expressions.scope import ALL_NAMES

NOW = datetime(2026, 3, 4, 5, 6, 7, 89000, tzinfo=UTC)

VALUES: Mapping[str, Any] = {
    "action": "update",
    "user": {"id": "u7", "roles": ["clerk"]},
    "old": {"price": "1.00"},
    "record": {
        "sku": "AB-204",
        "qty": "12",
        "price": "2.50",
        "kind": "loan",
        "note": None,
        "tags": ["new", "sale"],
        "starts_on": "2026-03-01",
        "ends_on": "2026-04-15",
        "meta": {"level": "high"},
        "owner": "u7",
    },
    "related": {"lines": [{"qty": 2, "price": "4.00"}, {"qty": 1, "price": "9.50"}]},
    "changes": {"price": {"old": "1.00", "new": "2.50"}},
    "context": {"numbers": [3, 1, 2], "empty": [], "map": {"a": 1, "length": 9}, "deep": [[1, "2"], {"k": [None]}]},
    "now": NOW,
}

Value = Callable[..., Any]


@pytest.fixture(scope="session")
def value_of() -> Value:
    """A function: source and further names -> value, as JSON."""

    def evaluate(source: str, **names: Any) -> Any:
        return plain(compile_expression(source, scope(ALL_NAMES | set(names))).evaluate({**VALUES, **names}))

    return evaluate
