"""The one filter AST: URLs, permission conditions and related queries all build it.

It compiles to SQL (`query/sql.py`) and evaluates in memory (`query/memory.py`); the two mean the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rocket_kernel.errors import InvalidPayload
from rocket_kernel.metadata.field import Field
from rocket_kernel.metadata.hops import Hop
from rocket_kernel.metadata.masking import MASK
from rocket_kernel.store.dialects.base import TextPattern, Wildcard

OPERATORS = frozenset(
    {"eq", "neq", "gt", "gte", "lt", "lte", "between", "in", "not_in", "like", "ilike", "contains",
     "starts_with", "ends_with", "is_null"}
)  # fmt: skip
MAX_LIST = 1000
MAX_VALUE = 8192


@dataclass(frozen=True, slots=True)
class Compare:
    """`operand` by operator: a wire value; a tuple of them for in, not_in and between; a TextPattern for the text
    operators; a bool for is_null; a Truth for operators that the field's type brings."""

    field: Field
    operator: str
    operand: Any


@dataclass(frozen=True, slots=True)
class Related:
    """A live, visible related row exists that satisfies `where`."""

    hop: Hop
    where: Filter


@dataclass(frozen=True, slots=True)
class AllOf:
    """True when empty."""

    parts: tuple[Filter, ...] = ()


@dataclass(frozen=True, slots=True)
class AnyOf:
    """False when empty."""

    parts: tuple[Filter, ...] = ()


Filter = Compare | Related | AllOf | AnyOf

ALWAYS = AllOf()
NEVER = AnyOf()


def all_of(parts: Sequence[Filter | None]) -> Filter | None:
    """The conjunction of what is given; None when nothing is."""
    kept = tuple(part for part in parts if part is not None)
    if not kept:
        return None
    return kept[0] if len(kept) == 1 else AllOf(kept)


def parse_condition(field: Field, operator: str, text: str) -> Compare:
    """The text of a filter -> Compare. Raises InvalidPayload with the contract's messages."""
    if operator not in field.type.operators:
        raise InvalidPayload(f"Unknown filter operator: {operator}")
    shown = MASK if field.sensitive else text
    refused = InvalidPayload(f"Invalid filter value for {field.name}: {shown}")
    if len(text) > MAX_VALUE:
        raise InvalidPayload(f"Filter value too long for {field.name} (max {MAX_VALUE} characters)")
    try:
        return Compare(field, operator, _operand(field, operator, text))
    except ValueError as error:
        raise refused from error


def _operand(field: Field, operator: str, text: str) -> Any:
    def read(item: str) -> Any:
        return field.type.read_filter(item, field.precision)

    match operator:
        case own if own in field.type.own_operators:
            return field.type.own_operators[own].test(text)
        case "is_null":
            if text not in ("true", "false", "1", "0"):
                raise ValueError("true or false expected")
            return text in ("true", "1")
        case "in" | "not_in":
            items = [item.strip() for item in text.split(",")] if text.strip() else []
            if len(items) > MAX_LIST:
                raise InvalidPayload(f"Too many values for {field.name} (max {MAX_LIST})")
            return tuple(read(item) for item in items)
        case "between":
            low, high = (read(item.strip()) for item in _exactly_two(text))
            return (low, high)
        case "like" | "ilike":
            return like_pattern(read(text))
        case _:
            value = read(text)
            return _literal_pattern(operator, value) if operator in _LITERAL else value


_LITERAL = frozenset({"contains", "starts_with", "ends_with"})


def _literal_pattern(operator: str, text: str) -> TextPattern:
    before = () if operator == "starts_with" else (Wildcard.ANY_RUN,)
    after = () if operator == "ends_with" else (Wildcard.ANY_RUN,)
    return (*before, text, *after)


def _exactly_two(text: str) -> list[str]:
    items = text.split(",")
    if len(items) != 2:
        raise ValueError("two values expected")
    return items


def like_pattern(text: str) -> TextPattern:
    r"""`%` is any run, `_` one character, `\` escapes; text without `%` and `_` means "contains"."""
    if "%" not in text and "_" not in text:
        return (Wildcard.ANY_RUN, _unescaped(text), Wildcard.ANY_RUN)
    parts: list[str | Wildcard] = []
    literal: list[str] = []
    characters = iter(text)
    for character in characters:
        if character == "\\":
            literal.append(next(characters, "\\"))
        elif character in "%_":
            if literal:
                parts.append("".join(literal))
                literal.clear()
            parts.append(Wildcard.ANY_RUN if character == "%" else Wildcard.ONE_CHARACTER)
        else:
            literal.append(character)
    if literal:
        parts.append("".join(literal))
    return tuple(parts)


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    characters = iter(text)
    return "".join(next(characters, "\\") if character == "\\" else character for character in characters)
