"""Strategies for expressions: trees that the grammar can write, sources that almost can, and JSON values."""

from __future__ import annotations

from decimal import Decimal
from random import Random

from hypothesis import strategies as st

from rocket_kernel.expressions.syntax import (
    Call,
    Chain,
    Comparison,
    Conditional,
    Index,
    ListOf,
    Literal,
    MapOf,
    Member,
    Method,
    Name,
    Node,
    Operand,
    Path,
    Unary,
)

WORDS = ["record", "old", "user", "action", "item", "now", "in_it", "nota", "contains", "Math", "length", "x"]
NAMES = [word for word in WORDS if word != "Math"]
MEMBERS = [*WORDS, "in", "not", "and", "true", "new", "qty", "tags"]
FUNCTIONS = ["len", "sum", "round", "Math.max", "contains", "matches", "new Date", "now", "string", "any", "date"]
METHODS = ["includes", "contains", "startsWith", "endsWith", "toLowerCase", "toUpperCase", "trim", "getTime", "pop"]
COMPARISONS = ["==", "!=", "<", "<=", ">", ">=", "in", "not in", "contains", "startsWith", "endsWith", "matches"]

TEXTS = ["", "a", "12", "-1.50", "2026-03-01", "qty > 1", "item", "a+b*", "(", "ß\x00\n'\"\\\\", "😀", "\u2028 x"]
NUMBERS = ["0", "1", "2.5", "12", "0.000001", "1e40", "1e-5999", "9999999999999999999999999999999999"]
GROUPS = [["??"], ["or"], ["and"], ["+", "-"], ["*", "/", "%"]]


def make_tree(random: Random, depth: int) -> Node:
    """A tree as the parser could give it, but for chains inside chains."""
    if depth == 0 or random.random() < 0.15:
        value = random.choice([None, True, False, Decimal(random.choice(NUMBERS)), random.choice(TEXTS)])
        return random.choice([Literal(value), Name(random.choice(NAMES))])
    return random.choice(_MAKERS)(random, depth - 1)


def _several(random: Random, depth: int, most: int = 3) -> tuple[Node, ...]:
    return tuple(make_tree(random, depth) for _ in range(random.randint(0, most)))


def _map(random: Random, depth: int) -> Node:
    return MapOf(tuple((random.choice(TEXTS + MEMBERS), value) for value in _several(random, depth)))


def _path(random: Random, depth: int) -> Node:
    makers = [
        lambda: Member(random.choice(MEMBERS)),
        lambda: Index(make_tree(random, depth)),
        lambda: Method(random.choice(METHODS), _several(random, depth, 1)),
    ]
    return Path(make_tree(random, depth), tuple(random.choice(makers)() for _ in range(random.randint(1, 3))))


def _chain(random: Random, depth: int) -> Node:
    operators = random.choice(GROUPS)
    rest = [Operand(random.choice(operators), make_tree(random, depth)) for _ in range(random.randint(1, 3))]
    return Chain(make_tree(random, depth), tuple(rest))


def _conditional(random: Random, depth: int) -> Node:
    branches = [(make_tree(random, depth), make_tree(random, depth)) for _ in range(random.randint(1, 2))]
    return Conditional(tuple(branches), make_tree(random, depth))


def _call(random: Random, depth: int) -> Node:
    name = random.choice(FUNCTIONS)
    return Call(name, _several(random, depth, 1 if name == "new Date" else 3))


_MAKERS = [
    lambda random, depth: ListOf(_several(random, depth)),
    _map,
    _path,
    lambda random, depth: Unary(random.choice(["-", "!", "not"]), make_tree(random, depth)),
    _chain,
    lambda random, depth: Comparison(random.choice(COMPARISONS), make_tree(random, depth), make_tree(random, depth)),
    _conditional,
    _call,
]

# Drawing every choice from hypothesis takes a tenth of a second a tree; a seed takes none.
seeds = st.integers(0, 2**63).map(Random)
trees = st.builds(make_tree, seeds, st.integers(1, 5))

_PIECES = [
    *WORDS, *FUNCTIONS, *COMPARISONS, "and", "or", "??", "&&", "||", "!", "not", "+", "-", "*", "/", "%", "?", ":", ".",
    "?.", ",", "(", ")", "[", "]", "{", "}", "record.qty", "record.tags", "old.price", "'item > 1'", '"qty"', "'a+b*'",
    "null", "true", "0", "1", "2.5", "1e5000", "1e-5999", "'2026-03-01'", "'12'", "''", "any(", "map(", "filter(",
    ".trim()", ".length", ".includes(", "[0]", "'\\u0000'", "'ß'", "'9999999999999999999999999999999999999999'",
    "context.l", "map(context.l, '[item, item]')", "related.lines", "changes.price", "today()", "days_between(",
]  # fmt: skip
sources = st.one_of(
    st.lists(st.sampled_from(_PIECES), max_size=20).map(" ".join),
    st.lists(st.one_of(st.sampled_from(_PIECES), st.text(max_size=3)), max_size=12).map("".join),
    st.text(max_size=60),
)

SCALARS = [
    None, True, False, 0, 1, -7, 12.5, 1e300, 5e-324, 10**40, -(10**5000), "", "a", "0", "12", "-1.50", "2026-03-01",
    "2026-03-01T10:00:00+02:00", "9999-12-31", "x" * 5000, "9" * 50, "ß", "\x00", "😀", "(", "item", "qty",
]  # fmt: skip
KEYS = ["qty", "tags", "price", "l", "a", "length", "item", "record", "__class__", ""]


def make_json(random: Random, depth: int) -> object:
    kind = random.random()
    if depth == 0 or kind < 0.4:
        return random.choice(SCALARS)
    if kind < 0.7:
        return [make_json(random, depth - 1) for _ in range(random.randint(0, 5))]
    return {random.choice(KEYS): make_json(random, depth - 1) for _ in range(random.randint(0, 5))}


def make_values(random: Random) -> dict[str, object]:
    """Something for every name; usually an object."""
    return {
        name: make_json(random, 3) if random.random() < 0.3 else {key: make_json(random, 3) for key in KEYS}
        for name in ("record", "old", "changes", "context", "related", "user", "x", "item", "action")
    }


environments = st.builds(make_values, seeds)
