"""What happens when a transition is taken: contract §8.3.

Fields are set and records created before the row is written. Events and actions that reach outside tell of the stored
record, so they wait for it, in the same transaction.
"""

from __future__ import annotations

from typing import cast

from rocket_kernel import (
    ActionStart,
    Conflict,
    Event,
    RocketError,
    Transaction,
    Write,
    emit_event,
    require_action,
)
from rocket_statemachines.machine import NOW, CreateRecord, Machine, ReachOutside, SendEvent, SetField, Transition
from rocket_statemachines.references import resolved_data

HOOK = "state_machine"
_LATE = "statemachines:late"


async def carry_out(transition: Transition, state_field: str, write: Write) -> set[str]:
    """The fields that were set. An action that fails is a finding, or raises what is worth another attempt."""
    fields: set[str] = set()
    for action in transition.actions:
        match action:
            case SetField():
                _set_field(action, write)
                fields.add(action.field)
            case CreateRecord():
                # While the outside world judges nothing may be written; this runs again inside the transaction.
                if write.run.in_transaction:
                    await _create_record(action, state_field, write)
            case _:
                write.stash.setdefault(_LATE, []).append(action)
    return fields


def _set_field(action: SetField, write: Write) -> None:
    if action.field not in write.entity.fields:
        write.fail(f"field not found: {action.field}", field=action.field, rule=HOOK)
        return
    write.assign(action.field, write.run.now if action.value == NOW else action.value)


async def _create_record(action: CreateRecord, state_field: str, write: Write) -> None:
    run = write.run
    failed = f"Action create_record {action.entity} failed"
    try:
        target = run.registry.entity(action.entity).entity
        await run.create(action.entity, resolved_data(action.data, target, write))
    except Conflict as conflict:
        raise Conflict(f"{failed}: {_reasons(conflict)}") from conflict
    except RocketError as error:
        if error.status >= 500:
            raise
        write.fail(f"{failed}: {_reasons(error)}", field=state_field, rule=HOOK)


def _reasons(error: RocketError) -> str:
    return "; ".join(detail.message for detail in error.details) or error.message


def has_late_effects(machine: Machine) -> bool:
    """Whether some transition tells of the stored record."""
    actions = (action for transition in machine.transitions for action in transition.actions)
    return any(isinstance(action, (SendEvent, ReachOutside)) for action in actions)


async def start_late_effects(write: Write) -> None:
    """For the stored record, in the order in which the transitions were taken."""
    for action in write.stash.get(_LATE, ()):
        if isinstance(action, SendEvent):
            await _send_event(action, write)
        else:
            await _reach_outside(action, write)


async def _send_event(action: SendEvent, write: Write) -> None:
    run = write.run
    event = Event(action.event, write.entity.name, str(write.key), action.payload)
    await emit_event(event, cast("Transaction", run.session), run.registry, run.call, run)


async def _reach_outside(action: ReachOutside, write: Write) -> None:
    run = write.run
    start = ActionStart(
        definition=action.definition,
        body=dict(write.record),
        entity=write.entity.name,
        record_id=str(write.key),
        hook=HOOK,
        session=cast("Transaction", run.session),
        registry=run.registry,
        call=run.call,
        run=run,
    )
    await require_action(action.type, run.registry.model).start(start)
