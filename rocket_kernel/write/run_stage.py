"""Running one stage over the records of a request."""

from __future__ import annotations

from collections.abc import Iterable

from rocket_kernel.errors import ValidationFailed
from rocket_kernel.write.context import Write
from rocket_kernel.write.stages import Stage


async def run_stage(writes: Iterable[Write], stage: Stage) -> None:
    """Run a stage's steps for each record, then refuse with everything that was found."""
    kept = list(writes)
    for write in kept:
        for step in write.compiled.pipeline.at(write.action, stage):
            await step.run(write)
    raise_findings(kept)


def raise_findings(writes: Iterable[Write]) -> None:
    """Raise ValidationFailed with the findings of all records, the parent's first and the items' in body order."""
    details = [detail for write in sorted(writes, key=_body_order) for detail in write.errors]
    if details:
        raise ValidationFailed(details=details)


def _body_order(write: Write) -> tuple[int, ...]:
    return write.position
