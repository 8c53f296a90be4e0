"""A worker: takes a claimed instance from step to step until it waits for time, for people or for the outside world."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from rocket_kernel import (
    AppNotFound,
    Conflict,
    ExpressionError,
    Registry,
    RocketError,
    Session,
    Transaction,
    Unavailable,
    annotate,
    json_values,
    traced_work,
    truthy,
)
from rocket_workflows.assigning import arrive
from rocket_workflows.claims import Claim, Leases, LostClaim, keep
from rocket_workflows.definition import ActionStep, ApprovalStep, ConditionStep, WaitStep, Workflow
from rocket_workflows.effects import begin_outside, carry_out, delivery_key, is_outside
from rocket_workflows.goto import END
from rocket_workflows.instance import Note, Row, Values, failed, has_room, later, left, overrun
from rocket_workflows.kind import instant
from rocket_workflows.tables import NEVER
from rocket_workflows.versions import definition_of

logger = logging.getLogger(__name__)

MOST_ATTEMPTS = 5
_FIRST_PAUSE_S = 0.5


def retry_pause(attempt: int) -> timedelta:
    """How long to wait after the given attempt that failed, which counts from 1."""
    return timedelta(seconds=_FIRST_PAUSE_S * 2 ** (attempt - 1))


class StepFailed(Exception):
    """The text is for the instance's `error`."""


@dataclass(frozen=True, slots=True)
class Worker:
    """Runs claimed instances. Holds no connection between the transactions of a step."""

    leases: Leases
    max_steps: int
    committed: Callable[[str], None] = lambda _app: None
    """Told the app's name after each checkpoint that leaves something to others."""

    async def run(self, claim: Claim, *, stopping: Callable[[], bool] = lambda: False) -> None:
        """Until the instance waits or ends. Raises nothing but cancellation: what fails is in the instance."""
        try:
            while not claim.ended:
                if stopping():
                    await self.leases.give_back(claim)
                    return
                await self._advance(claim)
        except (LostClaim, AppNotFound):
            return
        except RocketError as error:
            # The database is away: not even the failure could be stored. The lease runs out, and somebody goes on.
            logger.warning("workflow instance %s waits: %s", claim.id, error.message)
        except Exception:
            logger.exception("workflow instance %s could not go on", claim.id)

    async def _advance(self, claim: Claim) -> None:
        """One step, in the trace of the instance, which bears its id."""
        row = claim.row
        about = {"entity": row["entity"], "record_id": row["record_id"], "trace_id": str(row["id"])}
        with traced_work(claim.app, "workflow", "engine", "workflow.advance", **about):
            annotate(workflow=row["workflow_name"], step=row["current_step"])
            await self._step(claim)

    async def _step(self, claim: Claim) -> None:
        async with claim.app.reading() as (session, registry):
            workflow = await definition_of(session, registry, claim.row)
        if workflow is None:
            raise LostClaim
        try:
            await self._execute(claim, workflow)
        except (LostClaim, AppNotFound):
            raise
        except (Conflict, Unavailable) as error:
            await self._try_again(claim, error)
        except StepFailed as error:
            await self._fail(claim, str(error))
        except RocketError as error:
            await self._fail(claim, described(error))
        except Exception:
            logger.exception("step %s of workflow instance %s failed", claim.row["current_step"], claim.id)
            await self._fail(claim, "Internal server error")

    async def _execute(self, claim: Claim, workflow: Workflow) -> None:
        step = workflow.steps[claim.row["current_step"]]
        now = self.leases.now()
        match step:
            case ActionStep():
                await self._act(claim, workflow, step, now)
            case ConditionStep():
                holds = decide(step, claim.row, now)
                status, target = ("on_true", step.on_true) if holds else ("on_false", step.on_false)
                await self._leave(claim, workflow, Note(step.id, status, now), target)
            case WaitStep():
                if await self._is_over(claim, now):
                    await self._leave(claim, workflow, Note(step.id, "completed", now), step.then)
            case ApprovalStep():
                if await self._is_over(claim, now):
                    await self._time_out(claim, workflow, step, now)

    async def _is_over(self, claim: Claim, now: str) -> bool:
        """Whether the deadline has come. If not, whoever claimed it took over from a worker that died before it."""
        deadline = claim.row["current_step_deadline"] or NEVER
        if deadline <= now:
            return True
        await self.leases.give_back(claim, deadline)
        return False

    async def _time_out(self, claim: Claim, workflow: Workflow, step: ApprovalStep, now: str) -> None:
        if step.on_timeout is not None:
            await self._leave(claim, workflow, Note(step.id, "timed_out", now), step.on_timeout)
            return
        values = failed(claim.row, f"step '{step.id}' timed out", now, status="timed_out")
        await self._checkpoint(claim, values)

    async def _act(self, claim: Claim, workflow: Workflow, step: ActionStep, now: str) -> None:
        """The next action that is not done yet, and with the last one the end of the step."""
        position = claim.row["position"]
        if position >= len(step.actions):
            await self._leave(claim, workflow, Note(step.id, "completed", now), step.then)
            return
        action = step.actions[position]
        stored: dict[str, object] = {}

        async def checkpoint(tx: Transaction, registry: Registry) -> None:
            if is_outside(action):
                values: Values = {"delivery": delivery_key(claim.row), "due_at": NEVER}
            else:
                values = await after_action(tx, registry, workflow, step, claim.row, now, max_steps=self.max_steps)
            stored.update(await self.leases.store(tx, claim, values))

        if is_outside(action):
            await begin_outside(claim.app, claim.row, action, now, checkpoint)
        else:
            await carry_out(claim, action, now, checkpoint)
        keep(claim, stored)
        self.committed(claim.app.name)

    async def _leave(self, claim: Claim, workflow: Workflow, note: Note, target: str) -> None:
        async with claim.app.writing() as (tx, registry):
            values = await leaving(tx, registry, workflow, claim.row, note, target, max_steps=self.max_steps)
            stored = await self.leases.store(tx, claim, values)
        keep(claim, stored)

    async def _checkpoint(self, claim: Claim, values: Values) -> None:
        async with claim.app.writing() as (tx, _):
            stored = await self.leases.store(tx, claim, values)
        keep(claim, stored)

    async def _fail(self, claim: Claim, error: str) -> None:
        await self._checkpoint(claim, failed(claim.row, error, self.leases.now()))

    async def _try_again(self, claim: Claim, error: RocketError) -> None:
        attempt = claim.row["attempt"] + 1
        if attempt >= MOST_ATTEMPTS:
            await self._fail(claim, described(error))
            return
        await self.leases.give_back(claim, later(self.leases.now(), retry_pause(attempt)), attempt=attempt)


async def leaving(
    session: Session, registry: Registry, workflow: Workflow, row: Row, note: Note, target: str, *, max_steps: int
) -> Values:
    """The change that executes a step and arrives at the one that `target` names."""
    if target == END:
        return left(row, note, None)
    if not has_room(row, max_steps=max_steps):
        return overrun(row, note, target, max_steps=max_steps)
    return left(row, note, await arrive(session, registry, workflow.steps[target], row, note.at))


async def after_action(
    session: Session, registry: Registry, workflow: Workflow, step: ActionStep, row: Row, now: str, *, max_steps: int
) -> Values:
    """The change behind the action at `position`: on to the next one, or out of the step."""
    position = row["position"] + 1
    if position < len(step.actions):
        return {"position": position, "attempt": 0, "delivery": None, "due_at": now}
    note = Note(step.id, "completed", now)
    return await leaving(session, registry, workflow, row, note, step.then, max_steps=max_steps)


def decide(step: ConditionStep, row: Row, now: str) -> bool:
    """Raises StepFailed for an expression that cannot be evaluated."""
    if isinstance(step.expression, ExpressionError):
        raise StepFailed(f"invalid expression: {step.expression}")
    values = {"context": json_values(row["context"]), "user": json_values(row["starter"]), "now": instant(now)}
    try:
        return truthy(step.expression.evaluate(values))
    except ExpressionError as error:
        raise StepFailed(f"expression: {error}") from error


def described(error: RocketError) -> str:
    """An error with its findings, as an instance shows it."""
    findings = [
        detail.message
        if detail.field is None or detail.field in detail.message
        else f"{detail.field}: {detail.message}"
        for detail in error.details
        if detail.message != error.message
    ]
    return f"{error.message}: {'; '.join(findings)}" if findings else error.message
