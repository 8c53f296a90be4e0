"""What the actions of a step do. An effect and the checkpoint behind it commit together, so it happens exactly once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from rocket_kernel import (
    SYSTEM,
    ActionStart,
    AppContext,
    Call,
    Cause,
    Event,
    NotFound,
    Registry,
    Then,
    Transaction,
    WriteOrder,
    emit_event,
    require_action,
)
from rocket_workflows.check_actions import CREATE_RECORD, DELETE_RECORD, RECORD_ACTIONS, SEND_EVENT, SET_FIELD
from rocket_workflows.claims import Claim
from rocket_workflows.context import filled, members_from
from rocket_workflows.definition import CREATE, DELETE, UPDATE, Action

Checkpoint = Callable[[Transaction, Registry], Awaitable[None]]
"""Stores, in the transaction of the effect, that it has been carried out. Raises LostClaim."""

DELIVERED = "workflows:delivered"
"""The job that goes on when a delivery has ended."""
HOOK = "workflow"


def is_outside(action: Action) -> bool:
    """Whether an action's end is told later, by whoever carries it out."""
    return action.type not in RECORD_ACTIONS and action.type != SEND_EVENT


def call_of(row: Mapping[str, Any], action: Action, now: str) -> Call:
    """The instance's id is the trace id of all it does."""
    # A write stands as deep in the chain as the instance; what starts from it stands one deeper.
    return Call(SYSTEM, now, str(row["id"]), Cause("workflow", row["depth"], action.strict))


async def carry_out(claim: Claim, action: Action, now: str, checkpoint: Checkpoint) -> None:
    """Raises RocketError when the action fails; then it has no effect. It must not be one that `is_outside`."""
    call = call_of(claim.row, action, now)
    if action.type == SEND_EVENT:
        await _send_event(claim, action, call, checkpoint)
        return
    order = write_order(action, claim.row, now)

    async def also(run: Any, _write: Any) -> None:
        await checkpoint(run.session, run.registry)

    await claim.app.perform_write(order, call, also)


def write_order(action: Action, row: Mapping[str, Any], now: str) -> WriteOrder:
    """Raises NotFound for an id that names no record, such as a context value that is null."""
    body, context = action.body, row["context"]
    entity = body["entity"]
    if action.type == CREATE_RECORD:
        return WriteOrder(CREATE, entity, filled(body["data"], context, now))
    record_id = filled(body["record_id"], context, now)
    if record_id is None or isinstance(record_id, (dict, list, bool)) or record_id == "":
        raise NotFound(f"{entity} with id {'null' if record_id is None else record_id} not found")
    if action.type == DELETE_RECORD:
        return WriteOrder(DELETE, entity, {}, str(record_id))
    if action.type == SET_FIELD:
        return WriteOrder(UPDATE, entity, {body["field"]: filled(body["value"], context, now)}, str(record_id))
    return WriteOrder(UPDATE, entity, filled(body["data"], context, now), str(record_id))


async def _send_event(claim: Claim, action: Action, call: Call, checkpoint: Checkpoint) -> None:
    row = claim.row
    names, template = frozenset(row["sensitive"] or ()), action.body.get("payload") or {}
    event = Event(
        action=action.body["event"],
        entity=row["entity"] or "",
        record_id=row["record_id"] or "",
        payload=filled(template, row["context"], call.now),
        sensitive=names | members_from(template, names) if names else names,
    )
    async with claim.app.writing() as (tx, registry):
        await emit_event(event, tx, registry, call)
        await checkpoint(tx, registry)


async def begin_outside(
    app: AppContext, row: Mapping[str, Any], action: Action, now: str, checkpoint: Checkpoint
) -> None:
    """Hand an action over to the plugin that carries it out. The job `DELIVERED` will tell how it ended."""
    key = delivery_key(row)
    async with app.writing() as (tx, registry):
        kind = require_action(action.type, registry.model)
        await checkpoint(tx, registry)
        await kind.start(
            ActionStart(
                definition=action.body,
                body=row["context"],
                sensitive=frozenset(row["sensitive"] or ()),
                entity=row["entity"] or "",
                record_id=row["record_id"] or "",
                hook=HOOK,
                session=tx,
                registry=registry,
                call=call_of(row, action, now),
                idempotency_key=key,
                then=Then(DELIVERED, {"instance": row["id"], "delivery": key}),
            )
        )


def delivery_key(row: Mapping[str, Any]) -> str:
    """One key for one action of one visit of a step, whoever asks and however often."""
    name = f"{row['id']}/{row['visit']}/{row['current_step']}/{row['position']}"
    return f"wf_{uuid5(NAMESPACE_URL, name)}"
