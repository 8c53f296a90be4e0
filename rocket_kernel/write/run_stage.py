"""Running one stage over the records of a request."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter

from rocket_kernel.blame import place_in, place_of
from rocket_kernel.errors import Detail, PluginError, RocketError, ValidationFailed
from rocket_kernel.stray import STRAY, is_asked_for
from rocket_kernel.tracing import open_span, span
from rocket_kernel.write.context import StageEnded, Write
from rocket_kernel.write.stages import Stage, Step

KERNEL = "kernel"


async def run_stage(writes: Iterable[Write], stage: Stage) -> None:
    """Run a stage's steps for each record, then refuse with everything that was found."""
    kept = list(writes)
    try:
        for write in kept:
            for step in write.compiled.pipeline.at(write.action, stage):
                await run_step(step, write)
    except StageEnded:
        raise_findings(kept)
        raise  # the finding is one of a record that this stage does not run for
    raise_findings(kept)


async def run_step(step: Step, write: Write) -> None:
    """Run one step, a plugin's or the kernel's own, and have it noted when somebody watches the write.

    A plugin's defect leaves as PluginError, so that the log names plugin and step; a RocketError leaves as it is.
    """
    if open_span() is None:
        await _run(step, write)
        return
    source, component, action = step.span or ("engine", "pipeline", step.name)
    found = len(write.errors)
    with span(source, component, action, entity=write.entity.name) as noted:
        await _run(step, write)
        if noted is not None:
            if write.old is not None:
                noted.record_id = str(write.key)
            if len(write.errors) > found:
                noted.status = "error"


async def _run(step: Step, write: Write) -> None:
    recorder = write.run.recorder
    try:
        if recorder is not None:
            await recorder.run(step, write)
            return
        time = write.compiled.pipeline.times.get(step.name)
        if time is None:
            await step.run(write)
        else:
            await time.timed(step.run, write)
    except (RocketError, PluginError):
        raise
    except (Exception, *STRAY) as error:
        plugin = step.name.partition(":")[0]
        if plugin == KERNEL or is_asked_for(error):
            raise
        problem = f"step {step.name} raised {type(error).__name__}"
        raise PluginError(plugin, problem, place=_place(step, error)) from error


def _place(step: Step, error: BaseException) -> str | None:
    package = str(getattr(step.run, "__module__", "")).partition(".")[0]  # of a participant, its plugin's
    return place_in(error, package) or place_of(step.run)


def raise_findings(writes: Sequence[Write]) -> None:
    """Raise ValidationFailed with the findings of all records, the parent's first and the items' in body order."""
    for write in writes:
        if write.errors or write.item_errors:
            break
    else:
        return
    found: list[tuple[tuple[int, ...], Detail]] = []
    for write in writes:
        found += [(write.position, detail) for detail in write.errors]
        found += write.item_errors
    if found:
        found.sort(key=itemgetter(0))
        raise ValidationFailed(details=[detail for _, detail in found])
