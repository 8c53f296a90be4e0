"""Writes that steps carry out inside the transaction of another write: the whole pipeline, on the same session."""

from __future__ import annotations

from typing import cast

from rocket_kernel.actor import Actor
from rocket_kernel.call import Cause, next_action, require_short_chain
from rocket_kernel.errors import ValidationFailed
from rocket_kernel.query.access import Access
from rocket_kernel.store.protocol import Transaction
from rocket_kernel.tracing import note_record, span
from rocket_kernel.write.context import Write, WriteRun
from rocket_kernel.write.order import WriteOrder
from rocket_kernel.write.perform import SPAN_ACTIONS, evaluated, store
from rocket_kernel.write.stages import Stage


async def write_further(run: WriteRun, order: WriteOrder, actor: Actor, cause: Cause | None) -> Write:
    """Evaluate and store an order within `run`; the stored record. What it raises has undone the order alone."""
    if not run.in_transaction:
        raise RuntimeError("a step wrote while the outside world judges: it must ask `run.in_transaction` first")
    cause = next_action(run.cause) if cause is None else cause
    require_short_chain(cause)
    inner = _inner_run(run, order, actor, cause)
    with span("engine", "handler", SPAN_ACTIONS[order.action]):
        async with cast("Transaction", run.session).savepoint():
            root = await evaluated(inner, order)
            _refuse_judges(root)
            await store(root)
        note_record(root.entity.name, root.key)
    run.records = inner.records
    run.after_commit += inner.after_commit
    run.outbox += inner.outbox
    run.workflows += inner.workflows
    run.further += [root, *inner.further]
    return root


def _inner_run(run: WriteRun, order: WriteOrder, actor: Actor, cause: Cause) -> WriteRun:
    """A run of its own, because effects of one that is undone must not be kept; what bounds a request is shared."""
    return WriteRun(
        app=run.app,
        registry=run.registry,
        actor=actor,
        now=run.now,
        trace_id=run.trace_id,
        session=run.session,
        access=Access(run.registry, actor),
        limits=run.limits,
        taken_slugs=run.taken_slugs,
        records=run.records,
        recorder=run.recorder,
        cause=cause,
        title=f"{order.action} {order.entity}",
    )


def _refuse_judges(root: Write) -> None:
    """The outside world is asked while no connection is held, which is too late to do here."""
    for write in root.tree():
        if not write.by_engine and write.compiled.pipeline.at(write.action, Stage.BEFORE_WEBHOOKS):
            name = write.entity.name
            raise ValidationFailed(f"{name} cannot be written inside another write: before_webhooks judge it first")
