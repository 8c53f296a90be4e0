"""What a step sees of a write: the record at hand, and the whole request it belongs to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rocket_kernel import json_text
from rocket_kernel.actor import Actor
from rocket_kernel.errors import Detail
from rocket_kernel.metadata.entity import Entity
from rocket_kernel.metadata.hops import Hop
from rocket_kernel.metadata.registry import CompiledEntity, Registry
from rocket_kernel.query.access import Access
from rocket_kernel.store.columns import Storage
from rocket_kernel.store.protocol import Session
from rocket_kernel.write.stages import CREATE, DELETE

if TYPE_CHECKING:
    from rocket_kernel.write.recorder import Recorder

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class WriteLimits:
    depth: int = 8
    records: int = 1000


@dataclass(slots=True, eq=False)
class WriteRun:
    """One request that writes: everything its records share.

    `session` is the transaction, except while the outside world judges, when it is a reading session or gone.
    """

    app: str
    registry: Registry
    actor: Actor
    now: str
    trace_id: str
    session: Session
    access: Access
    limits: WriteLimits = WriteLimits()
    after_commit: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    """Called in order after the commit, dropped on roll-back; they cannot fail the request."""
    taken_slugs: set[tuple[str, str]] = field(default_factory=set)
    records: int = 0
    locking: bool = True
    """Rows read are locked; False while the outside world judges."""
    stash: dict[Any, Any] = field(default_factory=dict)
    """Room for plugins, by keys of their own."""
    outbox: list[dict[str, Any]] = field(default_factory=list)
    """What will happen outside the database once this is committed, as JSON objects, for explain to show.

    A plugin that stores an outbox row appends a description of it, without secrets and without values of sensitive
    fields.
    """
    workflows: list[dict[str, Any]] = field(default_factory=list)
    """Workflows that this write starts, likewise."""
    recorder: Recorder | None = None
    """Watches the write, for explain; None costs nothing."""


@dataclass(slots=True, eq=False)
class Write:
    """One record being created, updated or deleted, at the top of a request or nested in another."""

    run: WriteRun
    compiled: CompiledEntity
    action: str
    body: Mapping[str, Any] = field(default_factory=dict)
    """What the client sent for this record, as JSON values."""
    path: str = ""
    """Where it stands in the request: "" at the top, else such as `lines[0]`."""
    parent: Write | None = None
    hop: Hop | None = None
    """The relation that leads here from the parent."""
    record: Record = field(default_factory=dict)
    """The record to be stored, merged with the stored one; after the stage `write` the stored row."""
    old: Record | None = None
    """The stored row before; None on create."""
    supplied: frozenset[str] = frozenset()
    """Fields the client gave a value that counts."""
    groups: list[Group] = field(default_factory=list)
    cascade: list[Write] = field(default_factory=list)
    """Rows that a delete takes along, or whose key it clears."""
    by_engine: bool = False
    """Changed by an `on_delete` alone: no rules and no permissions, but its events are emitted."""
    position: tuple[int, ...] = ()
    """Where the record stands in the body, so that findings are answered in its order."""
    id_text: str = ""
    """The id as the path had it; "" on create and in nested records."""
    errors: list[Detail] = field(default_factory=list)
    item_errors: list[tuple[tuple[int, ...], Detail]] = field(default_factory=list)
    """Findings about nested items that became no record of their own, with the positions the items have."""
    assigned: set[str] = field(default_factory=set)
    stash: dict[Any, Any] = field(default_factory=dict)

    @property
    def entity(self) -> Entity:
        return self.compiled.entity

    @property
    def actor(self) -> Actor:
        return self.run.actor

    @property
    def depth(self) -> int:
        return 0 if self.parent is None else self.parent.depth + 1

    @property
    def key(self) -> Any:
        """The wire key; None before a generated number is known."""
        source = self.old if self.old is not None else self.record
        return source.get(self.entity.primary_key.field)

    @property
    def changes(self) -> dict[str, dict[str, Any]]:
        """Each changed field with `old` and `new`; on create every set field with `new` only; on delete empty."""
        if self.action == DELETE:
            return {}
        if self.action == CREATE or self.old is None:
            return {name: {"new": value} for name, value in self.record.items() if value is not None}
        return {
            name: {"old": self.old[name], "new": self.record[name]}
            for name in self.entity.fields
            if differs(self.entity, name, self.old[name], self.record[name])
        }

    def fail(self, message: str, *, field: str | None = None, rule: str | None = None) -> None:
        """Add a finding; the request is refused with all findings once the stage is over."""
        self.errors.append(Detail(message, field=field, rule=rule).under(self.path))

    def assign(self, name: str, value: Any) -> None:
        """Set a field from a JSON value with the conversion and enum check a client's value gets."""
        target = self.entity.fields[name]
        try:
            wire = target.read(value)
        except ValueError:
            self.fail(f"{name} must be a valid {target.type.name}", field=name, rule="type")
            return
        if not target.allows(wire):
            self.fail(f"{name} must be one of: {', '.join(target.enum)}", field=name, rule="enum")
            return
        self.record[name] = wire
        self.assigned.add(name)

    def tree(self) -> Iterator[Write]:
        """This record and all nested in it, parents before items, in body order."""
        yield self
        for group in self.groups:
            for item in group.items:
                yield from item.tree()
        for taken in self.cascade:
            yield from taken.tree()

    def tree_upwards(self) -> Iterator[Write]:
        """This record and all nested in it, items before their parents."""
        for group in self.groups:
            for item in group.items:
                yield from item.tree_upwards()
        for taken in self.cascade:
            yield from taken.tree_upwards()
        yield self


@dataclass(slots=True, eq=False)
class Group:
    """The nested items of one body key."""

    hop: Hop
    deletes: list[Write] = field(default_factory=list)
    writes: list[Write] = field(default_factory=list)
    link: list[Any] = field(default_factory=list)
    """Keys of many_to_many targets to link."""
    unlink: list[Any] = field(default_factory=list)
    unlink_others: bool = False
    """Remove the links to visible targets that are not in `link`."""

    @property
    def items(self) -> list[Write]:
        return [*self.deletes, *self.writes]


def differs(entity: Entity, name: str, old: Any, new: Any) -> bool:
    """Typed comparison of two wire values: decimals by value, all else by form."""
    if old is None or new is None:
        return old is not new
    type = entity.fields[name].type
    if type.storage is Storage.JSON:
        # For Python 1, 1.0 and true are equal.
        return json_text.encode(old) != json_text.encode(new)
    return bool(type.order_key(old) != type.order_key(new))
