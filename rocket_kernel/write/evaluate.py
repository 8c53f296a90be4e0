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
from rocket_kernel.write.run_stage import raise_findings, run_stage, run_step
from rocket_kernel.write.slug import fill_slug
from rocket_kernel.write.stages import CREATE, DELETE, Stage, Step
from rocket_kernel.write.view import require_match


async def evaluate(
    run: WriteRun,
    compiled: CompiledEntity,
    action: str,
    *,
    id_text: str = "",
    body: Mapping[str, Any] | None = None,
    if_match: str | None = None,
) -> Write:
    """Authorise, load, plan, convert and judge a record with everything nested in it. Stores nothing.

    Raises the error of the first stage that fails, with all findings of that stage. `if_match` is the header's value,
    which must hold for the loaded row; inside a transaction that row is locked.
    """
    root = Write(run=run, compiled=compiled, action=action, body=body or {}, id_text=id_text)
    await run_stage([root], Stage.AUTHORIZE)
    if action != CREATE:
        await run_step(_LOAD, root)
        await run_stage([root], Stage.LOAD)
        if if_match is not None:
            await require_match(root, if_match)
    await run_step(_ON_DELETE if action == DELETE else _CLASSIFY, root)
    raise_findings(root.tree())
    await _judge(root)
    return root


async def _load(root: Write) -> None:
    run, entity = root.run, root.entity
    root.old = await find_record(run.session, run.registry, entity, root.id_text, FullAccess(), lock=run.locking)
    if root.old is None:
        raise NotFound(f"{entity.name} with id {root.id_text} not found")


async def _judge(root: Write) -> None:
    writes = list(_own(root.tree()))
    stored = _stored(root)
    if stored:
        await run_step(_CONVERT, root)
    await run_stage(writes, Stage.CONVERT)
    await run_stage(_own(root.tree_upwards()), Stage.RULES)
    for write in stored:
        check_filled(write, write.compiled.pipeline.fills)
    raise_findings(stored)
    for stage in (Stage.STATE_MACHINE, Stage.BEFORE_WRITE, Stage.POLICY):
        await run_stage(writes, stage)
    if any(write.entity.slug is not None for write in stored):
        await run_step(_SLUG, root)
    for write in stored:
        check_filled(write, frozenset(write.entity.fields) - write.compiled.pipeline.fills - _late(write))
    await run_stage(writes, Stage.SLUG)
    await run_stage(writes, Stage.FILES)


def _own(writes: Iterable[Write]) -> Iterable[Write]:
    """Records that are judged: not those an `on_delete` alone changes."""
    return (write for write in writes if not write.by_engine)


def _stored(root: Write) -> list[Write]:
    return [write for write in _own(root.tree()) if write.action != DELETE]


async def _convert(root: Write) -> None:
    for write in _stored(root):
        convert(write, _ids(write))
        _inherit_key(write)


async def _fill_slugs(root: Write) -> None:
    for write in _stored(root):
        await fill_slug(write)


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


# The kernel's own work, under the names that `describe` lists.
_LOAD = Step(Stage.LOAD, "kernel:load", _load)
_ON_DELETE = Step(Stage.WRITE, "kernel:on_delete", plan_delete)
_CLASSIFY = Step(Stage.CLASSIFY, "kernel:classify", classify)
_CONVERT = Step(Stage.CONVERT, "kernel:convert", _convert)
_SLUG = Step(Stage.SLUG, "kernel:slug", _fill_slugs)
