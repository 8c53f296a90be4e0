"""Whether a record may go from one state to another: contract §8.2."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rocket_kernel import Actor, ExpressionError, Write, evaluate_in_write, text_form, truthy
from rocket_statemachines.machine import Guard, Machine, Transition


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a move. It passes when there is no `problem`."""

    transition: Transition | None = None
    """The one that is taken; None where the machine has none and lets the move pass all the same."""
    problem: str = ""
    forbidden: bool = False
    """The caller's roles are the problem."""


PASSED = Verdict()


def state_of(value: Any) -> str | None:
    """Text form of a field's wire value; None is no state yet."""
    return None if value is None or value == "" else text_form(value)


def judge_creation(machine: Machine, value: Any, *, unbound: bool) -> Verdict:
    """`unbound`: a workflow writes, which may set any state."""
    if unbound or state_of(value) == machine.initial:
        return PASSED
    shown = "null" if value is None else text_form(value)
    return Verdict(problem=f"Initial state must be '{machine.initial}', got '{shown}'")


async def judge_move(
    machine: Machine, write: Write, before: str | None, after: str | None, *, by_action: bool = False
) -> Verdict:
    """`write` is the record as it is to be stored. `by_action`: an action of another machine moves it."""
    if before == after:
        return PASSED
    unbound = is_unbound(write)
    if before is None:
        fits = unbound or after == machine.initial
        return PASSED if fits else Verdict(problem=_invalid(before, after))
    leading = machine.leading(before, after or "")
    if unbound:
        return Verdict(await _preferred(leading, write))
    if not leading:
        return Verdict(problem=_invalid(before, after))
    permitted = leading if by_action else tuple(it for it in leading if _may_take(it, write.actor))
    if not permitted:
        problem = f"Transition from '{before}' to '{after}' not permitted for your role"
        return Verdict(problem=problem, forbidden=True)
    problems: list[str] = []
    for transition in permitted:
        fault = await _guard_fault(transition.guard, write, f"Transition from '{before}' to '{after}'")
        if not fault:
            return Verdict(transition)
        problems.append(fault)
    return Verdict(problem=problems[0])


def is_unbound(write: Write) -> bool:
    """A step of a workflow writes that does not ask to be bound."""
    cause = write.run.cause
    return cause is not None and cause.kind == "workflow" and not cause.strict


def _invalid(before: str | None, after: str | None) -> str:
    return f"Invalid transition from '{before or ''}' to '{after or ''}'"


def _may_take(transition: Transition, actor: Actor) -> bool:
    return not transition.roles or actor.is_admin or not transition.roles.isdisjoint(actor.roles)


async def _guard_fault(guard: Guard | None, write: Write, move: str) -> str:
    """Why a guard holds a move back, or "". A guard that cannot be evaluated does."""
    if guard is None:
        return ""
    if guard.expression is None:
        return f"Guard evaluation error: {guard.fault}"
    try:
        passes = truthy(await evaluate_in_write(guard.expression, write))
    except ExpressionError as error:
        return f"Guard evaluation error: {error}"
    return "" if passes else f"{move} blocked by guard"


async def _preferred(leading: Iterable[Transition], write: Write) -> Transition | None:
    """Where no guard binds: the first transition whose guard would pass, or else the first."""
    candidates = list(leading)
    for transition in candidates:
        if not await _guard_fault(transition.guard, write, ""):
            return transition
    return candidates[0] if candidates else None
