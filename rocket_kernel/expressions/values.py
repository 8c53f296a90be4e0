"""Values of the language: contract §7.2.

null is None, a boolean bool, a number Decimal, a text str, an instant an aware datetime in UTC, a list `list` or
`tuple`, a map any Mapping. Containers may hold raw JSON values (int, float); each becomes a value of the language when
it is taken out, so that nothing is copied beforehand. Nothing here changes a value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from rocket_kernel import json_text
from rocket_kernel.clock import timestamp_text
from rocket_kernel.expressions import numbers
from rocket_kernel.expressions.errors import ExpressionError, Fault
from rocket_kernel.expressions.limits import DIGITS, MAX_STEPS, MAX_VALUE_DEPTH
from rocket_kernel.expressions.numbers import number_text
from rocket_kernel.expressions.work import PRINTED, Work
from rocket_kernel.json_text import JsonFloat
from rocket_kernel.metadata.entity import Entity
from rocket_kernel.metadata.instants import parse_timestamp
from rocket_kernel.store.columns import Storage

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_LONG_NUMBER, _DIGITS_A_STEP = 64, 8
_PLAIN = frozenset({type(None), bool, str})


def value_of(raw: Any) -> Any:
    """A JSON value, or a value already, as a value. Raises Fault for a number beyond the range."""
    kind = type(raw)
    if kind in _FINAL:
        return raw
    if kind is int:
        return numbers.of_int(raw)
    if isinstance(raw, float):
        return numbers.of_float(raw)
    if isinstance(raw, (Mapping, tuple, list)):
        return raw
    if isinstance(raw, str):
        return str.__str__(raw)
    raise Fault(f"a value of type {kind.__name__} is not known to expressions")


def instant_of_text(text: str) -> datetime | None:
    """ISO 8601 as contract §3.3 has it; None when it is something else."""
    if len(text) < 10 or text[4] != "-" or text[7] != "-":
        return None
    try:
        return datetime.fromisoformat(parse_timestamp(text))
    except ValueError:
        return None


def _instant_of_wire(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _midnight_of_wire(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


_READERS: Mapping[Storage, Callable[[Any], Any]] = {
    Storage.INTEGER: Decimal,
    Storage.BIGINT: Decimal,
    Storage.FLOAT: numbers.of_float,
    Storage.DECIMAL: Decimal,
    Storage.TIMESTAMP: _instant_of_wire,
    Storage.DATE: _midnight_of_wire,
    Storage.JSON: value_of,
    Storage.DOCUMENT: value_of,
}
"""From wire value to value. What is not here is a value already: text and booleans."""


class RecordMap(Mapping[str, Any]):
    """A record as a map: each field is read by its type when it is asked for. The row is never changed."""

    __slots__ = ("entity", "row")

    def __init__(self, entity: Entity, row: Mapping[str, Any]) -> None:
        self.entity = entity
        self.row = row

    def get(self, name: str, default: Any = None) -> Any:
        """Null for an empty field and for one that the entity does not declare."""
        value = self.row.get(name)
        if value is None:
            return default
        field = self.entity.fields.get(name)
        if field is None:
            return default
        reader = _READERS.get(field.type.storage)
        return value if reader is None else reader(value)

    def __getitem__(self, name: str) -> Any:
        if name not in self.entity.fields:
            raise KeyError(name)
        return self.get(name)

    def __contains__(self, name: object) -> bool:
        return name in self.entity.fields

    def __iter__(self) -> Iterator[str]:
        return iter(self.entity.fields)

    def __len__(self) -> int:
        return len(self.entity.fields)


_FINAL = frozenset({type(None), bool, Decimal, str, datetime, list, tuple, dict, RecordMap})
"""Types that are values as they are."""


def field_value(entity: Entity, name: str, wire: Any) -> Any:
    """One wire value of a field as a value."""
    if wire is None:
        return None
    reader = _READERS.get(entity.fields[name].type.storage)
    return wire if reader is None else reader(wire)


def truthy(value: Any) -> bool:
    """All but null, false, 0 and "" is; empty lists and maps too."""
    kind = type(value)
    if kind is bool:
        return bool(value)
    if kind is Decimal or kind is str:
        return bool(value)
    if value is None:
        return False
    if kind is int or isinstance(value, float):
        return bool(value != 0)
    return True


def as_number(value: Any, work: Work) -> Decimal | None:
    """A number, or numeric text as the number it is; None for all else."""
    if type(value) is Decimal:
        return value
    if type(value) is str:
        if len(value) > _LONG_NUMBER:
            work.spend(len(value) // _DIGITS_A_STEP)
        if numbers.is_numeric(value):
            return numbers.exact(value)
    return None


def as_instant(value: Any) -> datetime | None:
    """An instant, or ISO text as the instant it is; None for all else."""
    if type(value) is datetime:
        return value
    return instant_of_text(value) if type(value) is str else None


def milliseconds(instant: datetime) -> Decimal:
    """Since 1970."""
    return Decimal((instant - EPOCH) // _MILLISECOND)


def moved(instant: datetime, by: Decimal) -> datetime:
    """An instant so many milliseconds later, cut to whole ones."""
    try:
        return instant + timedelta(milliseconds=int(numbers.floor(by)))
    except OverflowError:
        raise Fault("instant out of range") from None


def instant_text(instant: datetime) -> str:
    return timestamp_text(instant)


def kind_name(value: Any) -> str:
    """How messages name the kind of a value."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case Decimal():
            return "a number"
        case str():
            return "a text"
        case datetime():
            return "an instant"
        case Mapping():
            return "a map"
    return "a list"


def is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def json_text_of(value: Any, work: Work, depth: int = 0) -> str:
    """Compact JSON: numbers in shortest form, instants as ISO text. Raises Fault beyond the limits."""
    value = value_of(value)
    work.spend(PRINTED)
    if depth > MAX_VALUE_DEPTH:
        raise Fault("value nested too deeply")
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case Decimal():
            return number_text(value)
        case datetime():
            return f'"{instant_text(value)}"'
        case str():
            work.makes(len(value))
            return json_text.encode(value).decode()
    parts: list[str] = []
    if is_list(value):
        for item in value:
            parts.append(json_text_of(item, work, depth + 1))
        opening, closing = "[", "]"
    else:
        for key in value:
            work.makes(len(key))
            parts.append(json_text.encode(key).decode() + ":" + json_text_of(value[key], work, depth + 1))
        opening, closing = "{", "}"
    work.makes(sum(map(len, parts)) + len(parts) + 1)
    return opening + ",".join(parts) + closing


def text_of(value: Any, work: Work) -> str:
    """How a value joins a text: texts as they are, all else as JSON without quotes."""
    match value:
        case str():
            return value
        case datetime():
            return instant_text(value)
    return json_text_of(value, work)


def json_values(value: Any) -> Any:
    """A JSON value as an expression takes it. Containers are taken as they are; nothing is copied or changed.

    Raises ExpressionError for a number beyond the range of the language.
    """
    try:
        return value_of(value)
    except Fault as fault:
        raise ExpressionError(fault.reason) from fault


def plain(value: Any) -> Any:
    """A value as JSON: numbers in shortest form, instants as ISO text. Raises ExpressionError beyond the limits.

    A number is an int or a float where that is exact, and a JsonFloat, which keeps all digits, where it is not.
    """
    try:
        return _plain(value, Work(MAX_STEPS), 0)
    except Fault as fault:
        raise ExpressionError(fault.reason) from fault


def _plain(raw: Any, work: Work, depth: int) -> Any:
    if type(raw) is int and raw.bit_length() <= numbers.EXACT_BITS:
        return raw
    value = value_of(raw)
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is Decimal:
        return _plain_number(value)
    if kind is datetime:
        return instant_text(value)
    if depth > MAX_VALUE_DEPTH:
        raise Fault("value nested too deeply")
    work.spend(PRINTED * (len(value) + 1))
    if is_list(value):
        return [item if type(item) in _PLAIN else _plain(item, work, depth + 1) for item in value]
    return {key: _plain(value[key], work, depth + 1) for key in value}


def _plain_number(number: Decimal) -> int | float:
    if number == number.to_integral_value() and number.adjusted() < DIGITS:
        return int(number)
    text = number_text(number)
    near = float(text)
    if math.isinf(near):
        raise Fault(f"{numbers.OUT_OF_RANGE} of JSON")
    return near if Decimal(repr(near)) == number else JsonFloat(text)
