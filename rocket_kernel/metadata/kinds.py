"""How a collection of metadata is declared.

From one declaration the kernel gives the table, the admin endpoints, loading, export, import, plan, and the removal
with an entity. Entities and relations are declared here like the kinds of any plugin.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from rocket_kernel.store.columns import Table

if TYPE_CHECKING:
    from rocket_kernel.metadata.model import Model
    from rocket_kernel.store.protocol import Transaction

T = TypeVar("T")
Body = Mapping[str, Any]

CONTRACT_PLUGINS: Mapping[str, str] = MappingProxyType(
    {
        "rules": "rules",
        "state_machines": "statemachines",
        "workflows": "workflows",
        "permissions": "auth",
        "webhooks": "webhooks",
        "ui_configs": "uiconfigs",
    }
)
"""Sections of an import document that a plugin of the contract brings, with the plugin's name."""


@dataclass(frozen=True, slots=True)
class Stored(Generic[T]):
    """An item in force: `key` is its name or id, `row` its stored row in wire values."""

    key: str
    item: T
    row: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """One item that was created (no `former`), changed, or removed (no `stored`), inside the transaction that does so."""

    tx: Transaction
    now: str
    former: Stored[T] | None
    stored: Stored[T] | None


def _no_tables(_item: Any, _model: Model) -> Sequence[Table]:
    return ()


def _no_check(_item: Any, _former: Any, _model: Model) -> None:
    return None


def _no_use(_item: Any, _entity: str, _field: str) -> str | None:
    return None


def row_alone(row: Mapping[str, Any], _item: Any) -> Mapping[str, Any]:
    return row


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataKind(Generic[T]):
    """A declared collection.

    All functions are pure. `parse` raises ValidationFailed with the text of the first failing check, and `check`
    Conflict or ValidationFailed for what depends on the items already there.
    """

    name: str
    """Section of export documents, such as `state_machines`."""
    singular: str
    """How an import report names an item, such as `state_machine`."""
    path: str
    """Segment under `_admin`, such as `state-machines`."""
    noun: str
    """How messages name an item, such as `State machine`."""
    table: Table
    rank: int
    """Order of import and loading: a kind may refer to items of lower rank. Kernel kinds are below 100."""
    key: Literal["name", "id"] = "id"
    order_by: tuple[str, ...] = ("id",)
    parse: Callable[[Body, Model], T]
    """A complete definition -> item."""
    load: Callable[[Body, Model], T] | None = None
    """As `parse`, for stored rows: may be lenient with what has become invalid since. None takes `parse`."""
    body: Callable[[Mapping[str, Any]], Body]
    """A stored row -> the body `parse` takes."""
    row: Callable[[T], Mapping[str, Any]]
    """Column values to store; without id and timestamps."""
    ordinal: str | None = None
    """A column that numbers the items in the order of their creation, where the time of it is not fine enough."""
    generate: Callable[[], Mapping[str, Any]] = dict
    """Further column values of a new item, which no client ever gives, such as a secret."""
    revise: Callable[[T, Stored[T]], Mapping[str, Any]] = lambda _item, _former: {}
    """`(item, what it takes the place of)`: further column values, such as a version."""
    changed: Callable[[Change[T]], Awaitable[None]] | None = None
    """Called when a row has just been stored or is gone: keeps other rows in step. Raising refuses the change."""
    identity: Callable[[T], Hashable]
    """Two items with one identity are the same item for an import."""
    value: Callable[[T], object]
    """What counts when an import compares an item with the stored one."""
    export: Callable[[T], Mapping[str, Any]]
    label: Callable[[Body], str]
    """How an import report names a given item behind `singular`; must bear any JSON object."""
    check: Callable[[T, T | None, Model], None] = _no_check
    """`(item, former item or None, model without the item)`: conflicts and forbidden changes."""
    tables: Callable[[T, Model], Sequence[Table]] = _no_tables
    """Tables that must be as given once the item is in force; `model` holds the item already."""
    tables_without: Callable[[T, Model], Sequence[Table]] = _no_tables
    """Tables that change when the item goes; `model` no longer holds it."""
    backfill: Callable[[T, str], Mapping[str, Any]] = lambda _item, _table: {}
    """Wire values that existing rows of a table get in columns that are added."""
    emptied: Callable[[T, T], Iterable[tuple[str, str]]] = lambda _item, _former: ()
    """`(item, what it takes the place of)`: tables and columns of them whose values go when the item comes in force."""
    uses_field: Callable[[T, str, str], str | None] = _no_use
    """`(item, entity, field)`: words such as `relation lines` when the item would break without the field."""
    entities: Callable[[T], tuple[str, ...]] = lambda _item: ()
    """Entities the item belongs to. It is deleted with any of them, unless `orphaned` says otherwise."""
    orphaned: Callable[[T], Mapping[str, Any] | None] | None = None
    """Instead of deleting the item with its entity: column values to change, or None to leave it."""
    answer: Callable[[Mapping[str, Any], T], Mapping[str, Any]] = row_alone
    """The answer to create and update, from the stored row."""
    on_difference: Literal["keep", "overwrite"] = "keep"
    """What an import does to a stored item that differs."""
    readers: Literal["admin", "authenticated"] = "admin"
    partial_update: bool = True
    """PUT lays its keys over the stored body; otherwise it replaces the whole definition."""
    hidden: tuple[str, ...] = ()
    """Columns that no answer shows."""
    schema: Mapping[str, Any] | None = field(default=None, hash=False)
    """JSON Schema of a definition, which is an object, for the API description. It judges nothing: `parse` does."""
