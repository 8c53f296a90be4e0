"""Everything of a write that comes before the first row is stored: contract §5.1, `authorize` to `files`."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from rocket_kernel.errors import NotFound, ValidationFailed
from rocket_kernel.query.access import WritableRows
from rocket_kernel.query.records import find_by_key, find_record
from rocket_kernel.write.context import Write
from rocket_kernel.write.convert import check_filled, convert, random_id
from rocket_kernel.write.delete import is_restricted, plan_delete, raise_restricted
from rocket_kernel.write.nested import classify
from rocket_kernel.write.run_stage import raise_findings, run_stage, run_step
from rocket_kernel.write.slug import fill_slug
from rocket_kernel.write.stages import CREATE, DELETE, Stage, Step
from rocket_kernel.write.view import require_match


async def evaluate(root: Write, if_match: str | None = None) -> None:
    """Authorise, load, plan, convert and judge a record with everything nested in it. Stores nothing.

    Raises the error of the first stage that fails, with all findings of that stage. `if_match` is the header's value,
    which must hold for the loaded row; inside a transaction that row is locked.
    """
    await _admit(root)
    if if_match is not None and root.old is not None:
        await require_match(root, if_match)
    await run_step(_ON_DELETE if root.action == DELETE else _CLASSIFY, root)
    raise_findings(list(root.tree()))
    await _judge(root)


async def rehearse(root: Write) -> None:
    """As `evaluate` of an update without nested records, but no further than `rules`: what comes then may be tried.

    Raises what `authorize` and `load` refuse with. Later findings stay in `root.errors`.
    """
    await _admit(root)
    convert(root)
    for stage in (Stage.CONVERT, Stage.RULES):
        with suppress(ValidationFailed):
            await run_stage([root], stage)


async def _admit(root: Write) -> None:
    await run_stage([root], Stage.AUTHORIZE)
    if root.action != CREATE:
        await run_step(_LOAD, root)
        await run_stage([root], Stage.LOAD)


async def _load(root: Write) -> None:
    run, entity = root.run, root.entity
    scope = WritableRows(run.access)
    find = find_by_key if root.by_key else find_record
    root.old = await find(run.session, run.registry, entity, root.id_text, scope, lock=run.locking)
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
    if is_restricted(root.run):
        await run_step(_RESTRICT, root)
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
_RESTRICT = Step(Stage.WRITE, "kernel:restrict", raise_restricted)
_CLASSIFY = Step(Stage.CLASSIFY, "kernel:classify", classify)
_CONVERT = Step(Stage.CONVERT, "kernel:convert", _convert)
_SLUG = Step(Stage.SLUG, "kernel:slug", _fill_slugs)
