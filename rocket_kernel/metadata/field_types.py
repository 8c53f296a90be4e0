"""Field types: how a value is read, kept, compared and named in filters."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from rocket_kernel.metadata import convert
from rocket_kernel.metadata.names import is_identifier
from rocket_kernel.store.columns import ColumnType, Storage
from rocket_kernel.store.formulas import Term, Truth
from rocket_kernel.store.protocol import Session

EQUALITY = frozenset({"eq", "neq", "in", "not_in", "is_null"})
ORDER = frozenset({"gt", "gte", "lt", "lte", "between"})
TEXT_MATCH = frozenset({"like", "ilike", "contains", "starts_with", "ends_with"})


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator that a field type brings, or its own meaning of `eq` or `neq`.

    `test` turns the text of a filter into a condition on the parts of the stored object, and `order`, where there is an
    order by it, into the number that `sort=field.operator` sorts by; both raise ValueError to refuse the text.
    """

    test: Callable[[str], Truth]
    order: Callable[[str], Term] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldType:
    """A type of field. Plugins add theirs with the hook `register_field_types`.

    `read(value, precision)` turns a JSON value of a client into the wire value, `read_filter(text, precision)` does
    so for the text of a filter; both raise ValueError. They are never called with null. `order_key` turns a wire
    value into something that compares in Python as the type compares in the database.
    """

    name: str
    storage: Storage
    read: Callable[[Any, int | None], Any]
    read_filter: Callable[[str, int | None], Any]
    operators: frozenset[str]
    order_key: Callable[[Any], Any] = lambda value: value
    sortable: bool = True
    member: str | None = None
    """Of a type whose storage is JSON: its values are objects that compare by this member, a text.

    Then `read_filter` and `order_key` deal with such objects, too.
    """
    indexed: bool = False
    """Fields of this type get an index."""
    keep: Callable[[Any], Any] | None = None
    """Wire value -> what is stored of it; None stores it as it is."""
    show: Callable[[Any, str], Any] | None = None
    """What is stored, and the name of the app -> wire value; None where they are the same. Must bear any old value."""
    look_up: Callable[[Session, Collection[Any]], Awaitable[Mapping[Any, Any]]] | None = None
    """Of a type whose values name something stored elsewhere: values as `read` gives them -> by `order_key`, those that
    are there, complete. For rows that run through no pipeline, such as sample data of an import."""
    same_as: str = ""
    """The type this one is another spelling of; relations and migrations treat the two as one."""
    schema: Mapping[str, Any] | None = field(default=None, hash=False)
    """JSON Schema of a wire value, null aside, for the API description; None says what `storage` tells."""
    accepts: Mapping[str, Any] | None = field(default=None, hash=False)
    """JSON Schema of what clients may send, where that is more."""
    own_operators: Mapping[str, Operator] = field(default_factory=dict, hash=False)
    """Of a type whose storage is JSON: operators beside `operators`, by names of lower-case letters, digits and `_`."""
    indexed_parts: tuple[str, ...] = ()
    """Members of the stored object, whole numbers, of which each gets an index of its own."""

    def __post_init__(self) -> None:
        if (self.own_operators or self.indexed_parts) and self.storage is not Storage.JSON:
            raise ValueError(f"field type {self.name}: only JSON has parts that own operators and indexes can use")
        for name in (*self.own_operators, *self.indexed_parts):
            if not is_identifier(name):
                raise ValueError(f"field type {self.name}: {name!r} is no name for an operator or a part")
        object.__setattr__(self, "operators", self.operators | frozenset(self.own_operators))

    @property
    def canonical(self) -> str:
        return self.same_as or self.name

    def column_type(self, precision: int | None) -> ColumnType:
        return ColumnType(self.storage, precision if self.storage is Storage.DECIMAL else None, self.member)


def _simple(function: Callable[[Any], Any]) -> Callable[[Any, int | None], Any]:
    return lambda value, _precision: function(value)


def _decimal_key(value: str) -> Decimal:
    return Decimal(value)


_text = FieldType(
    name="string",
    storage=Storage.TEXT,
    read=_simple(convert.to_text),
    read_filter=_simple(convert.to_text),
    operators=EQUALITY | ORDER | TEXT_MATCH,
)
_int = FieldType(
    name="int",
    storage=Storage.INTEGER,
    read=_simple(convert.to_int),
    read_filter=_simple(convert.to_int),
    operators=EQUALITY | ORDER,
)


def _alias(of: FieldType, name: str) -> FieldType:
    return FieldType(
        name=name,
        storage=of.storage,
        read=of.read,
        read_filter=of.read_filter,
        operators=of.operators,
        order_key=of.order_key,
        same_as=of.name,
    )


def _ordered(name: str, storage: Storage, read: Callable[[Any], Any]) -> FieldType:
    return FieldType(
        name=name, storage=storage, read=_simple(read), read_filter=_simple(read), operators=EQUALITY | ORDER
    )


BUILT_IN: Mapping[str, FieldType] = MappingProxyType(
    {
        type.name: type
        for type in (
            _text,
            _alias(_text, "text"),
            _int,
            _alias(_int, "integer"),
            FieldType(
                name="bigint",
                storage=Storage.BIGINT,
                read=_simple(convert.to_bigint),
                read_filter=_simple(convert.to_bigint),
                operators=EQUALITY | ORDER,
                order_key=int,
            ),
            _ordered("float", Storage.FLOAT, convert.to_float),
            FieldType(
                name="decimal",
                storage=Storage.DECIMAL,
                read=convert.to_decimal,
                # A filter compares with the number as written: rounding it would change the question.
                read_filter=lambda text, _precision: convert.to_decimal(text, None),
                operators=EQUALITY | ORDER,
                order_key=_decimal_key,
            ),
            FieldType(
                name="boolean",
                storage=Storage.BOOLEAN,
                read=_simple(convert.to_boolean),
                read_filter=_simple(convert.filter_boolean),
                operators=EQUALITY,
            ),
            _ordered("uuid", Storage.UUID, convert.to_uuid),
            _ordered("timestamp", Storage.TIMESTAMP, convert.to_timestamp),
            _ordered("date", Storage.DATE, convert.to_date),
            FieldType(
                name="json",
                storage=Storage.JSON,
                read=_simple(convert.to_json),
                read_filter=_simple(convert.to_text),
                operators=frozenset({"is_null"}),
                sortable=False,
            ),
        )
    }
)

PLUGIN_TYPES: Mapping[str, str] = MappingProxyType({"file": "files"})
"""Types of the contract that only a plugin brings, with the plugin's name."""

KEY_TYPES = frozenset({"uuid", "int", "bigint", "string"})
