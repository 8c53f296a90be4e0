"""An entity compiled for one database: quoted names, select lists and row decoding, made once a metadata change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rocket_kernel.metadata.entity import DELETED_AT, Entity
from rocket_kernel.store.columns import ColumnType, Storage
from rocket_kernel.store.dialects.base import Codec, Dialect
from rocket_kernel.store.protocol import Row

TIMESTAMP = ColumnType(Storage.TIMESTAMP)


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
    texts: dict[object, str] = field(default_factory=dict, compare=False, repr=False)
    """Pieces of statements that were put together before: they are the same for every request."""

    def column(self, alias: str, name: str) -> str:
        return f"{alias}.{self.dialect.quote(name)}" if alias else self.dialect.quote(name)

    def comparable(self, alias: str, name: str) -> str:
        return self.dialect.comparable(self.column(alias, name), self.type(name))

    def sortable(self, alias: str, name: str) -> str:
        return self.dialect.sortable(self.column(alias, name), self.type(name))

    def type(self, name: str) -> ColumnType:
        return self.types.get(name, TIMESTAMP)

    def nullable(self, name: str) -> bool:
        """Whether rows may hold no value; NOT NULL is not relied on, because old rows may lack it."""
        return name != self.entity.primary_key.field

    def select_list(self, alias: str) -> str:
        text = self.texts.get(alias)
        if text is None:
            text = self.texts[alias] = ", ".join(self.column(alias, name) for name in self.names)
        return text

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


def compile_shape(entity: Entity, dialect: Dialect) -> Shape:
    decoders: list[tuple[str, Codec]] = []
    for each in entity.fields.values():
        decoder = dialect.decoder(each.type.column_type(each.precision))
        if decoder is not None:
            decoders.append((each.name, decoder))
    return Shape(
        entity=entity,
        dialect=dialect,
        table=dialect.quote(entity.table),
        names=tuple(entity.fields),
        decoders=tuple(decoders),
        types={each.name: each.type.column_type(each.precision) for each in entity.fields.values()},
    )
