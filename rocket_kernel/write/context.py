"""What a step sees of a write: the record at hand, and the whole request it belongs to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from rocket_kernel import json_text
from rocket_kernel.actor import SYSTEM, Actor
from rocket_kernel.call import Call, Cause
from rocket_kernel.errors import Detail, ValidationFailed
from rocket_kernel.metadata.entity import Entity
from rocket_kernel.metadata.hops import Hop
from rocket_kernel.metadata.registry import CompiledEntity, Registry
from rocket_kernel.query.access import Access
from rocket_kernel.store.columns import Storage
from rocket_kernel.store.protocol import Session
from rocket_kernel.write.stages import CREATE, DELETE, UPDATE

if TYPE_CHECKING:
    from rocket_kernel.store.protocol import Transaction
    from rocket_kernel.write.recorder import Recorder

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class WriteLimits:
    depth: int = 8
    records: int = 1000


class StageEnded(ValidationFailed):
    """A finding after which the stage goes no further."""


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
    cause: Cause | None = None
    """Why the engine writes; None when a client asks for it."""
    title: str = ""
    """What a further write is for, in explain's words; "" for the request itself."""
    further: list[Write] = field(default_factory=list)
    """The top records of what steps have written beside the request, see `create`, `update` and `delete`."""
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
    stored: bool = False
    """Whether the records of the request are in the database already."""

    @property
    def in_transaction(self) -> bool:
        """False while the outside world judges: then `session` only reads, and effects must wait for the second time."""
        return self.locking

    @property
    def tx(self) -> Transaction:
        """The transaction: what is written through it commits or vanishes with the request. RuntimeError without one."""
        if not self.locking:
            raise RuntimeError(
                "there is no transaction while before_webhooks judge: ask write.run.in_transaction first"
            )
        return cast("Transaction", self.session)

    @property
    def call(self) -> Call:
        return Call(self.actor, self.now, self.trace_id, self.cause)

    async def create(
        self, entity: str, body: Mapping[str, Any], *, actor: Actor = SYSTEM, cause: Cause | None = None
    ) -> Write:
        """Create a record inside this transaction, through the whole pipeline of its entity.

        `body` holds JSON values, as of a client. The result is the stored record with all nested in it; it commits or
        vanishes with this write. What is raised has undone the further write, and may be caught: RocketError as a
        request would get it, ValidationFailed for a chain of writes that is too deep or a record that the outside world
        would have to judge. RuntimeError outside the transaction, see `in_transaction`. Without `cause` it is an action
        of this write.
        """
        return await self._write(CREATE, entity, body, "", actor, cause)

    async def update(
        self, entity: str, key: object, body: Mapping[str, Any], *, actor: Actor = SYSTEM, cause: Cause | None = None
    ) -> Write:
        """Update the record with this primary key, as `create` creates one. Raises NotFound too."""
        return await self._write(UPDATE, entity, body, str(key), actor, cause)

    async def delete(self, entity: str, key: object, *, actor: Actor = SYSTEM, cause: Cause | None = None) -> Write:
        """Delete the record with this primary key, as `create` creates one. Raises NotFound too."""
        return await self._write(DELETE, entity, {}, str(key), actor, cause)

    async def _write(
        self, action: str, entity: str, body: Mapping[str, Any], key: str, actor: Actor, cause: Cause | None
    ) -> Write:
        # The pipeline is built on this module.
        from rocket_kernel.write.further import write_further
        from rocket_kernel.write.order import WriteOrder

        return await write_further(self, WriteOrder(action, entity, body, key, by_key=True), actor, cause)


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
    writable: frozenset[str] | None = None
    """Fields the client may give a value; None is all. See `limit`."""
    groups: list[Group] = field(default_factory=list)
    cascade: list[Write] = field(default_factory=list)
    """Rows that a delete takes along, or whose key it clears."""
    cleared: list[Write] = field(default_factory=list)
    """Softly deleted rows of entities with `audit` whose key a delete has cleared. They are in no tree: to all but their
    history they are gone."""
    by_engine: bool = False
    """Changed by an `on_delete` alone: no rules and no permissions, but its events are emitted."""
    position: tuple[int, ...] = ()
    """Where the record stands in the body, so that findings are answered in its order."""
    id_text: str = ""
    """The id as the path had it; "" on create and in nested records."""
    by_key: bool = False
    """`id_text` is a primary key and never a slug."""
    errors: list[Detail] = field(default_factory=list)
    item_errors: list[tuple[tuple[int, ...], Detail]] = field(default_factory=list)
    """Findings about nested items that became no record of their own, with the positions the items have."""
    assigned: set[str] = field(default_factory=set)
    stash: dict[Any, Any] = field(default_factory=dict)
    entity: Entity = field(init=False)

    def __post_init__(self) -> None:
        self.entity = self.compiled.entity

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

    def fail(self, message: str, *, field: str | None = None, rule: str | None = None, last: bool = False) -> None:
        """Add a finding; the request is refused with all findings once the stage is over.

        `last` ends the stage at once: the request is refused with what has been found so far.
        """
        self.errors.append(Detail(message, field=field, rule=rule).under(self.path))
        if last:
            raise StageEnded(message)

    def limit(self, writable: frozenset[str]) -> None:
        """Let the client give values to these fields only; what several plugins say holds together.

        For steps up to `load`. Any other field that is supplied is a finding, and `required` is not asked of it before
        the steps that may fill it. What steps assign is not limited.
        """
        self.writable = writable if self.writable is None else self.writable & writable

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
