"""The action `webhook` of state machines and workflows: contract §8.3 and §9.1."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rocket_kernel import ActionStart, ActionType, Model, Then, Transaction, enqueue
from rocket_webhooks.definition import check_retry, check_target
from rocket_webhooks.headers import check_headers
from rocket_webhooks.outbox import Row, action_lane, described, outbox_row
from rocket_webhooks.payload import json_text
from rocket_webhooks.queue import reopened
from rocket_webhooks.tables import DELIVERED, FAILED, LOGS, with_defaults
from rocket_webhooks.tracing import causing_span_id

Waking = Callable[[str, Iterable[str]], Callable[[], Any]]


def webhook_action(env_prefix: str, waking: Waking) -> ActionType:
    """`waking` of an app's name and the lanes something was put into gives a callback for after the commit."""

    def check(definition: Mapping[str, Any], _model: Model) -> None:
        check_target(definition)
        check_headers(definition.get("headers"), env_prefix)
        check_retry(definition.get("retry"))

    async def start(action: ActionStart) -> None:
        row = _row(action, env_prefix)
        if not await LOGS.try_insert(action.session, row):
            await _start_again(action.session, row, action.call.now)
            return
        if action.run is None:
            return
        action.run.outbox.append(described(with_defaults(row)))
        action.run.after_commit.append(waking(action.run.app, [row["lane"]]))

    return ActionType(name="webhook", check=check, start=start)


async def _start_again(tx: Transaction, row: Row, now: str) -> None:
    """With a key of the caller's an action may be started again: after a crash, or because it has failed.

    Under its key it is the same delivery. One that failed is tried as often as a new one, one that is delivered is over,
    and one that is on its way will tell how it ends.
    """
    known = await LOGS.first(tx, {"action_key": row["action_key"]}, lock=True)
    if known is None:
        return
    if known["status"] == FAILED:
        again = {name: row[name] for name in ("then_job", "then_payload")}
        again |= {"max_attempts": known["attempt"] + row["max_attempts"], "updated_at": now}
        await LOGS.update(tx, {"id": known["id"]}, {**reopened(known, now, in_line=False), **again})
    elif known["status"] == DELIVERED and row["then_job"] is not None:
        then = Then(row["then_job"], row["then_payload"] or {})
        await enqueue(tx, then.job, then.ended(ok=True, error=None, attempts=known["attempt"]), now)


def _row(action: ActionStart, env_prefix: str) -> Row:
    url, method = check_target(action.definition)
    headers = check_headers(action.definition.get("headers"), env_prefix)
    retry = check_retry(action.definition.get("retry"))
    values: Row = {
        "lane": action_lane(url),
        "entity": action.entity,
        "hook": action.hook,
        "url": url,
        "method": method,
        "headers": headers,
        "request_body": "" if method == "GET" else json_text(action.body),
        "max_attempts": retry["max_attempts"],
        "backoff": retry["backoff"],
        "record_id": action.record_id,
        "trace_id": action.call.trace_id,
        "span_id": causing_span_id(),
    }
    if action.sensitive:
        values["sensitive"] = sorted(action.sensitive)
    if action.idempotency_key is not None:
        values |= {"idempotency_key": action.idempotency_key, "action_key": action.idempotency_key}
    if action.then is not None:
        values |= {"then_job": action.then.job, "then_payload": dict(action.then.payload)}
    return outbox_row(action.call.now, values)
