"""Which writes and events start which workflows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from rocket_kernel import Call, Entity, Event, Model, Registry, Stage, Step, Stored, Transaction, Write, WriteRun
from rocket_workflows.context import Occasion
from rocket_workflows.definition import CREATE, DELETE, EVENT, RECORD_TRIGGERS, STATE_CHANGE, UPDATE, Trigger, Workflow
from rocket_workflows.kind import stored_workflows
from rocket_workflows.refusal import shown
from rocket_workflows.starting import Starter, started

Wake = Callable[[str | None], None]
"""Have the workers look at an app, or at every app."""

_ACTIONS = {
    STATE_CHANGE: frozenset({CREATE, UPDATE}),
    CREATE: frozenset({CREATE}),
    UPDATE: frozenset({UPDATE}),
    DELETE: frozenset({DELETE}),
}
_WOKEN = "workflows:woken"


def watching_steps(entity: Entity, model: Model, starter: Starter, wake: Wake) -> list[Step]:
    """One step for each active workflow that a write of the entity may start; none costs nothing."""
    return [
        Step(
            Stage.OUTBOX,
            f"workflows:start:{stored.item.name}",
            _starting(stored, starter, wake),
            actions=_ACTIONS[stored.item.trigger.type],
            keeps_records=True,
        )
        for stored in stored_workflows(model).values()
        if stored.item.active
        and stored.item.trigger.entity == entity.name
        and stored.item.trigger.type in RECORD_TRIGGERS
    ]


def _starting(stored: Stored[Workflow], starter: Starter, wake: Wake) -> Callable[[Write], Awaitable[None]]:
    trigger = stored.item.trigger

    async def start(write: Write) -> None:
        if not fires(trigger, write):
            return
        run = write.run
        record = write.old if write.action == DELETE else write.record
        occasion = Occasion(
            actor=run.actor,
            entity=write.entity.name,
            record_id=None if write.key is None else str(write.key),
            record=record,
            old=write.old,
        )
        row = await starter.start(cast("Transaction", run.session), run.registry, stored, occasion, run.call)
        run.workflows.append(started(row))
        wake_after(run, wake)

    return start


def wake_after(run: WriteRun | None, wake: Wake) -> None:
    """Wake the workers when the write is committed; without one, soon."""
    if run is None:
        wake(None)
        return
    if _WOKEN in run.stash:
        return
    run.stash[_WOKEN] = True
    app = run.app

    async def look() -> None:
        wake(app)

    run.after_commit.append(look)


def fires(trigger: Trigger, write: Write) -> bool:
    """Whether a record's write is what a trigger waits for; the step has seen to entity and action."""
    if trigger.type == UPDATE:
        return bool(write.changes)
    if trigger.type != STATE_CHANGE or trigger.field is None:
        return True
    new = write.record.get(trigger.field)
    if write.action == CREATE:
        return new is not None and trigger.came_from is None and _is_among(new, trigger.to)
    if new is None or new == "" or trigger.field not in write.changes:
        return False
    return _is_among(new, trigger.to) and _is_among((write.old or {}).get(trigger.field), trigger.came_from)


def _is_among(value: Any, states: frozenset[str] | None) -> bool:
    """None is any state."""
    return states is None or (value is not None and shown(value) in states)


async def start_by_event(
    event: Event, session: Transaction, registry: Registry, call: Call, run: WriteRun | None, starter: Starter
) -> bool:
    """Start what waits for the event, in the transaction that stores it; whether there was anything."""
    found = False
    for stored in stored_workflows(registry.model).values():
        trigger = stored.item.trigger
        if not (stored.item.active and trigger.type == EVENT and trigger.event == event.action):
            continue
        if run is None and not may_start(trigger, call):
            continue
        occasion = Occasion(
            actor=call.actor,
            entity=event.entity or None,
            record_id=event.record_id or None,
            event=event.action,
            payload=event.payload,
            sensitive=event.sensitive,
        )
        row = await starter.start(session, registry, stored, occasion, call)
        if run is not None:
            run.workflows.append(started(row))
        found = True
    return found


def may_start(trigger: Trigger, call: Call) -> bool:
    """An action may, being metadata itself; of clients, administrators and holders of one of the trigger's roles."""
    return call.cause is not None or call.actor.is_admin or bool(trigger.roles & call.actor.roles)
