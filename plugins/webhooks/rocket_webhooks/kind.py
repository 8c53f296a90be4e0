"""Webhooks as a metadata kind: from this the kernel gives table, admin endpoints, export and import."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rocket_kernel import Change, MetadataKind
from rocket_webhooks.definition import Webhook, load_webhook, parse_webhook
from rocket_webhooks.described import WEBHOOK
from rocket_webhooks.queue import forget_new
from rocket_webhooks.signing import new_secret
from rocket_webhooks.tables import WEBHOOKS

NAME = "webhooks"
NOUN = "Webhook"
ORDINAL = "ordinal"
"""Numbers webhooks in the order in which they were made."""
_RANK = 150
_GIVEN = ("entity", "hook", "url", "method", "headers", "condition", "async", "retry", "order", "active")


def webhook_kind(env_prefix: str) -> MetadataKind[Webhook]:
    return MetadataKind(
        name=NAME,
        singular="webhook",
        path="webhooks",
        noun=NOUN,
        table=WEBHOOKS,
        rank=_RANK,
        order_by=("entity", "hook", ORDINAL),
        ordinal=ORDINAL,
        parse=lambda body, model: parse_webhook(body, model, env_prefix),
        load=load_webhook,
        body=lambda row: {name: row[name] for name in _GIVEN},
        row=_row,
        generate=lambda: {"secret": new_secret()},
        identity=lambda webhook: (webhook.entity, webhook.hook, webhook.url),
        value=_row,
        export=_export,
        label=lambda body: f"{_shown(body, 'entity')}/{_shown(body, 'hook') or 'after_write'}",
        changed=_changed,
        entities=lambda webhook: (webhook.entity,),
        hidden=("previous_secret", "previous_secret_expires_at", ORDINAL),
        schema=WEBHOOK,
    )


async def _changed(change: Change[Webhook]) -> None:
    """Rows that are sorted go with their webhook by themselves."""
    if change.former is not None and change.stored is None:
        await forget_new(change.tx, change.former.key)


def _row(webhook: Webhook) -> Mapping[str, Any]:
    return {
        "entity": webhook.entity,
        "hook": webhook.hook,
        "url": webhook.url,
        "method": webhook.method,
        "headers": dict(webhook.headers),
        "condition": webhook.condition,
        "async": webhook.is_async,
        "retry": dict(webhook.retry),
        "order": webhook.order,
        "active": webhook.active,
    }


def _export(webhook: Webhook) -> Mapping[str, Any]:
    """The members of contract §14.1, which has no `order`: only another one than its default is added."""
    row = dict(_row(webhook))
    if webhook.order == "none":
        del row["order"]
    return row


def _shown(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    return value[:60] if isinstance(value, str) else ""
