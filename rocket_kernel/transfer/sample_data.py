"""Loading the rows of an import document: contract §14.3.

No rules, transitions, slugs, webhooks, workflows or permissions run. Rows are inserted in batches; only when a batch
is refused are its rows tried one by one, so that a bad row costs no good one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rocket_kernel.call import Call
from rocket_kernel.errors import NotNullViolation, RocketError, Unavailable
from rocket_kernel.metadata.catalog import Catalog
from rocket_kernel.metadata.entity import Entity
from rocket_kernel.metadata.field import Field
from rocket_kernel.metadata.kinds import MetadataKind
from rocket_kernel.metadata.relation import Relation
from rocket_kernel.metadata.tables import entity_table, join_table
from rocket_kernel.store.columns import Table
from rocket_kernel.store.migrate import advance_identity
from rocket_kernel.store.protocol import Transaction
from rocket_kernel.store.table_rows import TableRows
from rocket_kernel.transfer.document import canonical_text
from rocket_kernel.write.convert import auto_value, random_id

_BATCH = 500

Row = dict[str, Any]
Progress = Callable[[int], None]
ImportListener = Callable[[Sequence[Mapping[str, Any]], Transaction, Call], Awaitable[None]]
"""`(complete rows as they are stored, the import's transaction, who imports)`."""
Listeners = Callable[[Entity], Sequence[ImportListener]]


@dataclass(slots=True)
class RowLoader:
    catalog: Catalog
    errors: list[str]
    on_rows: Progress
    """Called with the number of rows dealt with since the last call."""
    call: Call
    listeners: Listeners
    """Who is told of the rows of an entity."""
    inserted: dict[str, int] = field(default_factory=dict)
    """By entity or join table."""

    async def load(self, sample_data: Mapping[str, Any], entities: Sequence[str], relations: Sequence[str]) -> None:
        """Rows of the named entities in their order, then of the relations' join tables. Other keys are ignored."""
        model = self.catalog.model
        for name in dict.fromkeys(entities):
            entity = model.entities.get(name)
            if entity is None:
                continue
            for key in dict.fromkeys((entity.name, entity.table)):
                if key in sample_data and not (key != name and key in model.entities):
                    await self._load_entity(entity, self._listed(key, sample_data[key]))
        for name in dict.fromkeys(relations):
            relation = model.relations.get(name)
            if relation is not None and relation.join_table and relation.join_table in sample_data:
                rows = self._listed(relation.join_table, sample_data[relation.join_table])
                await self._load_joins(relation, rows)

    def _listed(self, key: str, rows: Any) -> list[Any]:
        if isinstance(rows, list):
            return rows
        self.errors.append(f"record {key}: array expected")
        return []

    async def _load_entity(self, entity: Entity, given: list[Any]) -> None:
        table = entity_table(entity, self.catalog.model.relations.values())
        told = self.listeners(entity)
        stored = _StoredRows(entity, await TableRows(table).select(self.catalog.tx))
        batch: list[Row] = []
        for body in given:
            row = self._read(entity, body)
            if row is not None and not stored.holds(_kept(entity, row)) and self._has_key(entity, row):
                complete = self._complete(entity, row)
                stored.add(_kept(entity, complete))
                batch.append(complete)
            if len(batch) == _BATCH:
                await self._store(table, entity, batch, told)
                batch = []
        await self._store(table, entity, batch, told)
        self.on_rows(len(given))
        if entity.generated_key:
            await advance_identity(self.catalog.tx, table)

    def _read(self, entity: Entity, body: Any) -> Row | None:
        """The known columns a row brings, as wire values; None when it has a fault, which is then reported."""
        if not isinstance(body, Mapping):
            self.errors.append(f"record {entity.name}: object expected")
            return None
        row: Row = {}
        for name, definition in entity.fields.items():
            if name not in body:
                continue
            fault = _take(row, definition, body[name])
            if fault:
                self.errors.append(f"record {entity.name}: {fault}")
                return None
        missing = [
            name
            for name, definition in entity.fields.items()
            if definition.demanded
            and row.get(name, definition.default) in (None, "")
            and definition.auto is None
            and name != entity.primary_key.field
        ]
        if missing:
            self.errors.append(f"record {entity.name}: {missing[0]} is required")
            return None
        if row.get(entity.primary_key.field) in (None, ""):
            row.pop(entity.primary_key.field, None)
        return row

    def _has_key(self, entity: Entity, row: Row) -> bool:
        """Whether a row brings its key, or gets one; a fault is reported."""
        key = entity.key
        if key.name in row or entity.generated_key or key.default not in (None, ""):
            return True
        self.errors.append(f"record {entity.name}: {key.name} is required")
        return False

    def _complete(self, entity: Entity, row: Row) -> Row:
        """Every column: given values kept, defaults, automatic times and keys filled in."""
        now = self.catalog.now
        complete: Row = {}
        for name, definition in entity.fields.items():
            value = row.get(name)
            if name not in row:
                value = definition.default
            if value is None and definition.auto is not None:
                value = auto_value(definition, now)
            complete[name] = value
        key = entity.primary_key
        if complete[key.field] is None and key.generated:
            if key.type in ("uuid", "string"):
                complete[key.field] = random_id()
            else:
                del complete[key.field]
        return complete

    async def _looked_up(self, entity: Entity, batch: list[Row]) -> list[Row]:
        """Complete values that name something stored elsewhere. A row that names what is not there is reported."""
        for name, definition in entity.fields.items():
            type = definition.type
            if type.look_up is None:
                continue
            known = await type.look_up(self.catalog.tx, [row[name] for row in batch if row[name] is not None])
            kept = [row for row in batch if row[name] is None or type.order_key(row[name]) in known]
            fault = f"record {entity.name}: {name} must be a valid {type.name}"
            self.errors += [fault] * (len(batch) - len(kept))
            batch = [row if row[name] is None else {**row, name: known[type.order_key(row[name])]} for row in kept]
        return batch

    async def _store(self, table: Table, entity: Entity, batch: list[Row], told: Sequence[ImportListener]) -> None:
        rows = await self._looked_up(entity, batch)
        await self._insert(table, entity.name, [_kept(entity, row) for row in rows], told)

    async def _insert(self, table: Table, name: str, batch: list[Row], told: Sequence[ImportListener] = ()) -> None:
        for rows in _same_columns(batch):
            try:
                async with self.catalog.tx.savepoint():
                    stored = await self._insert_together(table, rows, complete=bool(told))
            except Unavailable:
                raise
            except RocketError:
                stored = await self._insert_singly(table, name, rows)
            if stored:
                self.inserted[name] = self.inserted.get(name, 0) + len(stored)
            for listener in told if stored else ():
                await listener(stored, self.catalog.tx, self.call)

    async def _insert_together(self, table: Table, rows: list[Row], *, complete: bool) -> list[Row]:
        """`complete` asks for the keys that the database has made up, too."""
        if complete and any(column.identity and column.name not in rows[0] for column in table.columns):
            return [await TableRows(table).insert(self.catalog.tx, row) for row in rows]
        await TableRows(table).insert_many(self.catalog.tx, rows)
        return rows

    async def _insert_singly(self, table: Table, name: str, rows: Sequence[Row]) -> list[Row]:
        stored: list[Row] = []
        for row in rows:
            try:
                async with self.catalog.tx.savepoint():
                    stored.append(await TableRows(table).insert(self.catalog.tx, row))
            except Unavailable:
                raise  # no fault of the row
            except NotNullViolation as violation:
                self.errors.append(f"record {name}: {violation.column} is required")
            except RocketError as error:
                self.errors.append(f"record {name}: {error.message}")
        return stored

    async def _load_joins(self, relation: Relation, given: list[Any]) -> None:
        model = self.catalog.model
        source, target = model.entities[relation.source], model.entities[relation.target]
        table = join_table(relation, source, target)
        own, other = relation.source_join_key, relation.target_join_key
        stored = {(row[own], row[other]) for row in await TableRows(table).select(self.catalog.tx)}
        fresh: dict[tuple[Any, Any], Row] = {}
        for body in given:
            pair = self._read_pair(relation, body, source.key, target.key)
            if pair is not None and pair not in stored:
                fresh[pair] = {own: pair[0], other: pair[1]}
        rows = list(fresh.values())
        for start in range(0, len(rows), _BATCH):
            await self._insert(table, relation.join_table, rows[start : start + _BATCH])
        self.on_rows(len(given))

    def _read_pair(self, relation: Relation, body: Any, own: Field, other: Field) -> tuple[Any, Any] | None:
        label = f"record {relation.join_table}"
        if not isinstance(body, Mapping):
            self.errors.append(f"{label}: object expected")
            return None
        values = []
        for column, key in ((relation.source_join_key, own), (relation.target_join_key, other)):
            row: Row = {}
            fault = _take(row, key, body.get(column))
            if fault or row[key.name] is None:
                self.errors.append(f"{label}: {column} must be a valid {key.type.name}")
                return None
            values.append(row[key.name])
        return values[0], values[1]


class _StoredRows:
    """Which rows are there already: by key, or for rows without one by all the values they bring."""

    def __init__(self, entity: Entity, rows: list[Row]) -> None:
        self._entity = entity
        self._key = entity.primary_key.field
        self._rows = rows
        self._keys = {self._order(self._key, row[self._key]) for row in rows}
        self._by_columns: dict[tuple[str, ...], set[tuple[Any, ...]]] = {}

    def holds(self, row: Row) -> bool:
        if row.get(self._key) is not None:
            return self._order(self._key, row[self._key]) in self._keys
        columns = tuple(name for name in self._entity.fields if name in row and name != self._key)
        if columns not in self._by_columns:
            self._by_columns[columns] = {self._values(columns, stored) for stored in self._rows}
        return self._values(columns, row) in self._by_columns[columns]

    def add(self, row: Row) -> None:
        self._rows.append(row)
        if row.get(self._key) is not None:
            self._keys.add(self._order(self._key, row[self._key]))
        for columns, known in self._by_columns.items():
            known.add(self._values(columns, row))

    def _values(self, columns: tuple[str, ...], row: Row) -> tuple[Any, ...]:
        return tuple(self._order(name, row.get(name)) for name in columns)

    def _order(self, name: str, value: Any) -> Any:
        if value is None:
            return None
        key = self._entity.fields[name].type.order_key(value)
        return canonical_text(key) if isinstance(key, (dict, list)) else key


def _kept(entity: Entity, row: Row) -> Row:
    """A row in wire values as it is stored."""
    changes = {name: entity.fields[name].kept(row[name]) for name in row if entity.fields[name].type.keep is not None}
    return {**row, **changes} if changes else row


def _take(row: Row, definition: Field, value: Any) -> str:
    """Put a value into a row; the fault in words, or ""."""
    try:
        wire = definition.read(value)
    except ValueError:
        return f"{definition.name} must be a valid {definition.type.name}"
    if not definition.allows(wire):
        return f"{definition.name} must be one of: {', '.join(definition.enum)}"
    row[definition.name] = wire
    return ""


def _same_columns(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Runs of rows that can share one statement."""
    run: list[Row] = []
    for row in rows:
        if run and row.keys() != run[0].keys():
            yield run
            run = []
        run.append(row)
    if run:
        yield run


def kind_entries(document: Mapping[str, list[Any]], kind: MetadataKind[Any]) -> list[str]:
    """Names given in a section, for kinds whose key is a name; faulty items are left out."""
    return [
        item["name"]
        for item in document.get(kind.name, [])
        if isinstance(item, Mapping) and isinstance(item.get("name"), str)
    ]
