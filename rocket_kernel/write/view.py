"""What the caller of a write may see of a row: in the answer, in its tag, and in explain."""

from __future__ import annotations

from dataclasses import dataclass

from rocket_kernel import json_text
from rocket_kernel.errors import PreconditionFailed
from rocket_kernel.metadata.entity import DELETED_AT, Entity
from rocket_kernel.query.access import FullAccess
from rocket_kernel.query.reader import Reader
from rocket_kernel.query.records import Record, fetch_records, key_condition
from rocket_kernel.write.context import Write, WriteRun
from rocket_kernel.write.stages import DELETE, Stage
from rocket_kernel.write.tags import matches, record_tag, text_tag

AFTER = (Stage.AFTER_RULES, Stage.AFTER_WRITE, Stage.OUTBOX)
"""Stages inside the transaction whose steps find the records stored."""


@dataclass(frozen=True, slots=True)
class Written:
    """The answer to a write: the record as its caller may see it, empty after a delete."""

    record: Record
    text: bytes = b"{}"
    """The record as JSON."""
    tag: str = ""
    """The ETag; empty after a delete."""
    replayed: bool = False
    """Nothing was written: an earlier request with the same Idempotency-Key had this answer."""


async def answer(root: Write, *, fresh: bool = False) -> Written:
    """From a fresh read of the stored record, if any step could have changed it meanwhile, or `fresh` says so."""
    run, entity = root.run, root.entity
    if root.action == DELETE:
        return Written({})
    fresh = fresh or bool(run.further)
    if fresh or any(_may_change_records(write) for write in root.tree()):
        where = key_condition(entity, root.record[entity.primary_key.field])
        found = await fetch_records(run.session, run.registry, entity.name, FullAccess(), where=where, limit=1)
        root.record = found[0] if found else root.record
    visible = await visible_part(run, entity, root.record)
    if visible is not None and not entity.shows_deleted_at:
        text = json_text.encode(visible)
        return Written(visible, text, text_tag(text))
    shown = key_alone(entity, root.record) if visible is None else {**visible, DELETED_AT: None}
    return Written(shown, json_text.encode(shown), row_tag(entity, root.record, visible))


def _may_change_records(write: Write) -> bool:
    """Whether a step that found the record stored could have changed it, or another one."""
    pipeline = write.compiled.pipeline
    return bool(pipeline.steps) and any(
        not step.keeps_records for stage in AFTER for step in pipeline.at(write.action, stage)
    )


def key_alone(entity: Entity, record: Record) -> Record:
    """All that a caller learns of a row it has written and may not read."""
    key = entity.primary_key.field
    return {key: record[key]}


async def visible_part(run: WriteRun, entity: Entity, record: Record, *, stored: bool = True) -> Record | None:
    """A complete record without the fields hidden from the caller; None when the caller may not read it at all.

    `stored` as in `Reader.shows`.
    """
    reader = Reader(run.registry, run.session, run.access)
    return reader.visible(entity, record) if await reader.shows(entity, record, stored=stored) else None


def row_tag(entity: Entity, record: Record, visible: Record | None) -> str:
    """The tag of a row. For a caller who may not read the row it says that the row is there, and nothing more."""
    return record_tag(key_alone(entity, record) if visible is None else visible)


async def require_match(write: Write, if_match: str) -> None:
    """Raises PreconditionFailed unless `If-Match` holds for the row in `write.old`."""
    old = write.old or {}
    visible = await visible_part(write.run, write.entity, old)
    if not matches(if_match, row_tag(write.entity, old, visible)):
        raise PreconditionFailed
