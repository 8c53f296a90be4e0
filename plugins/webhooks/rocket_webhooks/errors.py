"""Error codes of synchronous webhooks: contract §2.2 and §11.2."""

from __future__ import annotations

from rocket_kernel import RocketError, ValidationFailed


class WebhookRejected(ValidationFailed):
    """A receiver answered a before_* webhook with another status than 2xx."""

    code = "WEBHOOK_REJECTED"


class WebhookFailed(RocketError):
    """A receiver of a before_* webhook could not be asked."""

    code = "WEBHOOK_FAILED"
    status = 502
    default_message = "Webhook failed"
