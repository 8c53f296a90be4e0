"""One attempt: a row, and its webhook as it is defined now -> a request -> an outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rocket_kernel import timestamp_text
from rocket_webhooks.client import CallFailed, OutboundClient
from rocket_webhooks.headers import InvalidHeader, fill, masked, with_content_type
from rocket_webhooks.outbox import Row
from rocket_webhooks.retry import Outcome
from rocket_webhooks.signing import secrets_in_force, sign

AGENT = "Rocket-Webhooks"


@dataclass(frozen=True, slots=True)
class Shipment:
    """What goes out, and what the log tells of it."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    logged: Mapping[str, Any]
    """Column values: where it was sent, with which headers, masked."""
    error: str = ""
    """Set when it cannot be sent at all."""


def prepare(
    row: Row,
    webhook: Mapping[str, Any] | None,
    *,
    environ: Mapping[str, str],
    env_prefix: str,
    now: datetime,
    span: str,
) -> Shipment:
    """Pure. `webhook` is the row of `_webhooks`, None for an action, whose own row says where it goes.

    Deliveries go where the webhook points now: whoever moves a receiver wants what has waited for it to follow.
    """
    source = row if webhook is None else webhook
    defined: Mapping[str, str] = source["headers"] or {}
    method, url = source["method"], source["url"]
    body = None if method == "GET" else row["request_body"].encode()
    defined = with_content_type(defined) if body is not None else defined
    fixed = {
        "traceparent": f"00-{row['trace_id'].replace('-', '')}-{span}-01",
        "webhook-id": row["idempotency_key"],
        "webhook-timestamp": str(int(now.timestamp())),
    }
    if webhook is not None:
        keys = secrets_in_force(webhook, timestamp_text(now))
        fixed["webhook-signature"] = sign(keys, row["idempotency_key"], int(now.timestamp()), body or b"")
    logged = {"method": method, "url": url, "request_headers": {**masked(defined), **masked(fixed)}}
    try:
        filled = fill(defined, environ, env_prefix)
    except InvalidHeader as error:
        return Shipment(method, url, {}, body, logged, f"http call: header {error} cannot be sent")
    own = {name: value for name, value in filled.items() if name.lower() not in fixed}
    return Shipment(method, url, {**_standard(own), **own, **fixed}, body, logged)


def _standard(headers: Mapping[str, str]) -> dict[str, str]:
    given = {name.lower() for name in headers}
    own = {"User-Agent": AGENT, "Accept": "*/*", "Accept-Encoding": "identity"}
    return {name: value for name, value in own.items() if name.lower() not in given}


async def attempt(client: OutboundClient, shipment: Shipment) -> Outcome:
    """Send it. Whatever goes wrong is part of the outcome."""
    if shipment.error:
        return Outcome(error=shipment.error)
    try:
        reply = await client.send(shipment.method, shipment.url, shipment.headers, shipment.body)
    except CallFailed as error:
        return Outcome(error=f"http call: {error}")
    delivered = 200 <= reply.status <= 299
    return Outcome(
        status=reply.status,
        error="" if delivered else f"HTTP {reply.status}",
        body=reply.body.decode("utf-8", "replace").replace("\x00", "\ufffd"),
        retry_after=reply.headers.get("retry-after"),
    )
