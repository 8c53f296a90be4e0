"""Everything of a write that comes before the first row is stored: contract §5.1, `authorize` to `files`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rocket_kernel.errors import NotFound
from rocket_kernel.metadata.registry import CompiledEntity
from rocket_kernel.query.access import FullAccess
from rocket_kernel.query.records import find_record
from rocket_kernel.write.context import Write, WriteRun
from rocket_kernel.write.convert import check_filled, convert, random_id
from rocket_kernel.write.delete import plan_delete
from rocket_kernel.write.nested import classify
from rocket_kernel.write.run_stage import raise_findings, run_stage
from rocket_kernel.write.slug import fill_slug
from rocket_kernel.write.stages import CREATE, DELETE, Stage


async def evaluate(
    run: WriteRun, compiled: CompiledEntity, action: str, *, id_text: str = "", body: Mapping[str, Any] | None = None
) -> Write:
    """Authorise, load, plan, convert and judge a record with everything nested in it. Stores nothing.

    Raises the error of the first stage that fails, with all findings of that stage.
    """
    root = Write(run=run, compiled=compiled, action=action, body=body or {}, id_text=id_text)
    await run_stage([root], Stage.AUTHORIZE)
    if action != CREATE:
        root.old = await _load(run, compiled, id_text)
        await run_stage([root], Stage.LOAD)
    if action == DELETE:
        await plan_delete(root)
    else:
        await classify(root)
    raise_findings(root.tree())
    await _judge(root)
    return root


async def _load(run: WriteRun, compiled: CompiledEntity, id_text: str) -> dict[str, Any]:
    row = await find_record(run.session, run.registry, compiled.entity, id_text, FullAccess(), lock=run.locking)
    if row is None:
        raise NotFound(f"{compiled.entity.name} with id {id_text} not found")
    return row


async def _judge(root: Write) -> None:
    writes = list(_own(root.tree()))
    stored = [write for write in writes if write.action != DELETE]
    for write in stored:
        convert(write, _ids(write))
        _inherit_key(write)
    await run_stage(writes, Stage.CONVERT)
    await run_stage(_own(root.tree_upwards()), Stage.RULES)
    for write in stored:
        check_filled(write, write.compiled.pipeline.fills)
    raise_findings(stored)
    for stage in (Stage.STATE_MACHINE, Stage.BEFORE_WRITE, Stage.POLICY):
        await run_stage(writes, stage)
    for write in stored:
        await fill_slug(write)
        check_filled(write, frozenset(write.entity.fields) - write.compiled.pipeline.fills - _late(write))
    await run_stage(writes, Stage.SLUG)
    await run_stage(writes, Stage.FILES)


def _own(writes: Iterable[Write]) -> Iterable[Write]:
    """Records that are judged: not those an `on_delete` alone changes."""
    return (write for write in writes if not write.by_engine)


def _ids(write: Write) -> Any:
    """Generated ids that stay the same when the request is evaluated a second time."""
    known: dict[tuple[int, ...], str] = write.run.stash.setdefault("kernel:ids", {})
    return lambda: known.setdefault(write.position, random_id())


def _inherit_key(write: Write) -> None:
    hop = write.hop
    if write.parent is not None and hop is not None and not hop.relation.many_to_many:
        write.record[hop.other_field] = write.parent.record.get(hop.own_field)


def _late(write: Write) -> frozenset[str]:
    """Fields that are still unknown before the row is stored: a generated number and the key to such a parent."""
    names = {write.entity.primary_key.field}
    if write.hop is not None and not write.hop.relation.many_to_many:
        names.add(write.hop.other_field)
    if write.old is not None:
        # An old row may lack what is demanded today; only what this request changes is its fault.
        changed = write.supplied | write.assigned
        names.update(name for name in write.entity.fields if name not in changed)
    return frozenset(names)
