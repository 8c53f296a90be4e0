"""What the plugin counts, and what its log tells of deliveries that wait."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from rocket_kernel import NOT_NULL, AppContext, AppMetric, Distribution, Metric, MetricType, Samples
from rocket_webhooks.tables import LOGS


@dataclass(slots=True, eq=False)
class Tally:
    """Attempts of this process."""

    attempts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By app and what became of the delivery: delivered, retrying or failed."""
    seconds: Distribution = field(default_factory=Distribution)

    def took(self, seconds: float) -> None:
        self.seconds.observe(seconds)

    def ended(self, app: str, outcome: str) -> None:
        self.attempts[app, outcome] += 1

    def forget(self, app: str) -> None:
        for labels in [labels for labels in self.attempts if labels[0] == app]:
            del self.attempts[labels]

    def metrics(self) -> list[Metric | AppMetric]:
        return [
            Metric(
                name="rocket_webhooks_attempts_total",
                help="Attempts to deliver a webhook, by app and outcome: delivered, retrying or failed.",
                type=MetricType.COUNTER,
                labels=("app", "outcome"),
                read=self.attempts.items,
            ),
            Metric(
                name="rocket_webhooks_attempt_seconds",
                help="How long receivers took.",
                type=MetricType.HISTOGRAM,
                read=lambda: [((), self.seconds)],
            ),
            AppMetric(
                name="rocket_webhooks_backlog",
                help="Deliveries that have not ended: waiting, on their way, or to be tried again.",
                read=_backlog,
            ),
            AppMetric(
                name="rocket_webhooks_backlog_lag_seconds",
                help="How long the delivery that has been due longest has been waiting.",
                read=_lag,
            ),
        ]


async def _backlog(app: AppContext) -> Samples:
    # Rows that have ended have no lane, so the index over lanes holds those that count and no others.
    return [((), float(await app.read(lambda session, _registry: LOGS.count(session, {"lane": NOT_NULL}))))]


async def _lag(app: AppContext) -> Samples:
    heads = await app.read(lambda session, _registry: LOGS.heads(session, "lane", "due_at"))
    due = [datetime.fromisoformat(due_at) for _, due_at in heads if due_at is not None]
    waited = (app.parts.clock.now() - min(due)).total_seconds() if due else 0.0
    return [((), max(waited, 0.0))]
