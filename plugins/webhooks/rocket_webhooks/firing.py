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
    new_ids,
    new_token,
    same_columns,
)
from rocket_webhooks.payload import body_head, body_of
from rocket_webhooks.queue import next_in_line
from rocket_webhooks.tables import LOGS, UNSORTED, with_defaults, without_defaults
from rocket_webhooks.tracing import causing_span_id

if TYPE_CHECKING:
    from rocket_webhooks.plugin import WebhooksPlugin

_ACTIONS: Mapping[str, frozenset[str]] = {
    AFTER_WRITE: frozenset({"create", "update"}),
    BEFORE_WRITE: frozenset({"create", "update"}),
    AFTER_DELETE: frozenset({"delete"}),
    BEFORE_DELETE: frozenset({"delete"}),
}
_VARYING = (
    "id",
    "idempotency_key",
    "request_body",
    "created_at",
    "updated_at",
    "due_at",
    "lane",
    "record_id",
    "trace_id",
    "span_id",
)
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


class Told:
    """The webhooks of one hook of an entity, and how a write makes a row for each: what differs, then what does not."""

    __slots__ = ("_constants", "armed", "columns", "hook")

    def __init__(self, hook: str, armed: Sequence[Armed]) -> None:
        self.hook, self.armed = hook, armed
        constant = tuple(dict.fromkeys(name for one in armed for name in one.columns if name != "webhook_id"))
        self.columns = (*_VARYING, "new_for", *constant)
        defaults = with_defaults({})
        self._constants = {
            one.id: (one.id, *(one.columns.get(name, defaults[name]) for name in constant)) for one in armed
        }

    def rows(self, write: Write, matching: Sequence[Armed]) -> list[tuple[Any, ...]]:
        """In the order of `columns`."""
        head, now, run = body_head(write, self.hook), write.run.now, write.run
        shared = (now, now, now, UNSORTED, str(write.key), run.trace_id, causing_span_id())
        rows: list[tuple[Any, ...]] = []
        for id, one in zip(new_ids(now, len(matching)), matching, strict=True):
            key = KEY_PREFIX + id
            rows.append((id, key, body_of(head, key) if one.has_body else "", *shared, *self._constants[one.id]))
        return rows

    def sorted_row(self, row: Sequence[Any]) -> Row:
        """In the lane of its webhook from the first."""
        made = dict(zip(self.columns, row, strict=True))
        webhook_id = made.pop("new_for")
        return {**made, "webhook_id": webhook_id, "lane": webhook_id}


def arm(id: str, webhook: Webhook, model: Model) -> Armed:
    columns = {
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
    run = _storing(plugin, Told(hook, told))
    return Step(Stage.OUTBOX, f"webhooks:outbox:{hook}", run, _ACTIONS[hook], keeps_records=True)


def _asking(plugin: WebhooksPlugin, one: Armed) -> Callable[[Write], Awaitable[None]]:
    async def ask(write: Write) -> None:
        await plugin.judges(write.run.app).ask(write, one)

    return ask


def _storing(plugin: WebhooksPlugin, told: Told) -> Callable[[Write], Awaitable[None]]:
    async def store(write: Write) -> None:
        matching = _matching(write, told)
        if not matching:
            return
        rows = told.rows(write, [one for one, _ in matching])
        special = (
            await _special(write, told, rows, matching, lease_s=plugin.lease_s)
            if any(error or one.waits for one, error in matching)
            else {}
        )
        run = write.run
        tx = cast(Transaction, run.session)
        try:
            plain = [row for at, row in enumerate(rows) if at not in special] if special else rows
            await LOGS.insert_tuples(tx, told.columns, plain)
            for group in same_columns(list(special.values())):
                await LOGS.insert_many(tx, group)
        except ForeignKeyViolation as gone:
            # A webhook was deleted since the registry was read: once more, without it. Rows that are to be sorted are
            # deleted by whoever sorts them.
            raise TransactionConflict from gone
        if run.recorder is not None:
            stored = (special.get(at) or told.sorted_row(row) for at, row in enumerate(rows))
            run.outbox += [described(with_defaults(row)) for row in stored]
        awaited = [row["id"] for row in special.values() if "claim" in row]
        if awaited:
            write.stash[_AWAITED] = awaited
        lanes: set[str] | None = run.stash.get(_WOKEN)
        if lanes is None:
            lanes = run.stash[_WOKEN] = set()
            run.after_commit.append(plugin.waking(run.app, lanes))
        lanes.update([one.id for one, _ in matching])

    return store


def _awaiting(plugin: WebhooksPlugin) -> Callable[[Write], Awaitable[None]]:
    async def deliver(write: Write) -> None:
        ids = write.stash.pop(_AWAITED, [])
        if ids:
            await plugin.deliver_now(write.run.app, ids)

    return deliver


async def _special(
    write: Write, told: Told, rows: Sequence[Sequence[Any]], matching: Sequence[tuple[Armed, str]], *, lease_s: float
) -> dict[int, Row]:
    """By position, the rows that do not just wait for their turn: of conditions that broke, in a line, or claimed."""
    special: dict[int, Row] = {}
    for at, (one, error) in enumerate(matching):
        if error:
            special[at] = failed_before_sending(told.sorted_row(rows[at]), error)
        elif one.waits:
            special[at] = await _placed(write, one, told.sorted_row(rows[at]), lease_s=lease_s)
    return special


def _matching(write: Write, told: Told) -> list[tuple[Armed, str]]:
    """Each webhook whose condition holds, with "", or breaks, with the reason."""
    found: list[tuple[Armed, str]] = []
    values: Mapping[str, Any] | None = None
    for one in told.armed:
        error = ""
        if one.condition.source:
            values = condition_values(write, told.hook) if values is None else values
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
