"""One app in one process: its database and the registry in force."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from rocket_kernel.apps.compile import compile_registry
from rocket_kernel.apps.system_tables import STATE, STATE_KEY
from rocket_kernel.clock import timestamp_text
from rocket_kernel.config import LimitsConfig
from rocket_kernel.errors import AppNotFound
from rocket_kernel.metadata.catalog import Catalog, load_model
from rocket_kernel.metadata.registry import Registry
from rocket_kernel.parts import Parts
from rocket_kernel.secret import Secret
from rocket_kernel.store.dialects.base import Dialect
from rocket_kernel.store.protocol import Check, Session, Stale, Store, Transaction
from rocket_kernel.store.table_rows import TableRows

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
    async def reading(self) -> AsyncIterator[tuple[Session, Registry]]:
        """A reading session with the registry that is in force for it.

        Raises AppNotFound when the app has been deleted meanwhile, Unavailable when no connection comes free.
        """
        async with self.store.read() as session:
            yield session, await self._current(session)

    async def read(self, work: Callable[[Session, Registry], Coroutine[Any, Any, T]]) -> T:
        """The result of `work`, a read that awaits nothing but its session and may be run more than once.

        The fast way for reads: the database runs all of it in one go, on whatever thread suits it, and tells on the
        way whether the registry is still in force.
        """
        for _ in range(_LOOKS):
            registry = self.registry
            check = Check(self._state_sql, (registry.revision, "active", self.identity))
            try:
                return await self.store.run(_bound(work, registry), check)
            except Stale:
                async with self.reading():
                    pass  # entering it brings the registry up to date, or raises AppNotFound
        async with self.reading() as (session, registry):
            return await work(session, registry)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[tuple[Transaction, Registry]]:
        """A transaction with the registry that is in force for it; commits when the block ends."""
        async with self.store.write() as tx:
            yield tx, await self._current(tx)

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[Catalog]:
        """A catalog to change metadata with.

        When the block ends the new registry is compiled; only if all of it compiles are rows, tables and registry in
        force together. When the block raises, nothing has changed.
        """
        async with self.store.schema_change() as tx:
            current = await self._current(tx)
            now = timestamp_text(self.parts.clock.now())
            catalog = Catalog(tx, self.parts.kinds, current.model, now)
            yield catalog
            changed = catalog.model is not current.model
            registry = await self._advance(tx, catalog, current) if changed else current
        if registry.revision > self.registry.revision:
            self.registry = registry

    async def _advance(self, tx: Transaction, catalog: Catalog, current: Registry) -> Registry:
        registry = compile_registry(current.revision + 1, catalog.model, tx.dialect, self.parts.plugins)
        await _STATE.update(tx, {"name": STATE_KEY}, {"revision": registry.revision})
        return registry

    async def _current(self, session: Session) -> Registry:
        """The registry in force for what the session sees. Raises AppNotFound."""
        revision, identity = await _read_state(session, self._state_sql, self.name)
        if identity != self.identity:
            raise AppNotFound(self.name)
        if revision == self.registry.revision:
            return self.registry
        return await self._reload(session, revision)

    async def _reload(self, session: Session, revision: int) -> Registry:
        registry = await load_registry(session, revision, self.parts)
        if registry.revision > self.registry.revision:
            self.registry = registry
        return registry


async def load_registry(session: Session, revision: int, parts: Parts) -> Registry:
    model = await load_model(session, parts.kinds, parts.types)
    return compile_registry(revision, model, session.dialect, parts.plugins)


async def open_context(store: Store, parts: Parts, *, name: str, secret: str) -> AppContext:
    """An app that is being opened. Raises AppNotFound when it is not there or being deleted."""
    async with store.read() as session:
        revision, identity = await _read_state(session, state_statement(session.dialect), name)
        registry = await load_registry(session, revision, parts)
    return AppContext(name, Secret(secret), store, parts, registry, identity)


def state_statement(dialect: Dialect) -> str:
    """Selects revision, status and identity of the app. Without parameters, so that it can be part of other statements."""
    quote = dialect.quote
    where = f"{quote('name')} = {dialect.literal(STATE_KEY, STATE.column('name').type)}"
    columns = ", ".join(map(quote, ("revision", "status", "identity")))
    return f"SELECT {columns} FROM {quote(STATE.name)} WHERE {where}"


async def _read_state(session: Session, statement: str, app: str) -> tuple[int, str]:
    """Revision and identity."""
    rows = await session.fetch(statement)
    if not rows or rows[0][1] != "active":
        raise AppNotFound(app)
    return int(rows[0][0]), str(rows[0][2])


def _bound(
    work: Callable[[Session, Registry], Coroutine[Any, Any, T]], registry: Registry
) -> Callable[[Session], Coroutine[Any, Any, T]]:
    return lambda session: work(session, registry)
