"""Webhooks of an entity -> the steps of its pipeline: contract §11.2."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from rocket_kernel import (
    Entity,
    ExpressionError,
    ForeignKeyViolation,
    Model,
    Stage,
    Step,
    Transaction,
    TransactionConflict,
    Write,
    timestamp_text,
)
from rocket_webhooks.condition import Condition, compile_condition, condition_values
from rocket_webhooks.definition import AFTER_DELETE, AFTER_WRITE, BEFORE_DELETE, BEFORE_WRITE, Webhook
from rocket_webhooks.kind import NAME, ORDINAL
from rocket_webhooks.outbox import (
    KEY_PREFIX,
    Row,
    described,
    failed_before_sending,
    moment,
    new_ids,
    new_token,
    same_columns,
)
from rocket_webhooks.payload import body_head, body_of
from rocket_webhooks.queue import next_in_line
from rocket_webhooks.tables import LOGS, with_defaults, without_defaults
from rocket_webhooks.tracing import causing_span

if TYPE_CHECKING:
    from rocket_webhooks.plugin import WebhooksPlugin

_ACTIONS: Mapping[str, frozenset[str]] = {
    AFTER_WRITE: frozenset({"create", "update"}),
    BEFORE_WRITE: frozenset({"create", "update"}),
    AFTER_DELETE: frozenset({"delete"}),
    BEFORE_DELETE: frozenset({"delete"}),
}
_AWAITED = "webhooks:awaited"
_WOKEN = "webhooks:woken"


@dataclass(frozen=True, slots=True)
class Armed:
    """A webhook in force, compiled: what need not be found out at every write."""

    id: str
    webhook: Webhook
    condition: Condition
    columns: Mapping[str, Any]
    """Values of its rows in the outbox that are always the same."""
    has_body: bool
    waits: bool
    """A delivery has a place in a line, or a request waits for its first attempt."""


def arm(id: str, webhook: Webhook, model: Model) -> Armed:
    columns = {
        "lane": id,
        "webhook_id": id,
        "entity": webhook.entity,
        "hook": webhook.hook,
        "url": webhook.url,
        "method": webhook.method,
        "max_attempts": webhook.max_attempts,
        "backoff": webhook.retry["backoff"],
    }
    return Armed(
        id=id,
        webhook=webhook,
        condition=compile_condition(webhook.condition, model),
        columns=without_defaults(columns),
        has_body=webhook.method != "GET",
        waits=webhook.order == "record" or not webhook.is_async,
    )


def compile_steps(plugin: WebhooksPlugin, entity: Entity, model: Model) -> list[Step]:
    """The active webhooks of the entity, those made first before the others."""
    stored = [item for item in model.of(NAME).values() if item.item.entity == entity.name and item.item.active]
    stored.sort(key=lambda item: item.row[ORDINAL])
    armed = [arm(item.key, item.item, model) for item in stored]
    steps: list[Step] = []
    for hook in (BEFORE_WRITE, BEFORE_DELETE):
        asked = [one for one in armed if one.webhook.hook == hook]
        for number, one in enumerate(asked, 1):
            name = f"webhooks:{hook}:{number:03}:{one.id}"
            steps.append(Step(Stage.BEFORE_WEBHOOKS, name, _asking(plugin, one), _ACTIONS[hook]))
    for hook in (AFTER_WRITE, AFTER_DELETE):
        told = tuple(one for one in armed if one.webhook.hook == hook)
        if told:
            steps.append(_outbox_step(plugin, hook, told))
        if any(not one.webhook.is_async for one in told):
            name = f"webhooks:first_attempt:{hook}"
            steps.append(Step(Stage.AFTER_WEBHOOKS, name, _awaiting(plugin), _ACTIONS[hook]))
    return steps


def _outbox_step(plugin: WebhooksPlugin, hook: str, told: Sequence[Armed]) -> Step:
    run = _storing(plugin, hook, told)
    return Step(Stage.OUTBOX, f"webhooks:outbox:{hook}", run, _ACTIONS[hook], keeps_records=True)


def _asking(plugin: WebhooksPlugin, one: Armed) -> Callable[[Write], Awaitable[None]]:
    async def ask(write: Write) -> None:
        await plugin.judges(write.run.app).ask(write, one)

    return ask


def _storing(plugin: WebhooksPlugin, hook: str, told: Sequence[Armed]) -> Callable[[Write], Awaitable[None]]:
    async def store(write: Write) -> None:
        rows = await outbox_rows(write, hook, told, lease_s=plugin.lease_s)
        if not rows:
            return
        run = write.run
        try:
            for group in same_columns(rows):
                await LOGS.insert_many(cast(Transaction, run.session), group)
        except ForeignKeyViolation as gone:
            # A webhook was deleted since the registry was read: once more, without it.
            raise TransactionConflict from gone
        if run.recorder is not None:
            run.outbox += [described(with_defaults(row)) for row in rows]
        awaited = [row["id"] for row in rows if "claim" in row]
        if awaited:
            write.stash[_AWAITED] = awaited
        lanes: set[str] | None = run.stash.get(_WOKEN)
        if lanes is None:
            lanes = run.stash[_WOKEN] = set()
            run.after_commit.append(plugin.waking(run.app, lanes))
        lanes.update(row["webhook_id"] for row in rows)

    return store


def _awaiting(plugin: WebhooksPlugin) -> Callable[[Write], Awaitable[None]]:
    async def deliver(write: Write) -> None:
        ids = write.stash.pop(_AWAITED, [])
        if ids:
            await plugin.deliver_now(write.run.app, ids)

    return deliver


async def outbox_rows(write: Write, hook: str, told: Sequence[Armed], *, lease_s: float) -> list[Row]:
    """One row for each webhook whose condition holds, or breaks."""
    matching = _matching(write, hook, told)
    if not matching:
        return []
    head, now = body_head(write, hook), write.run.now
    shared = {**moment(now), "record_id": str(write.key), "trace_id": write.run.trace_id, **causing_span()}
    rows: list[Row] = []
    for id, (one, error) in zip(new_ids(now, len(matching)), matching, strict=True):
        key = KEY_PREFIX + id
        body = body_of(head, key) if one.has_body else ""
        row = {"id": id, "idempotency_key": key, "request_body": body, **shared, **one.columns}
        if error:
            row = failed_before_sending(row, error)
        elif one.waits:
            row = await _placed(write, one, row, lease_s=lease_s)
        rows.append(row)
    return rows


def _matching(write: Write, hook: str, told: Sequence[Armed]) -> list[tuple[Armed, str]]:
    """Each webhook whose condition holds, with "", or breaks, with the reason."""
    found: list[tuple[Armed, str]] = []
    values: Mapping[str, Any] | None = None
    for one in told:
        error = ""
        if one.condition.source:
            values = condition_values(write, hook) if values is None else values
            try:
                if not one.condition.holds(values):
                    continue
            except ExpressionError as broken:
                error = f"condition: {broken}"
        found.append((one, error))
    return found


async def _placed(write: Write, one: Armed, row: Row, *, lease_s: float) -> Row:
    """In its line, where the record keeps one; claimed already when the request waits for the first attempt."""
    alone = True
    if one.webhook.order == "record":
        row["order_key"] = row["record_id"]
        row["seq"] = await next_in_line(cast(Transaction, write.run.session), row["record_id"], row["lane"])
        alone = row["seq"] == 0
    if not one.webhook.is_async and alone:
        until = datetime.fromisoformat(write.run.now) + timedelta(seconds=lease_s)
        row |= {"claim": new_token(), "due_at": timestamp_text(until)}
    return row
