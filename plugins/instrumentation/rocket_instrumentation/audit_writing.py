"""Entities with `audit: true` -> the step that keeps their history, in the writer's transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rocket_instrumentation.audit_row import CREATE, DELETE, UPDATE, Row, imported_row, written_row
from rocket_instrumentation.audit_table import ROWS
from rocket_kernel import Call, Entity, ImportListener, Model, Stage, Step, Transaction, Write

_KEPT = "instrumentation:audit"


def compile_audit(entity: Entity, model: Model) -> list[Step]:
    """Entities without `audit` get no step, so they pay nothing; but for deletions that clear keys of softly deleted
    records with a history."""
    if entity.audit:
        actions = frozenset({CREATE, UPDATE, DELETE})
    elif _clears_keys(entity, model):
        actions = frozenset({DELETE})
    else:
        return []
    return [Step(Stage.OUTBOX, "instrumentation:audit", keep_history, actions, keeps_records=True)]


def _clears_keys(entity: Entity, model: Model) -> bool:
    return any(
        relation.source == entity.name
        and relation.on_delete in ("set_null", "detach")
        and model.entities[relation.target].audit
        and model.entities[relation.target].soft_delete
        for relation in model.relations.values()
    )


async def keep_history(write: Write) -> None:
    """Once for each run: when the first of its records comes to the stage, all of them are stored."""
    run = write.run
    if _KEPT in run.stash:
        return
    run.stash[_KEPT] = True
    await _insert(run.tx, [written_row(one) for one in _told(_top(write))])


def _told(top: Write) -> Iterator[Write]:
    for write in top.tree():
        yield from write.cleared
        if write.entity.audit:
            yield write


def compile_import_audit(entity: Entity) -> ImportListener | None:
    if not entity.audit:
        return None

    async def keep(records: Sequence[Mapping[str, Any]], tx: Transaction, call: Call) -> None:
        await _insert(tx, [imported_row(entity, record, call) for record in records])

    return keep


async def _insert(tx: Transaction, rows: list[Row]) -> None:
    await ROWS.insert_many(tx, rows)


def _top(write: Write) -> Write:
    while write.parent is not None:
        write = write.parent
    return write
