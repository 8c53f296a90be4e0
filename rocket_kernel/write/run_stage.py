"""Running one stage over the records of a request."""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter

from rocket_kernel.errors import Detail, PluginError, RocketError, ValidationFailed
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
    recorder = write.run.recorder
    try:
        if recorder is None:
            await step.run(write)
        else:
            await recorder.run(step, write)
    except (RocketError, PluginError):
        raise
    except Exception as error:
        plugin = step.name.partition(":")[0]
        if plugin == KERNEL:
            raise
        raise PluginError(plugin, f"step {step.name} raised {type(error).__name__}") from error


def raise_findings(writes: Iterable[Write]) -> None:
    """Raise ValidationFailed with the findings of all records, the parent's first and the items' in body order."""
    found: list[tuple[tuple[int, ...], Detail]] = []
    for write in writes:
        found += [(write.position, detail) for detail in write.errors]
        found += write.item_errors
    if found:
        found.sort(key=itemgetter(0))
        raise ValidationFailed(details=[detail for _, detail in found])
