"""The hourly job: blobs without row, rows without blob, and on request files that no record refers to."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

from rocket_files.access import file_fields
from rocket_files.blobs import BlobStore
from rocket_files.stored_file import ROWS, StoredFile, find_files, from_row, remove_row
from rocket_kernel import AppContext, Comparison, JobRun, Registry, Session, existing_values, timestamp_text

logger = logging.getLogger(__name__)

EVERY_S = 3600.0
GRACE = timedelta(hours=1)
"""Younger than this, the other half may still be on its way."""
_PAGE = 500


async def clean_up(store: BlobStore, run: JobRun, *, unreferenced_days: int) -> None:
    """May run twice at once: whatever it removes, it makes sure of first."""
    now = datetime.fromisoformat(run.now)
    await _remove_halves(store, run.app, now - GRACE)
    if unreferenced_days > 0:
        await _remove_unreferenced(store, run.app, now - timedelta(days=unreferenced_days))


async def _remove_halves(store: BlobStore, app: AppContext, before: datetime) -> None:
    """Blobs are listed before rows: a blob whose row is about to come is young, and stays."""
    blobs = await store.list(app.name)
    without_row = dict(blobs or {})
    async for files in _pages(app, before=None):
        lost = [file for file in files if without_row.pop(file.storage_path, None) is None]
        lost = [file for file in lost if file.created_at < timestamp_text(before)]
        if lost and blobs is None:
            # A disk that is not mounted, or another bucket, would otherwise cost every row.
            logger.warning("app %s has files, but its storage has no place for them: nothing is removed", app.name)
            return
        for file in lost:
            await _remove_lost(store, app, file)
    for key, written in without_row.items():
        if written < before:
            logger.info("removing %s, which no file refers to", key)
            await store.delete(key)


async def _remove_lost(store: BlobStore, app: AppContext, file: StoredFile) -> None:
    if await store.size(file.storage_path) is not None:
        return
    logger.warning("removing file %s of app %s, whose bytes are gone", file.id, app.name)
    async with app.writing() as (tx, _registry):
        await remove_row(tx, file.id)


async def _remove_unreferenced(store: BlobStore, app: AppContext, before: datetime) -> None:
    async for files in _pages(app, before=before):
        private = [file.id for file in files if not file.public]
        async with app.reading() as (session, registry):
            referred = await _referred(session, registry, private)
        for id in private:
            if id not in referred:
                await _remove_if_unreferenced(store, app, id)


async def _remove_if_unreferenced(store: BlobStore, app: AppContext, id: str) -> None:
    """A record that is about to refer to it holds the row, or finds it gone."""
    async with app.writing() as (tx, registry):
        file = (await find_files(tx, [id], lock=True)).get(id)
        if file is None or file.public or await _referred(tx, registry, [id]):
            return
        await remove_row(tx, id)
    await store.delete(file.storage_path)


async def _referred(session: Session, registry: Registry, ids: Sequence[str]) -> set[str]:
    """Those that a row of any entity refers to; softly deleted rows count, because they may come to life again."""
    values = [{"id": id} for id in ids]
    found: set[str] = set()
    for entity in registry.model.entities.values():
        for name in file_fields(entity):
            held = await existing_values(session, registry, entity, name, values)
            found.update(value["id"] for value in held if value is not None)
    return found


async def _pages(app: AppContext, *, before: datetime | None) -> AsyncIterator[list[StoredFile]]:
    """All files, a page at a time, each page on a session of its own."""
    after: str | None = None
    while True:
        where: dict[str, object] = {} if after is None else {"id": Comparison(">", after)}
        if before is not None:
            where["created_at"] = Comparison("<", timestamp_text(before))
        async with app.reading() as (session, _registry):
            rows = await ROWS.select(session, where, order_by=("id",), limit=_PAGE)
        if rows:
            yield [from_row(row) for row in rows]
        if len(rows) < _PAGE:
            return
        after = rows[-1]["id"]
