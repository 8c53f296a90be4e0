"""The step of the stage `files`: a reference to a file becomes what its row says, if the caller may read it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from rocket_files.access import file_fields, may_read
from rocket_files.file_field import show
from rocket_files.stored_file import find_files
from rocket_kernel import Entity, Stage, Step, Write


def compile_steps(entity: Entity, *, lock: bool) -> list[Step]:
    """`lock`: files may be deleted by a job for want of records that refer to them, so a reference must hold them."""
    names = file_fields(entity)
    return [Step(Stage.FILES, "files:field:resolve", _resolver(names, lock=lock))] if names else []


def _resolver(names: Sequence[str], *, lock: bool) -> Callable[[Write], Awaitable[None]]:
    async def resolve(write: Write) -> None:
        wanted = _new_references(write, names)
        if not wanted:
            return
        run = write.run
        files = await find_files(run.session, set(wanted.values()), lock=lock and run.locking)
        for name, id in wanted.items():
            file = files.get(id)
            if file is None or not await may_read(run.session, run.registry, run.actor, file):
                write.fail(f"File {id} not found", field=name, rule="file")
            else:
                write.record[name] = show(file.as_value(), run.app)

    return resolve


def _new_references(write: Write, names: Sequence[str]) -> dict[str, str]:
    """File ids by field. What names the same file as before stays as it is: the file may be gone since."""
    wanted: dict[str, str] = {}
    for name in names:
        value, former = write.record.get(name), (write.old or {}).get(name)
        if value is None:
            continue
        if former is not None and former["id"] == value["id"]:
            write.record[name] = former
        else:
            wanted[name] = value["id"]
    return wanted
