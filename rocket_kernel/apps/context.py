"""One app in one process: its database and the registry in force."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from rocket_kernel.actor import Actor, CallerChanged
from rocket_kernel.apps.compile import compile_registry
from rocket_kernel.apps.system_tables import STATE, STATE_KEY
from rocket_kernel.call import Call
from rocket_kernel.clock import timestamp_text
from rocket_kernel.config import LimitsConfig
from rocket_kernel.errors import AppNotFound
from rocket_kernel.metadata.catalog import Catalog, load_model
from rocket_kernel.metadata.registry import Registry
from rocket_kernel.parts import Parts
from rocket_kernel.secret import Secret
from rocket_kernel.store.dialects.base import Dialect
from rocket_kernel.store.noted import noted
from rocket_kernel.store.protocol import Check, Session, Stale, Store, Transaction
from rocket_kernel.store.table_rows import Increment, TableRows
from rocket_kernel.write.context import Write
from rocket_kernel.write.evaluate import rehearse
from rocket_kernel.write.order import WriteOrder
from rocket_kernel.write.perform import Also, perform, start_run, top_record
from rocket_kernel.write.view import Written

T = TypeVar("T")

_STATE = TableRows(STATE)
_LOOKS = 3


@dataclass(slots=True, eq=False, repr=False)
class AppContext:
    """What requests to an app work with. Ask it for a session; it never hands out a stale registry."""

    name: str
    secret: Secret
    """Signs what this app hands out; never leaves the server."""
    store: Store
    parts: Parts
    registry: Registry
    identity: str
    """What its database says of itself; a later app of the same name says something else."""
    stash: dict[Any, Any] = field(default_factory=dict)
    """Room for plugins, by keys of their own; lives as long as the app is open in this process."""

    _state_sql: str = field(init=False)
    _checks: tuple[Registry, Check] | None = field(init=False, default=None)
    """What must hold for the registry that was used last."""

    def __post_init__(self) -> None:
        self._state_sql = state_statement(self.store.dialect)

    def __repr__(self) -> str:
        return f"<AppContext {self.name}>"

    @property
    def limits(self) -> LimitsConfig:
        return self.parts.config.limits

    @property
    def has_external_steps(self) -> bool:
        return any(item.pipeline.external for item in self.registry.compiled.values())

    @asynccontextmanager
    async def reading(self, caller: Actor | None = None) -> AsyncIterator[tuple[Session, Registry]]:
        """A reading session with the registry that is in force for it.

        Raises AppNotFound when the app has been deleted meanwhile, Unavailable when no connection comes free, and
        CallerChanged when what is known of `caller` is older than what the session sees.
        """
        async with self.store.read() as session:
            registry = await self._current(session)
            _require_known(caller, registry)
            yield noted(session), registry

    async def read(self, work: Callable[[Session, Registry], Coroutine[Any, Any, T]], caller: Actor | None = None) -> T:
        """The result of `work`, a read that awaits nothing but its session and may be run more than once.

        The fast way for reads: the database runs all of it in one go, on whatever thread suits it, and tells on the
        way whether the registry, and what is known of `caller`, are still in force. Raises as `reading`.
        """
        for _ in range(_LOOKS):
            registry = self.registry
            _require_known(caller, registry)
            try:
                return await self.store.run(_bound(work, registry), self._check(registry))
            except Stale:
                async with self.reading():
                    pass  # entering it brings the registry up to date, or raises AppNotFound
        async with self.reading(caller) as (session, registry):
            return await work(session, registry)

    def _check(self, registry: Registry) -> Check:
        known = self._checks
        if known is not None and known[0] is registry:
            return known[1]
        check = Check(self._state_sql, (registry.revision, "active", self.identity, registry.callers))
        self._checks = (registry, check)
        return check

    async def still_knows(self, caller: Actor) -> bool:
        """Whether what is known of a caller is in force now. Raises AppNotFound and Unavailable."""
        if caller.known_at is None:
            return True
        _, identity, callers = await self.store.run(lambda session: _read_state(session, self._state_sql, self.name))
        if (identity, callers) == (self.identity, caller.known_at):
            return True
        async with self.reading():
            return False  # entering it brings the registry up to date, or raises AppNotFound

    @asynccontextmanager
    async def writing(self, caller: Actor | None = None) -> AsyncIterator[tuple[Transaction, Registry]]:
        """A transaction with the registry that is in force for it; commits when the block ends. Raises as `reading`."""
        async with self.store.write() as tx:
            registry = await self._current(tx)
            _require_known(caller, registry)
            yield noted(tx), registry

    @asynccontextmanager
    async def writing_aside(self) -> AsyncIterator[Transaction]:
        """A transaction for rows of a log that nobody waits for and no read of records depends on, see `Store.aside`.

        Raises AppNotFound and Unavailable.
        """
        async with self.store.aside() as tx:
            await self._current(tx)
            yield tx

    async def callers_changed(self, tx: Transaction) -> None:
        """Whatever any process knows of who calls counts no longer, from the commit of the transaction on.

        For a plugin that has changed or removed somebody who may call. Transactions that call it follow one another:
        each sees what the one before has committed.
        """
        await _STATE.update(tx, {"name": STATE_KEY}, {"callers": Increment()})

    async def perform_write(self, order: WriteOrder, call: Call, also: Also | None = None) -> Written:
        """Run the whole pipeline of a write in a transaction of its own; what its actor may see of the record.

        `also(run, write)` is called inside the transaction with the stored record, before the commit; what it writes
        through `run.session` commits with the record, and what it raises undoes everything. It may be called again
        for another attempt, when transactions stood in each other's way. Raises RocketError as a request would get it.
        """
        return await perform(self, order, call, also)

    async def rehearse_update(self, order: WriteOrder, call: Call, session: Session, registry: Registry) -> Write:
        """What a step of `state_machine` would find in an update of a record's own fields. Nothing is written.

        `session` is one of `reading`, with its registry. The pipeline has run to the end of `rules`: findings stand in
        `errors`, among them those of fields that the caller may not write. Raises what refuses the caller before.
        """
        root = top_record(start_run(self, registry, session, call, locking=False), order)
        await rehearse(root)
        return root

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[Catalog]:
        """A catalog to change metadata with.

        When the block ends the new registry is compiled; only if all of it compiles are rows, tables and registry in
        force together. When the block raises, nothing has changed.
        """
        async with self.store.schema_change() as opened:
            tx = noted(opened)
            current = await self._current(tx)
            now = timestamp_text(self.parts.clock.now())
            catalog = Catalog(tx, self.parts.kinds, current.model, now)
            yield catalog
            changed = catalog.model is not current.model
            registry = await self._advance(tx, catalog, current) if changed else current
        if registry.revision > self.registry.revision:
            self.registry = registry

    def judge(self, catalog: Catalog) -> None:
        """Raises what a plugin refuses the metadata with as it stands in the catalog now; nothing comes into force."""
        compile_registry(self.registry.revision, catalog.model, catalog.tx.dialect, self.parts.plugins, self.name)

    async def _advance(self, tx: Transaction, catalog: Catalog, current: Registry) -> Registry:
        compiled = compile_registry(current.revision + 1, catalog.model, tx.dialect, self.parts.plugins, self.name)
        registry = replace(compiled, callers=current.callers)
        await _STATE.update(tx, {"name": STATE_KEY}, {"revision": registry.revision})
        return registry

    async def _current(self, session: Session) -> Registry:
        """The registry in force for what the session sees. Raises AppNotFound."""
        revision, identity, callers = await _read_state(session, self._state_sql, self.name)
        if identity != self.identity:
            raise AppNotFound(self.name)
        known = self.registry
        if (revision, callers) == (known.revision, known.callers):
            return known
        registry = (
            known if revision == known.revision else await load_registry(session, revision, self.parts, self.name)
        )
        registry = replace(registry, callers=callers)
        if (revision, callers) > (self.registry.revision, self.registry.callers):
            self.registry = registry
        return registry


async def load_registry(session: Session, revision: int, parts: Parts, app: str) -> Registry:
    model = await load_model(session, parts.kinds, parts.empty_model)
    return compile_registry(revision, model, session.dialect, parts.plugins, app)


async def open_context(store: Store, parts: Parts, *, name: str, secret: str) -> AppContext:
    """An app that is being opened. Raises AppNotFound when it is not there or being deleted."""
    async with store.read() as session:
        revision, identity, callers = await _read_state(session, state_statement(session.dialect), name)
        registry = replace(await load_registry(session, revision, parts, name), callers=callers)
    return AppContext(name, Secret(secret), store, parts, registry, identity)


def state_statement(dialect: Dialect) -> str:
    """Selects the app's state. Without parameters, so that it can be part of other statements."""
    quote = dialect.quote
    where = f"{quote('name')} = {dialect.literal(STATE_KEY, STATE.column('name').type)}"
    columns = ", ".join(map(quote, ("revision", "status", "identity", "callers")))
    return f"SELECT {columns} FROM {quote(STATE.name)} WHERE {where}"


async def _read_state(session: Session, statement: str, app: str) -> tuple[int, str, int]:
    """Revision, identity and callers."""
    rows = await session.fetch(statement)
    if not rows or rows[0][1] != "active":
        raise AppNotFound(app)
    return int(rows[0][0]), str(rows[0][2]), int(rows[0][3])


def _require_known(caller: Actor | None, registry: Registry) -> None:
    if caller is not None and caller.known_at is not None and caller.known_at != registry.callers:
        raise CallerChanged


def _bound(
    work: Callable[[Session, Registry], Coroutine[Any, Any, T]], registry: Registry
) -> Callable[[Session], Coroutine[Any, Any, T]]:
    return lambda session: work(session, registry)
