"""A write from the first check to the answer: one transaction for the record and everything nested in it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rocket_kernel.call import Call
from rocket_kernel.errors import Conflict, Forbidden, TransactionConflict
from rocket_kernel.metadata.entity import DELETED_AT
from rocket_kernel.metadata.registry import Registry
from rocket_kernel.query.access import Access, FullAccess
from rocket_kernel.query.memory import holds
from rocket_kernel.query.reader import Reader
from rocket_kernel.query.records import Record, fetch_records, key_condition
from rocket_kernel.store.protocol import Session, Transaction
from rocket_kernel.write.context import Write, WriteLimits, WriteRun
from rocket_kernel.write.evaluate import evaluate
from rocket_kernel.write.execute import execute
from rocket_kernel.write.run_stage import run_stage
from rocket_kernel.write.stages import DELETE, Stage

if TYPE_CHECKING:
    from rocket_kernel.apps.context import AppContext

logger = logging.getLogger(__name__)

_ATTEMPTS = 4
_PAUSE_S = 0.02
_AFTER = (Stage.AFTER_RULES, Stage.AFTER_WRITE, Stage.OUTBOX)


@dataclass(frozen=True, slots=True)
class WriteOrder:
    """What to write. `id_text` is an id or slug as a path has it; empty on create."""

    action: str
    entity: str
    body: Mapping[str, Any]
    id_text: str = ""


async def perform(app: AppContext, order: WriteOrder, call: Call) -> Record:
    """Run the whole pipeline and commit; the record as the caller may see it, empty after a delete.

    Deadlocks and serialization failures are tried again before Conflict is raised. Effects outside the database are
    rows of the same transaction, so that nothing exists anywhere when anything vetoes.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return await _attempt(app, order, call)
        except TransactionConflict as busy:
            if attempt == _ATTEMPTS - 1:
                raise Conflict from busy
            await asyncio.sleep(_PAUSE_S * 2**attempt)
    raise Conflict


async def _attempt(app: AppContext, order: WriteOrder, call: Call) -> Record:
    stash: dict[Any, Any] = {}
    judged = await _ask_outside(app, order, call, stash)
    async with app.writing() as (tx, registry):
        compiled = registry.entity(order.entity)
        run = _run(app, registry, tx, call, stash, locking=True)
        root = await evaluate(run, compiled, order.action, id_text=order.id_text, body=order.body)
        if judged is not None and _fingerprint(root) != judged:
            raise Conflict
        await execute(tx, root)
        for stage in _AFTER:
            await run_stage(_reached(root, stage), stage)
        answer = {} if order.action == DELETE else await _answer(root, registry, tx)
    await _after_commit(root)
    return answer


def _run(
    app: AppContext, registry: Registry, session: Session, call: Call, stash: dict[Any, Any], *, locking: bool
) -> WriteRun:
    return WriteRun(
        app=app.name,
        registry=registry,
        actor=call.actor,
        now=call.now,
        trace_id=call.trace_id,
        session=session,
        access=Access(registry, call.actor),
        limits=WriteLimits(app.limits.nested_depth, app.limits.nested_records),
        locking=locking,
        stash={"kernel:ids": stash.setdefault("kernel:ids", {})},
    )


async def _ask_outside(
    app: AppContext, order: WriteOrder, call: Call, stash: dict[Any, Any]
) -> list[tuple[Any, ...]] | None:
    """Let the outside world judge, if anything in the tree asks it. No connection is held meanwhile."""
    if not app.has_external_steps:
        return None
    async with app.reading() as (session, registry):
        compiled = registry.entity(order.entity)
        if not compiled.pipeline.external:
            return None
        run = _run(app, registry, session, call, stash, locking=False)
        root = await evaluate(run, compiled, order.action, id_text=order.id_text, body=order.body)
    await run_stage((write for write in root.tree() if not write.by_engine), Stage.BEFORE_WEBHOOKS)
    return _fingerprint(root)


def _fingerprint(root: Write) -> list[tuple[Any, ...]]:
    """What the outside world judged: which rows, how they stood, and what is to become of them."""
    return [(write.entity.name, write.action, write.position, write.old) for write in root.tree()]


def _reached(root: Write, stage: Stage) -> list[Write]:
    """Rows that only an `on_delete` changes emit events but obey no rules."""
    return [write for write in root.tree() if not (write.by_engine and stage is Stage.AFTER_RULES)]


async def _answer(root: Write, registry: Registry, tx: Transaction) -> Record:
    entity = root.entity
    record = root.record
    if any(write.compiled.pipeline.at(write.action, stage) for write in root.tree() for stage in _AFTER):
        where = key_condition(entity, root.record[entity.primary_key.field])
        found = await fetch_records(tx, registry, entity.name, FullAccess(), where=where, limit=1)
        record = found[0] if found else record
    access = root.run.access
    try:
        grant = access.grant(entity.name)
    except Forbidden:
        return _own_fields(root, record)
    if grant.condition is not None and not holds(grant.condition, record):
        return _own_fields(root, record)
    shown = Reader(registry, tx, access).visible(entity, record)
    if entity.shows_deleted_at:
        shown[DELETED_AT] = None
    return shown


def _own_fields(root: Write, record: Record) -> Record:
    """For a caller who may not read the row: its key and what the caller supplied."""
    kept = {root.entity.primary_key.field, *root.supplied}
    return {name: record[name] for name in root.entity.fields if name in kept}


async def _after_commit(root: Write) -> None:
    for callback in root.run.after_commit:
        try:
            await callback()
        except Exception:
            logger.exception("a callback after the commit failed")
    for write in root.tree():
        for step in write.compiled.pipeline.at(write.action, Stage.AFTER_WEBHOOKS):
            try:
                await step.run(write)
            except Exception:
                logger.exception("step %s failed after the commit", step.name)
