"""What is asked, in no server's words: each contender puts it in its own."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from bench.rows import CATEGORIES, product_values, sale_values

T = TypeVar("T")

PER_PAGE = 25
_THRESHOLDS = (100, 300, 500, 700, 900)
_UNASKED, _PRICES = 16_000, (100.0, 900.0)
_CREATES, _NESTED_CREATES = 500, 200
_READS_TO_A_WRITE = 9


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    label: str
    target: float | None
    """The ratio that is to be reached."""
    writes: bool = False


SCENARIOS = (
    Scenario("list", f"list {PER_PAGE} of 10,000 with total", 5),
    Scenario("filter", "filter + sort, with total", 5),
    Scenario("unasked", "the same, never asked before", None),
    Scenario("get", "get by id", 2),
    Scenario("includes", f"list {PER_PAGE} with two includes", None),
    Scenario("create", "create", 1, writes=True),
    Scenario("nested", "create 1 + 10 nested", None, writes=True),
    Scenario("mixed", "9 lists to 1 create", None, writes=True),
)
"""In the order in which they are measured: reads before anything has been written."""


def filters() -> Iterator[tuple[str, float]]:
    """Category, and lowest price; answered in falling order of the price."""
    return ((category, price) for category in CATEGORIES for price in _THRESHOLDS)


def unasked_filters() -> Iterator[tuple[str, float]]:
    """As `filters`, more of them than are asked in one measurement."""
    chance = random.Random(4)
    for _ in range(_UNASKED):
        yield chance.choice(CATEGORIES), round(chance.uniform(*_PRICES), 4)


def new_products() -> list[dict[str, Any]]:
    chance = random.Random(1)
    return [product_values(number, chance) for number in range(_CREATES)]


def new_sales() -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    chance = random.Random(2)
    return [sale_values(number, chance) for number in range(_NESTED_CREATES)]


def mix(read: T, writes: list[T]) -> list[T]:
    """One write in ten."""
    return [*([read] * _READS_TO_A_WRITE * len(writes)), *writes]
