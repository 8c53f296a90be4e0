"""docs/webhooks.md: its commands are run against a real server, its receivers get what we sign."""

from __future__ import annotations

import json
import re
import time

import pytest
from standardwebhooks import WebhookVerificationError

from rocket_webhooks.client import KEPT_BYTES
from rocket_webhooks.definition import BACKOFFS, HOOKS, LONGEST_URL, METHODS
from rocket_webhooks.headers import RESERVED
from rocket_webhooks.logs import MOST_PER_PAGE
from rocket_webhooks.retry import MOST_ATTEMPTS, pause_s
from rocket_webhooks.settings import WebhooksSettings
from rocket_webhooks.signing import new_secret, sign

PAGE = "docs/webhooks.md"


def test_webhook_examples_are_answered_as_shown(page, server_process):
    exchanges = page(PAGE).exchanges()
    assert len([exchange for exchange in exchanges if exchange.status is not None]) >= 2
    for exchange in exchanges:
        server_process.check(exchange)


def receivers(page):
    found = []
    for block in page(PAGE).blocks("python"):
        names: dict[str, object] = {}
        exec(block.text, names)
        found.append(names["receive"])
    return found


def test_receivers_take_what_we_sign_and_nothing_else(page):
    secret, former, at = new_secret(), new_secret(), int(time.time())
    body = json.dumps({"record": {"name": "Zoë"}}).encode()

    def headers(text: bytes, when: int = at) -> dict[str, str]:
        signature = sign([secret, former], "wh_1", when, text)
        return {"webhook-id": "wh_1", "webhook-timestamp": str(when), "webhook-signature": signature}

    assert len(receivers(page)) == 2
    for receive in receivers(page):
        for key in (secret, former):
            assert receive(key, headers(body), body) == json.loads(body)
        for bad in (
            (new_secret(), headers(body), body),
            (secret, headers(body), body + b" "),
            (secret, headers(body, at - 3600), body),
            (secret, {**headers(body), "webhook-id": "wh_2"}, body),
        ):
            with pytest.raises((ValueError, WebhookVerificationError)):
                receive(*bad)


def test_the_table_of_pauses(page):
    rows = page(PAGE).table("## When a delivery fails")
    shown = [[int(cell.removesuffix(" s")) for cell in row] for row in rows]
    assert shown == [[n, pause_s(n, "exponential"), pause_s(n, "linear")] for n in range(1, 6)]


def test_what_is_said_of_definitions_is_what_holds(page):
    rows = {row[0]: row for row in page(PAGE).table("## Defining one")}
    assert set(re.findall(r"`(\w+)`", rows["`hook`"][1])) == set(HOOKS)
    assert set(re.findall(r"`([A-Z]+)`", rows["`method`"][1])) == set(METHODS)
    assert set(re.findall(r"`(\w+)`", rows["`retry`"][1])) == {"max_attempts", "backoff", *BACKOFFS}
    text = page(PAGE).text
    for number in (LONGEST_URL, MOST_ATTEMPTS, MOST_PER_PAGE, KEPT_BYTES // 1024):
        assert str(number) in text
    for name in RESERVED:
        assert f"`{name}`" in text.lower()
    assert f"`{WebhooksSettings().env_prefix}`" in text
