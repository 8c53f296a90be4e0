"""A write from the first check to the answer: one transaction for the record and everything nested in it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TypeVar, cast

from rocket_kernel.call import Call, require_short_chain
from rocket_kernel.errors import Conflict, TransactionConflict
from rocket_kernel.metadata.registry import Registry
from rocket_kernel.query.access import Access
from rocket_kernel.query.records import Record
from rocket_kernel.store.protocol import Session, Transaction
from rocket_kernel.stray import STRAY, is_asked_for
from rocket_kernel.tracing import note_record, span
from rocket_kernel.write.context import Write, WriteLimits, WriteRun
from rocket_kernel.write.evaluate import evaluate
from rocket_kernel.write.execute import execute
from rocket_kernel.write.idempotency import Ticket, claim, keep, known_answer, only_one, replay
from rocket_kernel.write.order import WriteOrder
from rocket_kernel.write.run_stage import run_stage, run_step
from rocket_kernel.write.stages import ACTIONS, CREATE, Stage, Step
from rocket_kernel.write.view import AFTER, Written, answer

if TYPE_CHECKING:
    from rocket_kernel.apps.context import AppContext

logger = logging.getLogger(__name__)

T = TypeVar("T")
Also = Callable[[WriteRun, Write], Awaitable[None]]

SPAN_ACTIONS = {action: f"record.{action}" for action in ACTIONS}
"""What a write is called in a trace."""
_ATTEMPTS = 4
_PAUSE_S = 0.02


async def perform(app: AppContext, order: WriteOrder, call: Call, also: Also | None = None) -> Written:
    """Run the whole pipeline and commit; the record as the caller may see it, empty after a delete.

    Deadlocks and serialization failures are tried again before Conflict is raised. Effects outside the database are
    rows of the same transaction, so that nothing exists anywhere when anything vetoes. `also` is called with the stored
    record inside that transaction, once an attempt; what it raises undoes everything.
    """
    require_short_chain(call.cause)
    with (
        span("engine", "handler", SPAN_ACTIONS[order.action]),
        nullcontext() if order.ticket is None else only_one(app.stash, order.ticket),
    ):
        return await retried(lambda: _attempt(app, order, call, also))


async def retried(attempt: Callable[[], Awaitable[T]]) -> T:
    """Raises Conflict when the attempt got in the way of other transactions every time."""
    for number in range(_ATTEMPTS):
        try:
            return await attempt()
        except TransactionConflict as busy:
            if number == _ATTEMPTS - 1:
                raise Conflict from busy
            await asyncio.sleep(_PAUSE_S * 2**number)
    raise Conflict


async def _attempt(app: AppContext, order: WriteOrder, call: Call, also: Also | None) -> Written:
    stash: dict[Any, Any] = {}
    judged: list[tuple[Any, ...]] | None = None
    if app.has_external_steps:
        known = await _known_answer(app, order, call)
        if known is not None:
            return known
        judged = await _ask_outside(app, order, call, stash)
    async with app.writing(call.actor) as (tx, registry):
        run = start_run(app, registry, tx, call, stash=stash)
        if order.ticket is not None:
            row = await claim(tx, order.ticket, call.now, app.stash)
            if row is not None:
                return await _replay(run, order, order.ticket, row)
        if judged is None and registry.entity(order.entity).pipeline.external:
            # Another process has changed the metadata; this one knows now whom to ask.
            raise TransactionConflict
        note_record(registry.entity(order.entity).entity.name)
        root = await evaluated(run, order)
        if judged is not None and _fingerprint(root) != judged:
            raise Conflict
        await store(root)
        note_record(root.entity.name, root.key)
        if also is not None:
            await also(run, root)
        written = await answer(root, fresh=also is not None)
        if order.ticket is not None:
            await keep(tx, order.ticket, root, written)
    await _after_commit(root)
    return written


def start_run(
    app: AppContext,
    registry: Registry,
    session: Session,
    call: Call,
    *,
    locking: bool = True,
    stash: dict[Any, Any] | None = None,
) -> WriteRun:
    """`stash` outlives the run when a request is evaluated twice."""
    shared = {} if stash is None else stash
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
        stash={"kernel:ids": shared.setdefault("kernel:ids", {})},
        cause=call.cause,
    )


async def evaluated(run: WriteRun, order: WriteOrder) -> Write:
    """The order as a record that may be stored. Raises what refuses it."""
    root = top_record(run, order)
    await evaluate(root, order.if_match)
    return root


def top_record(run: WriteRun, order: WriteOrder) -> Write:
    """Raises UnknownEntity."""
    return Write(
        run=run,
        compiled=run.registry.entity(order.entity),
        action=order.action,
        body=order.body,
        id_text=order.id_text,
        by_key=order.by_key,
    )


async def store(root: Write) -> None:
    """Everything between the last judgement and the commit. The run's session is a transaction."""
    await run_step(_WRITE, root)
    root.run.stored = True
    for stage in AFTER:
        await run_stage(_reached(root, stage), stage)


async def _write_rows(root: Write) -> None:
    tx = cast("Transaction", root.run.session)
    if not root.groups:
        await execute(tx, root)
        return
    with span("engine", "writer", "nested_write.execute", entity=root.entity.name):
        await execute(tx, root)


_WRITE = Step(Stage.WRITE, "kernel:write", _write_rows)


async def _known_answer(app: AppContext, order: WriteOrder, call: Call) -> Written | None:
    """Before the outside world is asked: it must not judge a request a second time that has its answer already."""
    if order.ticket is None:
        return None
    async with app.reading(call.actor) as (session, registry):
        row = await known_answer(session, order.ticket, call.now)
        if row is None:
            return None
        return await _replay(start_run(app, registry, session, call, locking=False), order, order.ticket, row)


async def _replay(run: WriteRun, order: WriteOrder, ticket: Ticket, row: Record) -> Written:
    root = Write(run=run, compiled=run.registry.entity(order.entity), action=CREATE, body=order.body)
    return await replay(root, ticket, row)


async def _ask_outside(
    app: AppContext, order: WriteOrder, call: Call, stash: dict[Any, Any]
) -> list[tuple[Any, ...]] | None:
    """Let the outside world judge, if anything in the tree asks it. No connection is held meanwhile."""
    async with app.reading(call.actor) as (session, registry):
        if not registry.entity(order.entity).pipeline.external:
            return None
        root = await evaluated(start_run(app, registry, session, call, locking=False, stash=stash), order)
    await run_stage((write for write in root.tree() if not write.by_engine), Stage.BEFORE_WEBHOOKS)
    return _fingerprint(root)


def _fingerprint(root: Write) -> list[tuple[Any, ...]]:
    """What the outside world judged: which rows, how they stood, and what is to become of them."""
    return [(write.entity.name, write.action, write.position, write.old) for write in root.tree()]


def _reached(root: Write, stage: Stage) -> list[Write]:
    """Rows that only an `on_delete` changes emit events but obey no rules."""
    return [write for write in root.tree() if not (write.by_engine and stage is Stage.AFTER_RULES)]


async def _after_commit(root: Write) -> None:
    for callback in root.run.after_commit:
        try:
            await callback()
        except (Exception, *STRAY) as error:
            if is_asked_for(error):
                raise
            logger.exception("a callback after the commit failed")
    for write in written_records(root):
        for step in write.compiled.pipeline.at(write.action, Stage.AFTER_WEBHOOKS):
            try:
                await run_step(step, write)
            except Exception:
                logger.exception("step %s failed after the commit", step.name)


def written_records(root: Write) -> Iterator[Write]:
    """Everything the request has written: its own records, then those that steps have written beside it."""
    for top in (root, *root.run.further):
        yield from top.tree()
