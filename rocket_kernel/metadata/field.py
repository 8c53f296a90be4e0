"""A field of an entity: its definition, and the checks of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rocket_kernel import json_text
from rocket_kernel.errors import Detail, ValidationFailed
from rocket_kernel.metadata.field_types import PLUGIN_TYPES, FieldType
from rocket_kernel.metadata.names import is_identifier
from rocket_kernel.store.names import is_reserved_column

MAX_PRECISION = 18
AUTO_TYPES = frozenset({"timestamp", "date"})


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    type: FieldType
    required: bool = False
    unique: bool = False
    nullable: bool = False
    default: Any = None
    """Wire value; None means that there is no default."""
    enum: tuple[str, ...] = ()
    """Text forms that are allowed; empty allows all."""
    precision: int | None = None
    auto: str | None = None
    sensitive: bool = False

    @property
    def demanded(self) -> bool:
        """A value must be there: `required` holds and `nullable` does not switch it off."""
        return self.required and not self.nullable

    def read(self, value: Any) -> Any:
        """A client's JSON value -> wire value; "" counts as null for all types but text. Raises ValueError."""
        if value is None or (value == "" and self.type.canonical != "string"):
            return None
        return self.type.read(value, self.precision)

    def kept(self, value: Any) -> Any:
        """What is stored of a wire value; None stays None."""
        keep = self.type.keep
        return value if value is None or keep is None else keep(value)

    def allows(self, value: Any) -> bool:
        """Whether `enum` lets a wire value pass; null passes."""
        return value is None or not self.enum or text_form(value) in self.enum


def text_form(value: Any) -> str:
    """The text by which enum lists and states compare a wire value."""
    return value if isinstance(value, str) else json_text.encode(value).decode()


def refuse(message: str, *, at: str | None = None) -> ValidationFailed:
    """The error of a definition; `at` is the path of the fault inside a JSON value."""
    return ValidationFailed(message, details=() if at is None else (Detail(message, field=at),))


def shown(value: Any) -> str:
    """A value of a definition as messages print it."""
    return value if isinstance(value, str) else json_text.encode(value).decode()


def flag(body: Mapping[str, Any], key: str, *, where: str) -> bool:
    """An optional boolean property; null counts as absent."""
    value = body.get(key)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise refuse(f"{key} must be true or false", at=f"{where}.{key}" if where else key)
    return value


def parse_field(body: Any, *, position: int, types: Mapping[str, FieldType], seen: set[str]) -> Field:
    """One item of `fields`; `position` and `seen` serve the error messages and the check of doubles."""
    where = f"fields[{position}]"
    if not isinstance(body, Mapping):
        raise refuse("field name is required", at=where)
    name = body.get("name")
    if name is None or name == "":
        raise refuse("field name is required", at=f"{where}.name")
    if not is_identifier(name) or is_reserved_column(name):
        raise refuse(f"invalid field name: {shown(name)}", at=f"{where}.name")
    if name in seen:
        raise refuse(f"duplicate field name: {name}", at=f"{where}.name")
    type = _parse_type(body.get("type"), name=name, types=types, at=f"{where}.type")
    precision = _read_precision(body.get("precision"))
    enum = _parse_enum(body.get("enum"), type, precision, name=name, at=f"{where}.enum")
    if precision is None and body.get("precision") is not None:
        raise refuse(f"invalid precision for field {name}", at=f"{where}.precision")
    field = Field(
        name=name,
        type=type,
        required=flag(body, "required", where=where),
        unique=flag(body, "unique", where=where),
        nullable=flag(body, "nullable", where=where),
        precision=precision if type.canonical == "decimal" else None,
        sensitive=flag(body, "sensitive", where=where),
        enum=enum,
        auto=_parse_auto(body.get("auto"), type, name=name, at=f"{where}.auto"),
    )
    return _with_default(field, body.get("default"), at=f"{where}.default")


def _parse_type(value: Any, *, name: str, types: Mapping[str, FieldType], at: str) -> FieldType:
    if isinstance(value, str) and value in types:
        return types[value]
    if isinstance(value, str) and value in PLUGIN_TYPES:
        raise refuse(f"plugin '{PLUGIN_TYPES[value]}' is not enabled", at=at)
    raise refuse(f"invalid field type: {shown(value)} for field {name}", at=at)


def _read_precision(value: Any) -> int | None:
    """None for what is no precision."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != int(value):
        return None
    return int(value) if 0 <= value <= MAX_PRECISION else None


def _parse_enum(value: Any, type: FieldType, precision: int | None, *, name: str, at: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not value:
        raise refuse(f"invalid enum for field {name}", at=at)
    forms: list[str] = []
    for item in value:
        if item is None:
            continue
        if isinstance(item, (list, dict)):
            raise refuse(f"invalid enum for field {name}", at=at)
        try:
            forms.append(text_form(type.read(item, precision)))
        except ValueError as error:
            raise refuse(f"invalid enum for field {name}", at=at) from error
    return tuple(forms)


def _parse_auto(value: Any, type: FieldType, *, name: str, at: str) -> str | None:
    if value is None or value is False:
        return None
    if value not in ("create", "update") or type.canonical not in AUTO_TYPES:
        raise refuse(f"invalid auto value for field {name}", at=at)
    return str(value)


def _with_default(field: Field, value: Any, *, at: str) -> Field:
    if value is None:
        return field
    try:
        wire = field.read(value)
    except ValueError as error:
        raise refuse(f"invalid default for field {field.name}", at=at) from error
    if not field.allows(wire):
        raise refuse(f"invalid default for field {field.name}", at=at)
    return replace(field, default=wire)
