"""Importing a document: contract §14.2. One transaction, one savepoint an item; a plan is the same, undone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from rocket_kernel.actor import SYSTEM
from rocket_kernel.call import Call
from rocket_kernel.errors import RocketError, Unavailable
from rocket_kernel.metadata.catalog import Catalog, Kinds
from rocket_kernel.metadata.entity import Entity
from rocket_kernel.metadata.kinds import CONTRACT_PLUGINS, MetadataKind
from rocket_kernel.metadata.model import ENTITIES, RELATIONS
from rocket_kernel.plugins import PluginSet
from rocket_kernel.transfer.document import Document, section_names
from rocket_kernel.transfer.sample_data import ImportListener, Progress, RowLoader, kind_entries

if TYPE_CHECKING:
    from rocket_kernel.apps.context import AppContext


@dataclass(frozen=True, slots=True)
class Change:
    action: str
    """create, update, or skip: a stored item that differs and stays."""
    kind: str
    key: str
    ddl: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        body: dict[str, Any] = {"action": self.action, "kind": self.kind, "key": self.key}
        if self.ddl:
            body["ddl"] = list(self.ddl)
        return body


@dataclass(slots=True)
class Outcome:
    changes: list[Change] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    """Items really created or changed, by section."""
    records: dict[str, int] = field(default_factory=dict)
    """Rows inserted, by entity or join table."""
    errors: list[str] = field(default_factory=list)

    def summary(self, kinds: Kinds) -> dict[str, Any]:
        """The answer of mode apply."""
        counts = {name: self.counts.get(name, 0) for name in section_names(kinds)}
        counts["records"] = sum(self.records.values())
        return self._with_errors({"message": "Import completed", "summary": counts})

    def plan(self) -> dict[str, Any]:
        """The answer of mode plan."""
        body = {"changes": [change.as_json() for change in self.changes], "records": self.records}
        return self._with_errors(body)

    def _with_errors(self, body: dict[str, Any]) -> dict[str, Any]:
        return {**body, "errors": self.errors} if self.errors else body


class _Undo(Exception):
    """Ends a plan's transaction without keeping anything."""


def _no_progress(_rows: int) -> None:
    return None


async def import_document(
    app: AppContext,
    document: Document,
    *,
    plan: bool = False,
    on_rows: Progress = _no_progress,
    call: Call | None = None,
) -> Outcome:
    """Items that fail are reported in `errors` and the rest goes on. With `plan` nothing is kept.

    Without `call` it is the engine that imports.
    """
    outcome = Outcome()
    try:
        async with app.changing() as catalog:
            told = call or Call(SYSTEM, catalog.now, str(uuid4()))
            await _Import(catalog, document, outcome, on_rows, app.judge, told, app.parts.plugins).run()
            if plan:
                raise _Undo
    except _Undo:
        pass
    return outcome


@dataclass(slots=True)
class _Import:
    catalog: Catalog
    document: Document
    outcome: Outcome
    on_rows: Progress
    judge: Callable[[Catalog], None]
    """Raises what plugins refuse the metadata with."""
    call: Call
    plugins: PluginSet
    one_by_one: bool = False
    """Whether plugins are asked after each item."""

    async def run(self) -> None:
        kinds = self.catalog.kinds
        for name, plugin in CONTRACT_PLUGINS.items():
            if kinds.named(name) is None and self.document.sections.get(name):
                self.outcome.errors.append(f"{name}: plugin '{plugin}' is not enabled")
        if not await self._import_all_at_once():
            self.one_by_one = True
            await self._import_kinds()
        loader = RowLoader(self.catalog, self.outcome.errors, self.on_rows, self.call, self._listeners)
        sections = self.document.sections
        named = {kind.name: kind_entries(sections, kind) for kind in kinds.ordered if kind.key == "name"}
        await loader.load(self.document.sample_data, named[ENTITIES], named[RELATIONS])
        self.outcome.records.update(loader.inserted)

    def _listeners(self, entity: Entity) -> list[ImportListener]:
        hooks = self.plugins.of("compile_import_listener")
        found = (hook.call(entity=entity, model=self.catalog.model) for hook in hooks)
        return [listener for listener in found if listener is not None]

    async def _import_all_at_once(self) -> bool:
        """All items, then the plugins' judgement of them together. When they refuse, all is as before."""
        catalog, outcome = self.catalog, self.outcome
        before = catalog.model, len(catalog.ddl), len(outcome.errors)
        try:
            async with catalog.tx.savepoint():
                await self._import_kinds()
                if catalog.model is not before[0]:
                    self.judge(catalog)
        except Unavailable:
            raise
        except RocketError:
            catalog.model = before[0]
            del catalog.ddl[before[1] :], outcome.errors[before[2] :]
            outcome.changes.clear()
            outcome.counts.clear()
            return False
        return True

    async def _import_kinds(self) -> None:
        for kind in self.catalog.kinds.ordered:
            await self._import_kind(kind)

    async def _import_kind(self, kind: MetadataKind[Any]) -> None:
        unanswered: dict[Any, list[str]] = {}
        for key, stored in self.catalog.model.of(kind.name).items():
            unanswered.setdefault(kind.identity(stored.item), []).append(key)
        for body in self.document.sections.get(kind.name, []):
            if not isinstance(body, Mapping):
                self.outcome.errors.append(f"{kind.singular}: object expected")
                continue
            await self._import_item(kind, body, unanswered)

    async def _import_item(
        self, kind: MetadataKind[Any], body: Mapping[str, Any], unanswered: dict[Any, list[str]]
    ) -> None:
        catalog = self.catalog
        model, statements = catalog.model, len(catalog.ddl)
        label = kind.label(body)
        try:
            item = kind.parse(body, model)
            same = unanswered.get(kind.identity(item), [])
            if same:
                await self._meet(kind, body, item, same.pop(0))
                return
            async with catalog.tx.savepoint():
                await catalog.create(kind, body)
                self._judge_alone()
            self._note("create", kind, label, tuple(catalog.ddl[statements:]))
        except Unavailable:
            raise  # no fault of the item
        except RocketError as error:
            catalog.model = model
            del catalog.ddl[statements:]
            self.outcome.errors.append(f"{kind.singular} {label}: {error.message}")

    async def _meet(self, kind: MetadataKind[Any], body: Mapping[str, Any], item: Any, key: str) -> None:
        """A stored item of the same identity: equal, kept as it is, or overwritten."""
        stored = self.catalog.model.of(kind.name)[key]
        label = kind.label(body)
        if kind.value(stored.item) == kind.value(item):
            return
        if kind.on_difference == "keep":
            self.outcome.changes.append(Change("skip", kind.singular, label))
            return
        async with self.catalog.tx.savepoint():
            await self.catalog.replace(kind, key, body)
            self._judge_alone()
        self._note("update", kind, label, ())

    def _judge_alone(self) -> None:
        if self.one_by_one:
            self.judge(self.catalog)

    def _note(self, action: str, kind: MetadataKind[Any], label: str, ddl: tuple[str, ...]) -> None:
        self.outcome.changes.append(Change(action, kind.singular, label, ddl))
        self.outcome.counts[kind.name] = self.outcome.counts.get(kind.name, 0) + 1
