"""The steps that state machines add to an entity's writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rocket_kernel import Entity, Forbidden, Model, Stage, Step, Write, annotate, span
from rocket_statemachines.actions import carry_out, has_late_effects, start_late_effects
from rocket_statemachines.judge import Verdict, is_unbound, judge_creation, judge_move, state_of
from rocket_statemachines.kind import active_machines
from rocket_statemachines.machine import Machine

RULE = "state_machine"
_SPAN = ("engine", "state_machine", "state.transition")
_MOST_ROUNDS = 10
"""How often machines of one record may move each other before they are taken for a circle."""


def compile_steps(entity: Entity, model: Model) -> list[Step]:
    """None for an entity without active machines: it pays nothing."""
    machines = active_machines(entity.name, model)
    if not machines:
        return []
    defaults = dict(_initial_values(entity, machines))
    steps = [Step(Stage.STATE_MACHINE, "statemachines:states", Moves(tuple(machines)), defaults=defaults)]
    if any(has_late_effects(machine) for machine in machines):
        steps.append(Step(Stage.OUTBOX, "statemachines:effects", start_late_effects, frozenset({"update"})))
    return steps


def _initial_values(entity: Entity, machines: Sequence[Machine]) -> Mapping[str, Any]:
    """Wire values; a state that the field can no longer hold is left to its default, and refused by the machine."""
    values: dict[str, Any] = {}
    for machine in machines:
        field = entity.fields.get(machine.field)
        if field is None:
            continue
        try:
            values[machine.field] = field.read(machine.initial)
        except ValueError:
            continue
    return values


@dataclass(frozen=True, slots=True)
class Moves:
    """All active machines of one entity, by field."""

    machines: tuple[Machine, ...]

    async def __call__(self, write: Write) -> None:
        if write.old is None:
            for machine in self.machines:
                verdict = judge_creation(machine, write.record.get(machine.field), unbound=is_unbound(write))
                _report(machine, verdict, write)
            return
        await self._move(write, write.old)

    async def _move(self, write: Write, old: Mapping[str, Any]) -> None:
        """Judge every machine, and once more those that actions of others have moved on."""
        judged = {machine.field: state_of(old.get(machine.field)) for machine in self.machines}
        set_by_actions: set[str] = set()
        for _ in range(_MOST_ROUNDS):
            moved = False
            for machine in self.machines:
                before, after = judged[machine.field], state_of(write.record.get(machine.field))
                if before == after:
                    continue
                moved = True
                judged[machine.field] = after
                by_action = machine.field in set_by_actions
                with span(*_SPAN, entity=write.entity.name, record_id=str(write.key)) as noted:
                    annotate(field=machine.field)
                    verdict = await judge_move(machine, write, before, after, by_action=by_action)
                    if noted is not None and verdict.problem:
                        noted.status = "error"
                    _report(machine, verdict, write)
                    if verdict.transition is not None:
                        set_by_actions |= await carry_out(verdict.transition, machine.field, write)
            if not moved:
                return
        write.fail("State machines move each other in a circle", field=self.machines[0].field, rule=RULE)


def _report(machine: Machine, verdict: Verdict, write: Write) -> None:
    """Raises Forbidden; any other problem is a finding."""
    if verdict.forbidden:
        raise Forbidden(verdict.problem)
    if verdict.problem:
        write.fail(verdict.problem, field=machine.field, rule=RULE)
