"""The tree of an expression: all there is in the language, and nothing of Python.

Chains (`a + b - c`, `a.b[0].c()`, `a ? b : c ? d : e`) are one node each, so that the tree is no deeper than the
brackets of its source. Two trees are equal whatever their positions in the source.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Literal:
    value: bool | Decimal | str | None
    at: int = field(default=0, compare=False)
    origins: tuple[int, ...] = field(default=(), compare=False, repr=False)
    """Of a text: where in the source each of its characters stands."""


@dataclass(frozen=True, slots=True)
class Name:
    name: str
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class ListOf:
    items: tuple[Node, ...]
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class MapOf:
    entries: tuple[tuple[str, Node], ...]
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Member:
    name: str
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Index:
    index: Node
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Method:
    name: str
    arguments: tuple[Node, ...]
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Path:
    base: Node
    steps: tuple[Member | Index | Method, ...]
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Unary:
    operator: str
    """`-`, `!` or `not`."""
    operand: Node
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Operand:
    """An operator with what stands to its right."""

    operator: str
    value: Node
    at: int = field(default=0, compare=False)
    """Of the operator."""


@dataclass(frozen=True, slots=True)
class Chain:
    """Operators of one level, from left to right: `+ -`, `* / %`, `and`, `or` or `??`."""

    first: Node
    rest: tuple[Operand, ...]
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Comparison:
    operator: str
    """`==`, `!=`, `<`, `<=`, `>`, `>=`, `in`, `not in`, `contains`, `startsWith`, `endsWith` or `matches`."""
    left: Node
    right: Node
    at: int = field(default=0, compare=False)
    """Of the operator."""


@dataclass(frozen=True, slots=True)
class Conditional:
    """`test ? value : test ? value : otherwise`."""

    branches: tuple[tuple[Node, Node], ...]
    otherwise: Node
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    function: str
    """`Math.` stands before the name of a function of that group; `new Date` is one too."""
    arguments: tuple[Node, ...]
    at: int = field(default=0, compare=False)


Node = Literal | Name | ListOf | MapOf | Path | Unary | Chain | Comparison | Conditional | Call
