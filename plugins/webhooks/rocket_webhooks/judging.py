"""Synchronous before_* webhooks: the receiver judges a write before its transaction opens (contract §11.2)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

from rocket_kernel import AppContext, ExpressionError, Write, span, timestamp_text
from rocket_webhooks.attempt import attempt, prepare
from rocket_webhooks.condition import condition_values
from rocket_webhooks.errors import WebhookFailed, WebhookRejected
from rocket_webhooks.kind import NAME
from rocket_webhooks.outbox import Row, outbox_row, shown_url
from rocket_webhooks.payload import body_head, body_of
from rocket_webhooks.queue import ENDED
from rocket_webhooks.retry import Outcome
from rocket_webhooks.tables import DELIVERED, FAILED, LOGS
from rocket_webhooks.tracing import DISPATCH, note_dispatch, span_of

if TYPE_CHECKING:
    from rocket_webhooks.dispatcher import Crew
    from rocket_webhooks.firing import Armed

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Judges:
    """Asks the receivers of one app. No connection to the database is held meanwhile."""

    app: AppContext
    crew: Crew

    async def ask(self, write: Write, one: Armed) -> None:
        """One attempt, which leaves a row in the log. Raises WebhookRejected and WebhookFailed."""
        url = shown_url(one.webhook.url)
        try:
            if one.condition.source and not one.condition.holds(condition_values(write, one.webhook.hook)):
                return
        except ExpressionError as broken:
            reason = f"condition: {broken}"
            await self._log(self._row(write, one), {"status": FAILED, "error": reason})
            raise WebhookFailed(f"Webhook {url} failed: {reason}") from broken
        stored = self.app.registry.model.of(NAME).get(one.id)
        if stored is None:  # removed while this request was evaluated
            return
        row = self._row(write, one)
        outcome, logged = await self.call(row, stored.row)
        await self._log(row, {**logged, **tried_once(outcome)})
        if outcome.status == 0:
            raise WebhookFailed(f"Webhook {url} failed: {outcome.error}")
        if not outcome.delivered:
            raise WebhookRejected(f"Webhook {url} failed: {outcome.error}")

    async def call(self, row: Row, webhook: Any) -> tuple[Outcome, Row]:
        """What came of one attempt, and the column values that say what was sent."""
        crew = self.crew
        began = monotonic()
        with span(*DISPATCH) as noted:
            shipment = prepare(
                row, webhook, environ=crew.environ, env_prefix=crew.env_prefix, now=crew.now(), span=span_of(noted)
            )
            outcome = await attempt(crew.client, shipment)
            note_dispatch(noted, row, outcome)
        crew.tally.took(monotonic() - began)
        crew.tally.ended(self.app.name, DELIVERED if outcome.delivered else FAILED)
        return outcome, dict(shipment.logged)

    def _row(self, write: Write, one: Armed) -> Row:
        row = outbox_row(write.run.now, {**one.columns, **ENDED, "max_attempts": 1})
        head = body_head(write, one.webhook.hook)
        row["request_body"] = body_of(head, row["idempotency_key"]) if one.has_body else ""
        row["record_id"] = "" if write.key is None else str(write.key)
        row["trace_id"] = write.run.trace_id
        return row

    async def _log(self, row: Row, changes: Row) -> None:
        now = timestamp_text(self.crew.now())
        async with self.app.writing() as (tx, registry):
            # Its webhook may have been deleted while it was asked.
            if row["webhook_id"] in registry.model.of(NAME):
                await LOGS.insert(tx, {**row, **changes, "updated_at": now})


def tried_once(outcome: Outcome) -> Row:
    """Column values of a delivery that is tried once."""
    return {
        "response_status": outcome.status,
        "response_body": outcome.body,
        "status": DELIVERED if outcome.delivered else FAILED,
        "attempt": 1,
        "error": outcome.error,
    }
