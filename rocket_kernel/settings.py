"""A mapping of configuration values to a frozen dataclass, strictly; for the kernel and for plugins alike.

A field may be a str, int, float, bool, Path, Secret, `Literal`, another dataclass, `list[X]`, `tuple[X, ...]`,
a mapping with text keys, `object` for any value, or a union of these. `Annotated[int, Range(1)]` limits a value.
"""

from __future__ import annotations

import math
import re
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal, TypeVar, get_args

from rocket_kernel.errors import ConfigError
from rocket_kernel.secret import Secret
from rocket_kernel.setting_types import (
    LISTS,
    MAPPINGS,
    SCALARS,
    UNIONS,
    EnvironmentText,
    NotEmpty,
    Range,
    TypeForm,
    describe_type,
    describe_value,
    origin_of,
    settings_of,
)
from rocket_kernel.yaml_text import YamlError, parse_yaml

T = TypeVar("T")


def parse_settings(model: type[T], values: Mapping[str, object], *, where: str) -> T:
    """Build `model`, a dataclass, from `values`.

    `where` is the dotted key of the section, "" for the whole configuration; keys in errors begin with it.
    Raises ConfigError for an unknown key, a missing one, or a value of the wrong type or out of range.
    """
    known = settings_of(model)
    for name in values:
        if name not in known:
            hint = _hint(model, str(name), where)
            raise ConfigError(f"unknown configuration key: {_join(where, name)} ({hint})")
    arguments = {name: _convert(value, known[name], _join(where, name)) for name, value in values.items()}
    for name in _required(model):
        if name not in arguments:
            raise ConfigError(f"missing configuration key: {_join(where, name)}")
    return model(**arguments)


def _required(model: TypeForm) -> list[str]:
    return [
        field.name
        for field in fields(model)
        if field.init and field.default is MISSING and field.default_factory is MISSING
    ]


def _convert(value: object, expected: TypeForm, key: str) -> object:
    origin = origin_of(expected)
    for convert, handles in (
        (_limited, origin is Annotated),
        (_member, origin in UNIONS),
        (_choice, origin is Literal),
        (_sequence, origin is list or (origin is tuple and get_args(expected)[1:] == (...,))),
        (_object, is_dataclass(expected) or origin in MAPPINGS),
        (_scalar, expected in SCALARS),
    ):
        if handles:
            return convert(value, expected, key)
    if expected is object:
        return value
    raise TypeError(f"{key}: {expected!r} is not a type for a setting")


def _limited(value: object, expected: TypeForm, key: str) -> object:
    base, *limits = get_args(expected)
    converted = _convert(value, base, key)
    for limit in limits:
        if isinstance(limit, Range | NotEmpty) and not limit.allows(converted):
            raise _mismatch(value, expected, key)
    return converted


def _member(value: object, expected: TypeForm, key: str) -> object:
    members = [member for member in get_args(expected) if member is not types.NoneType]
    optional = len(members) < len(get_args(expected))
    # Deployment tools pass a variable that nobody filled in as an empty text.
    if optional and (value is None or (isinstance(value, EnvironmentText) and not value)):
        return None
    if len(members) == 1:
        return _convert(value, members[0], key)
    for member in members:
        try:
            return _convert(value, member, key)
        except ConfigError:
            continue
    raise _mismatch(value, expected, key)


def _choice(value: object, expected: TypeForm, key: str) -> object:
    for choice in get_args(expected):
        if isinstance(value, EnvironmentText):
            same = str(choice) == value
        else:
            same = choice == value and isinstance(value, type(choice)) and isinstance(choice, type(value))
        if same:
            return choice
    raise _mismatch(value, expected, key)


def _sequence(value: object, expected: TypeForm, key: str) -> object:
    items = _from_yaml(value, key)
    if not isinstance(items, LISTS):
        raise _mismatch(value, expected, key)
    member = get_args(expected)[0]
    converted = [_convert(item, member, f"{key}[{index}]") for index, item in enumerate(items)]
    return converted if origin_of(expected) is list else tuple(converted)


def _object(value: object, expected: TypeForm, key: str) -> object:
    values = _from_yaml(value, key)
    if values is None:  # a section whose keys are all commented out
        values = {}
    if not isinstance(values, Mapping):
        raise _mismatch(value, expected, key)
    if origin_of(expected) not in MAPPINGS:
        return parse_settings(expected, values, where=key)
    for name in values:
        if not isinstance(name, str):
            raise ConfigError(f"wrong key {name!r} under {key}: keys are text")
    member = get_args(expected)[1]
    return {name: _convert(item, member, _join(key, name)) for name, item in values.items()}


def _scalar(value: object, expected: TypeForm, key: str) -> object:
    given: object = _from_text(value, expected) if isinstance(value, EnvironmentText) else value
    if expected in (Path, Secret) and isinstance(given, str):
        if given or expected is Secret:
            return expected(given)
    elif expected is float and type(given) is int:
        return float(given)
    elif type(given) is expected and not (isinstance(given, float) and not math.isfinite(given)):
        return given
    raise _mismatch(value, expected, key)


def _from_yaml(value: object, key: str) -> object:
    if not isinstance(value, EnvironmentText):
        return value
    try:
        return parse_yaml(value)
    except YamlError as error:
        raise ConfigError(f"wrong value for {key}: {error}") from error


def _from_text(text: EnvironmentText, expected: TypeForm) -> object:
    if expected is bool:
        return _BOOLEANS.get(text.lower())
    if expected in _NUMBERS:
        return expected(text) if _NUMBERS[expected].fullmatch(text) else None
    return str(text)


_BOOLEANS = dict.fromkeys(("true", "yes", "on", "1"), True) | dict.fromkeys(("false", "no", "off", "0"), False)
_NUMBERS = {
    int: re.compile(r"[+-]?[0-9]{1,18}"),  # eighteen digits always fit into 64 bits
    float: re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"),
}


def _mismatch(value: object, expected: TypeForm, key: str) -> ConfigError:
    got = describe_value(value, expected)
    return ConfigError(f"wrong value for {key}: expected {describe_type(expected)}, got {got}")


def _hint(model: TypeForm, name: str, where: str) -> str:
    """The likeliest of the keys in this section and of those in the sections below, by their last names."""
    known = {path.rpartition(".")[2]: path for path in reversed(_leaves(model, where))}
    known |= {sibling: _join(where, sibling) for sibling in settings_of(model)}
    nearest = get_close_matches(name, known, n=1, cutoff=0.0)
    return f"did you mean {known[nearest[0]]}?" if nearest else f"{where} has no keys"


def _leaves(model: TypeForm, where: str) -> list[str]:
    leaves: list[str] = []
    for name, expected in settings_of(model).items():
        key = _join(where, name)
        leaves += _leaves(expected, key) if is_dataclass(expected) else [key]
    return leaves


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else str(name)
