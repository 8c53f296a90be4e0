"""What a write would do, found out by doing it and taking it back: contract §5.11.

It is the pipeline of `perform` in a transaction that is always rolled back. The outside world is not asked, nothing
runs after a commit that does not come, and keys for sending twice are not looked at. Numbers that a sequence of the
database has handed out are the one thing that is not taken back.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

from rocket_kernel.call import Call
from rocket_kernel.errors import InternalError, RocketError, Unavailable
from rocket_kernel.metadata.entity import Entity
from rocket_kernel.metadata.masking import masked_change, masked_record
from rocket_kernel.metadata.registry import Registry
from rocket_kernel.query.records import Record
from rocket_kernel.store.protocol import Transaction
from rocket_kernel.write.context import Write, WriteRun
from rocket_kernel.write.order import WriteOrder
from rocket_kernel.write.perform import evaluated, retried, start_run, store, written_records
from rocket_kernel.write.pipeline import describe
from rocket_kernel.write.recorder import Recorder, RecordingTransaction, StepNote, elapsed_ms, is_taken_along
from rocket_kernel.write.stages import DELETE, POSITION, Stage
from rocket_kernel.write.view import Written, answer, visible_part

if TYPE_CHECKING:
    from rocket_kernel.apps.context import AppContext

logger = logging.getLogger(__name__)

REJECT = "reject"
_ANSWERED_AS_EVER = frozenset({400, 401, 404, 405, 412, 413})
_WHY_SKIPPED: Mapping[Stage, str] = {
    Stage.BEFORE_WEBHOOKS: "not asked by explain",
    Stage.COMMIT: "rolled back by explain",
    Stage.AFTER_WEBHOOKS: "rolled back by explain",
}


@dataclass(slots=True, eq=False)
class _Rehearsal:
    """One run of the pipeline, and what came of it."""

    order: WriteOrder
    run: WriteRun
    recorder: Recorder
    refusal: RocketError | None = None
    written: Written = field(default_factory=lambda: Written({}))
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)
    skipped: list[StepNote] = field(default_factory=list)

    @property
    def entity(self) -> Entity:
        return self.run.registry.entity(self.order.entity).entity


class _TakenBack(Exception):
    """Ends the transaction."""


@asynccontextmanager
async def _taken_back(app: AppContext, call: Call) -> AsyncIterator[tuple[Transaction, Registry]]:
    """A transaction that is rolled back, however the block ends."""
    with suppress(_TakenBack):
        async with app.writing(call.actor) as opened:
            yield opened
            raise _TakenBack


async def explain(app: AppContext, order: WriteOrder, call: Call) -> dict[str, Any]:
    """The answer's `data`. Nothing is kept. Refusals from `authorize` on are part of it.

    Raises what is answered as it is without explain (§5.11), and Unavailable.
    """
    return _shown(await retried(lambda: _rehearsed(app, order, call)))


async def _rehearsed(app: AppContext, order: WriteOrder, call: Call) -> _Rehearsal:
    recorder = Recorder()
    asked = perf_counter()
    async with _taken_back(app, call) as (tx, registry):
        recorder.steps.append(StepNote(Stage.LOCK, "kernel:lock", ms=elapsed_ms(asked)))
        run = start_run(app, registry, RecordingTransaction(tx, recorder), call)
        run.recorder = recorder
        rehearsal = _Rehearsal(order, run, recorder)
        await _rehearse(rehearsal)
        return rehearsal


async def _rehearse(rehearsal: _Rehearsal) -> None:
    run, recorder = rehearsal.run, rehearsal.recorder
    try:
        root = await evaluated(run, rehearsal.order)
        await store(root)
        if root.groups:
            # Nested rows are stored by the step of their parent's row, whose time holds theirs.
            recorder.steps.append(StepNote(Stage.NESTED, "kernel:nested"))
        started = perf_counter()
        rehearsal.written = await answer(root)
        recorder.steps.append(StepNote(Stage.RESPOND, "kernel:respond", ms=elapsed_ms(started)))
        rehearsal.changes = await _visible_changes(root, rehearsal.written.record)
        rehearsal.skipped = list(_outside_steps(root))
    except RocketError as error:
        if error.status in _ANSWERED_AS_EVER or isinstance(error, Unavailable):
            raise
        rehearsal.refusal = error
    except Exception:
        logger.exception("explaining a write failed, trace %s", run.trace_id)
        rehearsal.refusal = InternalError()


def _outside_steps(root: Write) -> Iterable[StepNote]:
    """What perform would have called outside the transaction, for each record."""
    for stage in (Stage.BEFORE_WEBHOOKS, Stage.AFTER_WEBHOOKS):
        for write in written_records(root):
            if write.by_engine and stage is Stage.BEFORE_WEBHOOKS:
                continue
            for step in write.compiled.pipeline.at(write.action, stage):
                yield replace(_skipped(stage, step.name, write.path), taken_along=is_taken_along(write))


def _skipped(stage: Stage, name: str, path: str = "") -> StepNote:
    detail = ": ".join(part for part in (path, _WHY_SKIPPED.get(stage, "")) if part)
    return StepNote(stage, name, "skipped", detail=detail or None)


async def _visible_changes(root: Write, shown: Record) -> dict[str, dict[str, Any]]:
    """The changes of fields that the answer shows and that the caller could read before; on create all were null."""
    if root.action == DELETE:
        return {}
    allowed = set(shown)
    if root.old is not None:
        allowed &= set(await visible_part(root.run, root.entity, root.old, stored=False) or ())
    return {
        name: {"old": change.get("old"), "new": change["new"]}
        for name, change in root.changes.items()
        if name in allowed
    }


def _shown(rehearsal: _Rehearsal) -> dict[str, Any]:
    order, run, entity = rehearsal.order, rehearsal.run, rehearsal.entity
    refused, admin = rehearsal.refusal is not None, run.actor.is_admin
    record = None if refused or order.action == DELETE else masked_record(entity, rehearsal.written.record)
    return {
        "would": REJECT if refused else order.action,
        "record": record,
        "changes": {name: masked_change(entity, name, change) for name, change in rehearsal.changes.items()},
        "steps": [_step_json(note, with_detail=admin) for note in _all_steps(rehearsal, complete=admin)],
        "errors": _error_items(rehearsal.refusal),
        "statements": _statements(rehearsal.recorder) if admin else [],
        "outbox": list(run.outbox) if admin and not refused else [],
        "workflows": list(run.workflows) if admin and not refused else [],
    }


def _all_steps(rehearsal: _Rehearsal, *, complete: bool) -> list[StepNote]:
    """In the order of the stages; within a stage as they ran. What did not run is there too, as skipped.

    Not `complete` leaves out rows that an `on_delete` reaches: how many there are could tell of hidden ones.
    """
    compiled = rehearsal.run.registry.entity(rehearsal.order.entity)
    notes = [note for note in (*rehearsal.recorder.steps, *rehearsal.skipped) if complete or not note.taken_along]
    noted = {(note.stage, note.name) for note in notes}
    has_slug = compiled.entity.slug is not None
    for stage_name, name in describe(compiled.pipeline, rehearsal.order.action, has_slug=has_slug):
        stage = Stage(stage_name)
        if (stage, name) not in noted:
            notes.append(_skipped(stage, name))
    return sorted(notes, key=lambda note: POSITION[note.stage])


def _step_json(note: StepNote, *, with_detail: bool) -> dict[str, Any]:
    return {
        "stage": str(note.stage),
        "plugin": note.name.partition(":")[0],
        "name": note.name,
        "outcome": note.outcome,
        "ms": note.ms,
        "detail": note.detail if with_detail else None,
    }


def _statements(recorder: Recorder) -> list[dict[str, Any]]:
    return [{"sql": note.sql, "params_count": note.params_count, "ms": note.ms} for note in recorder.statements]


def _error_items(error: RocketError | None) -> list[dict[str, Any]]:
    """One for each finding; for an error without findings one of its own."""
    if error is None:
        return []
    common = {"code": error.code, "status": error.status}
    if not error.details:
        return [{**common, "message": error.message}]
    items = []
    for detail in error.details:
        places = {"field": detail.field, "rule": detail.rule}
        given = {name: value for name, value in places.items() if value is not None}
        items.append({**common, "message": detail.message, **given})
    return items
