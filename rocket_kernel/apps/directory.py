"""All apps of one management database: created, listed, deleted, opened at first use. Safe against crashes."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Collection, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import uuid4
from weakref import WeakValueDictionary

from rocket_kernel.apps.context import AppContext, open_context
from rocket_kernel.apps.system_tables import APPS, MANAGEMENT_TABLES, STATE, STATE_KEY
from rocket_kernel.clock import timestamp_text
from rocket_kernel.errors import (
    AppNotFound,
    Conflict,
    InternalError,
    NotFound,
    PluginError,
    RocketError,
    StartupError,
    Unavailable,
    ValidationFailed,
)
from rocket_kernel.metadata.names import MAX_APP_NAME, is_app_name
from rocket_kernel.parts import Parts
from rocket_kernel.store.columns import Table
from rocket_kernel.store.migrate import apply_tables
from rocket_kernel.store.protocol import Server, Store
from rocket_kernel.store.table_rows import TableRows

logger = logging.getLogger(__name__)

_APPS = TableRows(APPS)
_STATE = TableRows(STATE)
_SECRET_BYTES = 32
_END_LIMIT_S = 10.0
"""How long creations and deletions under way may hold up the end of the process."""
T = TypeVar("T")
HIDDEN = frozenset({"jwt_secret"})


@dataclass(frozen=True, slots=True)
class NewApp:
    name: str
    display_name: str
    driver: str


def parse_new_app(
    body: Mapping[str, Any], *, own_driver: str, servers: Mapping[str, Server], known: Collection[str]
) -> NewApp:
    """The body of POST apps. `known` holds every driver there is. Raises ValidationFailed with the contract's texts."""
    name = body.get("name")
    if name is None or name == "":
        raise ValidationFailed("App name is required")
    if not isinstance(name, str) or not is_app_name(name):
        raise ValidationFailed("App name must be lowercase letters, numbers, hyphens, underscores (start with letter)")
    if len(name) > MAX_APP_NAME:
        raise ValidationFailed(f"App name must be at most {MAX_APP_NAME} characters")
    display_name = body.get("display_name")
    if display_name in (None, ""):
        display_name = name
    if not isinstance(display_name, str):
        raise ValidationFailed("display_name must be a string")
    driver = body.get("db_driver")
    if driver in (None, ""):
        driver = own_driver
    if driver not in known:
        raise ValidationFailed(f"Invalid db_driver: must be one of {', '.join(sorted(known))}")
    if driver not in servers:
        raise ValidationFailed(f"db_driver {driver} is not configured")
    return NewApp(name, display_name, str(driver))


def public_row(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in HIDDEN}


@dataclass(slots=True, eq=False)
class AppDirectory:
    parts: Parts
    servers: Mapping[str, Server]
    own_driver: str
    management_tables: tuple[Table, ...] = MANAGEMENT_TABLES
    _management: Store | None = None
    _open: dict[str, AppContext] = field(default_factory=dict)
    _opening: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)
    """Held while an app is opened. Anybody may ask for any name, so none is kept longer than it is used."""
    _just_made: dict[str, str] = field(default_factory=dict)
    """Secrets of apps that this process has made and not opened yet, by name: their tables are as they must be."""
    _under_way: set[asyncio.Task[Any]] = field(default_factory=set)
    """Creations and deletions, whose callers may have gone away."""

    @property
    def management(self) -> Store:
        if self._management is None:
            raise InternalError
        return self._management

    @property
    def is_open(self) -> bool:
        """Whether there is a management database."""
        return self._management is not None

    @property
    def opened(self) -> tuple[AppContext, ...]:
        return tuple(self._open.values())

    async def start(self) -> None:
        """Open the management database, making it when it is absent, and finish what a crash left half done."""
        config = self.parts.config.database
        server = self.servers[self.own_driver]
        try:
            if not await server.database_exists(config.name):
                with suppress(Conflict):  # another process made it meanwhile
                    await server.create_database(config.name)
            self._management = await server.open(config.name, pool_size=config.pool_size)
            async with self._management.schema_change() as tx:
                await apply_tables(tx, (*self.management_tables, *self.parts.platform_tables))
        except Unavailable as error:
            raise StartupError(
                f"the management database {config.name!r} cannot be reached: {error.__cause__}"
            ) from error
        await self._recover()

    async def stop(self) -> None:
        await self._let_end()
        for name in list(self._open):
            await self.close(name)
        if self._management is not None:
            await self._management.close()
        for server in self.servers.values():
            await server.close()

    async def rows(self) -> list[dict[str, Any]]:
        async with self.management.read() as session:
            return [public_row(row) for row in await _APPS.select(session, order_by=("name",))]

    async def row(self, name: str) -> dict[str, Any]:
        """Raises NotFound."""
        row = await self._row(name) if "\x00" not in name else None
        if row is None:
            raise NotFound(f"App not found: {name}")
        return public_row(row)

    async def app(self, name: str) -> AppContext:
        """The app, opened if need be. Raises AppNotFound for one that is unknown, not active, or not loadable."""
        found = self._open.get(name)
        if found is not None:
            return found
        if not is_app_name(name) or len(name) > MAX_APP_NAME:
            raise AppNotFound(name)
        lock = self._opening.setdefault(name, asyncio.Lock())
        async with lock:
            found = self._open.get(name)
            return found if found is not None else await self._load(name)

    async def close(self, name: str) -> None:
        """Close an app in this process; the next request opens it again if it still exists."""
        app = self._open.pop(name, None)
        if app is None:
            return
        await self.parts.plugins.tell("on_app_closing", app=app)
        await app.store.close()

    async def forget(self, app: AppContext) -> None:
        """Close an app that turned out to be gone, unless another request has done so already."""
        if self._open.get(app.name) is app:
            await self.close(app.name)

    async def is_gone(self, app: AppContext) -> bool:
        """Whether an app whose database does not answer is not there any more; then it is closed. Raises Unavailable.

        The database of an app that another process deleted is as far away as one whose server is down.
        """
        row = await self._row(app.name)
        if row is not None and row["status"] == "active" and row["jwt_secret"] == app.secret.reveal():
            return False
        await self.forget(app)
        return True

    async def _row(self, name: str) -> dict[str, Any] | None:
        async with self.management.read(snapshot=False) as session:
            return await _APPS.first(session, {"name": name})

    async def create(self, new: NewApp) -> dict[str, Any]:
        """Make an app's database, tables and first content. Raises Conflict.

        The app's row, with what plugins show of the new app this once. A failure leaves nothing, nor does a caller that
        goes away: then what has been made is removed.
        """
        creation = self._begin(self._create(new))
        try:
            return await asyncio.shield(creation)
        except asyncio.CancelledError:
            creation.cancel()
            await asyncio.wait([creation])
            raise

    async def delete(self, name: str) -> None:
        """Requests answer 404 at once; then database and row go, even if the caller does too. Raises NotFound."""
        await asyncio.shield(self._begin(self._delete(name)))

    def _begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Work that is waited for when the directory stops."""
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        # A caller that went away does not ask how it ended.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task

    async def _let_end(self) -> None:
        for limit_s in (_END_LIMIT_S, None):
            if self._under_way:
                await asyncio.wait(self._under_way, timeout=limit_s)
            for task in self._under_way:
                task.cancel()

    async def _create(self, new: NewApp) -> dict[str, Any]:
        server, secret = self.servers[new.driver], secrets.token_urlsafe(_SECRET_BYTES)
        async with server.exclusive(new.name) as alone:
            if not alone:
                raise Conflict(f"App already exists: {new.name}")
            await self._require_free(server, new.name)
            # Cut off within its commit, nobody could tell whether there is a row to remove.
            inserting = self._begin(self._insert(new, secret))
            try:
                await asyncio.shield(inserting)
                await server.create_database(_database(new.name))
                shown_once = await self._fill(server, new)
                await self._set_status(new.name, "active")
            except BaseException:
                await asyncio.shield(self._begin(self._undo(server, new.name, secret, inserting)))
                raise
        row = await self.row(new.name)
        return {**row, **shown_once, **row}

    async def _undo(self, server: Server, name: str, secret: str, inserting: asyncio.Task[None]) -> None:
        await asyncio.wait([inserting])
        row = await self._row(name)
        if row is not None and row["jwt_secret"] == secret:  # else it is somebody else's
            await self._remove(server, name)

    async def _delete(self, name: str) -> None:
        driver = await self._driver_to_delete_with(name)
        server = self._server(driver)
        async with server.exclusive(name) as alone:
            # Until the lock was had, another process may have deleted the app, or made one of that name elsewhere.
            if not alone or await self._driver_to_delete_with(name) != driver:
                raise Conflict("The app is being created or deleted")
            await self._set_status(name, "deleting")
            await self._tell_other_processes(server, name)
            await self._remove(server, name)

    async def _driver_to_delete_with(self, name: str) -> str:
        try:
            return str((await self.row(name))["db_driver"])
        except NotFound as error:
            raise NotFound(f"App not found or failed to delete: {error.message}") from error

    def _server(self, driver: str) -> Server:
        server = self.servers.get(driver)
        if server is None:
            raise Unavailable(f"db_driver {driver} is not configured")
        return server

    async def _require_free(self, server: Server, name: str) -> None:
        """Raises Conflict. A database that is there already is somebody's, and a failed creation would drop it."""
        if await self._row(name) is not None:
            raise Conflict(f"App already exists: {name}")
        if await server.database_exists(_database(name)):
            raise Conflict(f"Database already exists: {_database(name)}")

    async def _insert(self, new: NewApp, secret: str) -> None:
        now = timestamp_text(self.parts.clock.now())
        async with self.management.write() as tx:
            made = await _APPS.try_insert(
                tx,
                {
                    "name": new.name,
                    "display_name": new.display_name,
                    "db_name": _database(new.name),
                    "jwt_secret": secret,
                    "db_driver": new.driver,
                    "status": "creating",
                    "created_at": now,
                    "updated_at": now,
                },
            )
        if not made:
            raise Conflict(f"App already exists: {new.name}")

    async def _fill(self, server: Server, new: NewApp) -> dict[str, Any]:
        shown_once: dict[str, Any] = {}
        store = await server.open(_database(new.name), pool_size=1)
        try:
            row = await self._row(new.name) or {}
            await self._make_tables(store)
            app = await open_context(store, self.parts, name=new.name, secret=row["jwt_secret"])
            if self.parts.plugins.of("on_app_created"):
                async with store.write() as tx:
                    await self.parts.plugins.notify("on_app_created", app=app, tx=tx, shown_once=shown_once)
            self._just_made[new.name] = row["jwt_secret"]
        finally:
            await store.close()
        return shown_once

    async def _make_tables(self, store: Store) -> None:
        identity = str(uuid4())
        async with store.schema_change() as tx:
            await apply_tables(tx, (STATE, *(kind.table for kind in self.parts.kinds.ordered), *self.parts.tables))
            await _STATE.try_insert(tx, {"name": STATE_KEY, "revision": 0, "status": "active", "identity": identity})
            await _STATE.update(tx, {"name": STATE_KEY, "identity": ""}, {"identity": identity})

    async def _set_status(self, name: str, status: str) -> None:
        now = timestamp_text(self.parts.clock.now())
        async with self.management.write() as tx:
            await _APPS.update(tx, {"name": name}, {"status": status, "updated_at": now})

    async def _tell_other_processes(self, server: Server, name: str) -> None:
        """Mark the app's own database, which every process looks at before it answers."""
        if not await server.database_exists(_database(name)):
            return
        with suppress(RocketError):  # a damaged database is deleted all the same
            store = await server.open(_database(name), pool_size=1)
            try:
                async with store.write() as tx:
                    await _STATE.update(tx, {"name": STATE_KEY}, {"status": "deleting"})
            finally:
                await store.close()

    async def _remove(self, server: Server, name: str) -> None:
        self._just_made.pop(name, None)
        await self.close(name)
        await server.drop_database(_database(name))
        await self.parts.plugins.notify_all("on_app_deleted", name=name, config=self.parts.config)
        async with self.management.write() as tx:
            await _APPS.delete(tx, {"name": name})

    async def _recover(self) -> None:
        """Remove apps whose creation or deletion a crash cut off. One that another process works on stays."""
        for row in await self.rows():
            if row["status"] == "active":
                continue
            server = self.servers.get(row["db_driver"])
            if server is None:
                continue
            async with server.exclusive(row["name"]) as alone:
                found = await self._row(row["name"])
                if alone and found is not None and found["status"] != "active":
                    logger.warning("removing app %s, left half %s", row["name"], row["status"])
                    await self._remove_if_possible(server, row["name"])

    async def _remove_if_possible(self, server: Server, name: str) -> None:
        """One app that cannot be removed yet must not keep all others from being served."""
        try:
            await self._remove(server, name)
        except (RocketError, PluginError):
            logger.exception("app %s cannot be removed yet; the next start tries again", name)

    async def _load(self, name: str) -> AppContext:
        row = await self._row(name)
        if row is None or row["status"] != "active":
            raise AppNotFound(name)
        server = self._server(row["db_driver"])
        store = await server.open(row["db_name"], pool_size=self.parts.config.app_pool_size)
        try:
            if self._just_made.pop(name, None) != row["jwt_secret"]:
                await self._make_tables(store)
            app = await open_context(store, self.parts, name=name, secret=row["jwt_secret"])
            if await self._row(name) != row:
                raise AppNotFound(name)  # it was opened while it went, or while another took its place
            await self.parts.plugins.notify("on_app_opened", app=app)
        except Unavailable:
            await store.close()
            raise
        except Exception as error:
            await store.close()
            if await self._row(name) == row:  # else it was opened while it went
                logger.exception("app %s cannot be loaded", name)
            raise AppNotFound(name) from error
        self._open[name] = app
        return app


def _database(app: str) -> str:
    return f"rocket_{app}"
