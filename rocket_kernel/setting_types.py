"""The types a setting may have, and how an error speaks of them."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

from rocket_kernel.secret import Secret

# An expression such as `int | None` is a value without a type of its own.
TypeForm: TypeAlias = Any

SCALARS = {str: "text", int: "an integer", float: "a number", bool: "true or false", Path: "a path", Secret: "text"}
UNIONS = (Union, types.UnionType)
LISTS = (list, tuple)
MAPPINGS = (dict, Mapping)


class EnvironmentText(str):
    """A value that came as text: it takes the type of the key it lands on, lists and objects as YAML."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Range:
    """Limits a number; both ends belong to the range."""

    minimum: float
    maximum: float = math.inf

    def __str__(self) -> str:
        if self.maximum == math.inf:
            return f"of at least {self.minimum:g}"
        return f"from {self.minimum:g} to {self.maximum:g}"

    def allows(self, value: object) -> bool:
        return isinstance(value, int | float) and self.minimum <= value <= self.maximum


@dataclass(frozen=True, slots=True)
class NotEmpty:
    """Demands at least one character or item."""

    def __str__(self) -> str:
        return "that is not empty"

    def allows(self, value: object) -> bool:
        return bool(value)


def settings_of(model: TypeForm) -> dict[str, TypeForm]:
    """Name and type of each setting in a dataclass."""
    if not is_dataclass(model):
        raise TypeError(f"{model!r} is not a dataclass")
    hints = get_type_hints(model, include_extras=True)
    return {field.name: hints[field.name] for field in fields(model) if field.init}


def origin_of(expected: object) -> object:
    """`get_origin`, whose overloads mislead the type checker about a TypeForm."""
    return get_origin(expected)


def describe_type(expected: TypeForm) -> str:
    origin, arguments = origin_of(expected), get_args(expected)
    if origin is Annotated:
        return " ".join([describe_type(arguments[0]), *map(str, arguments[1:])])
    if origin in UNIONS:
        return " or ".join("null" if member is types.NoneType else describe_type(member) for member in arguments)
    if origin is Literal:
        return ("one of " if len(arguments) > 1 else "") + ", ".join(map(str, arguments))
    if origin in LISTS:
        return f"a list with each item {describe_type(arguments[0])}"
    return SCALARS.get(expected, "an object")


def describe_value(value: object, expected: TypeForm) -> str:
    """What came instead of `expected`: the value itself only where it cannot be or hold a secret."""
    private = _may_be_secret(expected)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return "text" if private else f"text {str(value)[:60]!r}"
    if isinstance(value, int | float):
        return "a number" if private else repr(value)
    if value is None:
        return "null"
    return "an object" if isinstance(value, Mapping) else "a list" if isinstance(value, LISTS) else type(value).__name__


def _may_be_secret(expected: TypeForm) -> bool:
    if expected is Secret or (isinstance(expected, type) and is_dataclass(expected)) or origin_of(expected) in MAPPINGS:
        return True
    return any(_may_be_secret(argument) for argument in get_args(expected))
