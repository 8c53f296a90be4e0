"""Webhooks: deliveries that are never lost. See README.md."""

from rocket_webhooks.plugin import WebhooksPlugin as WebhooksPlugin
