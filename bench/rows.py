"""The rows that both servers hold: the same values under ids of each server's own form."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any
from uuid import UUID

ROWS = 10_000
SUPPLIERS = 50
SHELVES = 200
CATEGORIES = ("books", "food", "garden", "games", "music", "paper", "tools", "toys")
SALE_LINES = 10
"""Nested records of one nested create."""

# 10007 is prime, so that this factor spreads the prices and gives no two rows the same one: a sort by price has one
# right answer on any server.
_PRICE_FACTOR, _PRICE_PRIME = 7919, 10_007
_WORDS = (
    "amber",
    "birch",
    "cobalt",
    "dune",
    "ember",
    "fjord",
    "granite",
    "hazel",
    "indigo",
    "juniper",
    "krill",
    "lark",
)
_BASE_36 = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Key:
    """One identity in both forms: a UUID for Rocket, 15 characters for PocketBase. Both are random, as clients' are."""

    number: int

    @property
    def uuid(self) -> str:
        return str(UUID(int=self.number, version=4))

    @property
    def short(self) -> str:
        rest, text = self.number, ""
        for _ in range(15):
            rest, digit = divmod(rest, 36)
            text += _BASE_36[digit]
        return text


@dataclass(frozen=True, slots=True)
class Record:
    """`values` are the fields both servers have under one name; `links` the keys it refers to, by relation."""

    key: Key
    values: dict[str, Any]
    links: dict[str, Key]


@dataclass(frozen=True, slots=True)
class Rows:
    products: tuple[Record, ...]
    suppliers: tuple[Record, ...]
    shelves: tuple[Record, ...]


def make_rows(products: int = ROWS) -> Rows:
    """Always the same rows."""
    chance = random.Random(2026)
    suppliers = tuple(
        Record(_key(chance), {"name": f"Supplier {number}", "city": _text(chance, 1)}, {})
        for number in range(SUPPLIERS)
    )
    shelves = tuple(
        Record(_key(chance), {"code": f"S-{number:04}", "aisle": number % 20}, {}) for number in range(SHELVES)
    )
    listed = tuple(
        Record(
            _key(chance),
            product_values(number, chance),
            {"supplier": chance.choice(suppliers).key, "shelf": chance.choice(shelves).key},
        )
        for number in range(products)
    )
    return Rows(listed, suppliers, shelves)


def product_values(number: int, chance: random.Random) -> dict[str, Any]:
    return {
        "title": f"Product {number} {_text(chance, 2)}",
        "category": chance.choice(CATEGORIES),
        "price": number * _PRICE_FACTOR % _PRICE_PRIME / 10,
        "qty": chance.randrange(500),
        "active": chance.random() < 0.8,
        "note": _text(chance, 8),
    }


def sale_values(number: int, chance: random.Random) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A sale and its lines."""
    lines = [
        {"title": f"Line {position} {_text(chance, 2)}", "qty": chance.randrange(1, 9), "price": number % 1000 / 10}
        for position in range(SALE_LINES)
    ]
    return {"customer": f"Customer {number}", "note": _text(chance, 4)}, lines


def _key(chance: random.Random) -> Key:
    return Key(chance.getrandbits(128))


def _text(chance: random.Random, words: int) -> str:
    return " ".join(chance.choices(_WORDS, k=words))
