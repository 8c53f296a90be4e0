"""Entities with `audit: true` -> the step that keeps their history, in the writer's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rocket_instrumentation.audit_row import CREATE, DELETE, UPDATE, Row, imported_row, written_row
from rocket_instrumentation.audit_table import ROWS
from rocket_kernel import Call, Entity, ImportListener, Stage, Step, Transaction, Write

_KEPT = "instrumentation:audit"


def compile_audit(entity: Entity) -> list[Step]:
    """Entities without `audit` get no step, so they pay nothing."""
    if not entity.audit:
        return []
    actions = frozenset({CREATE, UPDATE, DELETE})
    return [Step(Stage.OUTBOX, "instrumentation:audit", keep_history, actions, keeps_records=True)]


async def keep_history(write: Write) -> None:
    """Once for each run: when the first of its records comes to the stage, all of them are stored."""
    run = write.run
    if _KEPT in run.stash:
        return
    run.stash[_KEPT] = True
    await _insert(run.tx, [written_row(one) for one in _top(write).tree() if one.entity.audit])


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
