"""An entity compiled for one database: quoted names, select lists and row decoding, made once a metadata change."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rocket_kernel.metadata.entity import DELETED_AT, Entity
from rocket_kernel.metadata.field_types import FieldType
from rocket_kernel.store.columns import ColumnType, Storage
from rocket_kernel.store.dialects.base import Codec, Dialect
from rocket_kernel.store.protocol import Row

TIMESTAMP = ColumnType(Storage.TIMESTAMP)

_SCOPED_KEPT = 2000


@dataclass(frozen=True, slots=True)
class Scoped:
    """Text that was put together for a caller's row condition, with the parameters in it."""

    condition: object
    """Held, so that no other one gets the id it is found by."""
    text: str
    params: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    entity: Entity
    dialect: Dialect
    table: str
    """Quoted."""
    names: tuple[str, ...]
    """Declared fields in declared order: the order of `select_list` and of decoded records."""
    decoders: tuple[tuple[str, Codec], ...]
    """Only for fields whose driver value is not the wire value already."""
    types: Mapping[str, ColumnType]
    encoders: Mapping[str, Codec]
    """Only for fields whose wire value is not the driver value already."""
    texts: dict[object, str] = field(default_factory=dict, compare=False, repr=False)
    """Pieces of statements that were put together before: they are the same for every request."""
    scoped: dict[tuple[Hashable, int], Scoped] = field(default_factory=dict, compare=False, repr=False)
    """Likewise, by row condition: policies give the same object in every request of a caller."""

    def column(self, alias: str, name: str) -> str:
        return f"{alias}.{self.dialect.quote(name)}" if alias else self.dialect.quote(name)

    def comparable(self, alias: str, name: str) -> str:
        return self.dialect.comparable(self.column(alias, name), self.type(name))

    def sortable(self, alias: str, name: str) -> str:
        return self.dialect.sortable(self.column(alias, name), self.type(name))

    def type(self, name: str) -> ColumnType:
        return self.types.get(name, TIMESTAMP)

    def encode(self, name: str, value: object) -> object:
        """The driver value of a declared field to store; None stays None."""
        encoder = None if value is None else self.encoders.get(name)
        return value if encoder is None else encoder(value)

    def nullable(self, name: str) -> bool:
        """Whether rows may hold no value; NOT NULL is not relied on, because old rows may lack it."""
        return name != self.entity.primary_key.field

    def select_list(self, alias: str) -> str:
        text = self.texts.get(alias)
        if text is None:
            text = self.texts[alias] = ", ".join(self.column(alias, name) for name in self.names)
        return text

    def known(self, place: Hashable, condition: object) -> Scoped | None:
        return self.scoped.get((place, id(condition)))

    def remember(self, place: Hashable, condition: object, text: str, params: Sequence[object]) -> None:
        if len(self.scoped) >= _SCOPED_KEPT:
            self.scoped.clear()
        self.scoped[place, id(condition)] = Scoped(condition, text, tuple(params))

    def live(self, alias: str) -> str:
        """The condition that leaves out softly deleted rows; "" when the entity deletes for good."""
        return f"{self.column(alias, DELETED_AT)} IS NULL" if self.entity.soft_delete else ""

    def decode(self, row: Row, *, skip: int = 0) -> dict[str, Any]:
        """A row of `select_list`, which starts after `skip` other columns -> record in wire values."""
        record = dict(zip(self.names, row[skip:] if skip else row, strict=True))
        for name, decoder in self.decoders:
            value = record[name]
            if value is not None:
                record[name] = decoder(value)
        return record


def compile_shape(entity: Entity, dialect: Dialect, app: str) -> Shape:
    types = {each.name: each.type.column_type(each.precision) for each in entity.fields.values()}
    decoders = {each.name: _decoder(each.type, types[each.name], dialect, app) for each in entity.fields.values()}
    encoders = {each.name: _encoder(each.type, types[each.name], dialect) for each in entity.fields.values()}
    return Shape(
        entity=entity,
        dialect=dialect,
        table=dialect.quote(entity.table),
        names=tuple(entity.fields),
        decoders=tuple((name, decoder) for name, decoder in decoders.items() if decoder is not None),
        types=types,
        encoders={name: encoder for name, encoder in encoders.items() if encoder is not None},
    )


def _decoder(type: FieldType, column: ColumnType, dialect: Dialect, app: str) -> Codec | None:
    decode, show = dialect.decoder(column), type.show
    if show is None:
        return decode
    return lambda value: show(value if decode is None else decode(value), app)


def _encoder(type: FieldType, column: ColumnType, dialect: Dialect) -> Codec | None:
    encode, keep = dialect.encoder(column), type.keep
    if keep is None:
        return encode
    return lambda value: keep(value) if encode is None else encode(keep(value))
