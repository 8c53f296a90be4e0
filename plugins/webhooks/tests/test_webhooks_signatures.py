"""Standard Webhooks signatures, verified by the package that defines them."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from rocket_webhooks.signing import new_secret, secrets_in_force, sign


class RealTime:
    """The package refuses timestamps of long ago."""

    def now(self) -> datetime:
        return datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
async def shop(start_shop: Any) -> Any:
    return await start_shop(clock=RealTime())


def verify(secret: str, received: Any) -> Any:
    return Webhook(secret).verify(received.body, dict(received.headers))


def test_we_sign_as_the_package_does() -> None:
    for body in ("{}", '{"name":"Zoë & 漢字"}', ""):
        secret, at = new_secret(), datetime.now(UTC)
        assert sign([secret], "msg_1", int(at.timestamp()), body.encode()) == Webhook(secret).sign("msg_1", at, body)


def test_a_known_signature() -> None:
    """The example of the specification."""
    signature = sign(
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_deliveries_verify(shop: Any) -> None:
    webhook = await shop.hook()
    await shop.client.create("item", {"name": "Zoë"})
    await shop.deliver()
    (received,) = shop.receiver.requests
    assert verify(webhook["secret"], received)["record"]["name"] == "Zoë"
    with pytest.raises(WebhookVerificationError):
        verify(new_secret(), received)
    forged = type(received)(received.method, received.path, received.headers, received.body.replace(b"Zo", b"Bo"))
    with pytest.raises(WebhookVerificationError):
        verify(webhook["secret"], forged)


async def test_both_secrets_sign_for_a_day(shop: Any) -> None:
    webhook = await shop.hook()
    path = f"_admin/webhooks/{webhook['id']}"
    rotated = (await shop.client.post(f"{path}/rotate-secret")).require(200).data
    assert list(rotated) == ["id", "secret", "previous_secret_expires_at"]
    assert rotated["secret"] != webhook["secret"]
    expires = datetime.fromisoformat(rotated["previous_secret_expires_at"])
    assert 86_300 < (expires - datetime.now(UTC)).total_seconds() < 86_401
    shown = (await shop.client.get(path)).data
    assert shown["secret"] == rotated["secret"]
    assert "previous_secret" not in shown
    assert "previous_secret" not in str((await shop.client.get("_admin/webhooks")).data)
    await shop.client.create("item", {"name": "bolt"})
    await shop.deliver()
    (received,) = shop.receiver.requests
    assert len(received.headers["webhook-signature"].split(" ")) == 2
    for secret in (webhook["secret"], rotated["secret"]):
        assert verify(secret, received)["record"]["name"] == "bolt"


async def test_after_a_second_rotation_the_first_secret_is_over(shop: Any) -> None:
    webhook = await shop.hook()
    path = f"_admin/webhooks/{webhook['id']}/rotate-secret"
    second, third = [(await shop.client.post(path)).data["secret"] for _ in range(2)]
    await shop.client.create("item", {"name": "bolt"})
    await shop.deliver()
    (received,) = shop.receiver.requests
    assert verify(second, received) == verify(third, received)
    with pytest.raises(WebhookVerificationError):
        verify(webhook["secret"], received)


def test_a_former_secret_signs_until_its_time() -> None:
    row = {"secret": "new", "previous_secret": "old", "previous_secret_expires_at": "2026-01-02T00:00:00.000Z"}
    assert secrets_in_force(row, "2026-01-01T23:59:59.999Z") == ["new", "old"]
    assert secrets_in_force(row, "2026-01-02T00:00:00.000Z") == ["new"]
    assert secrets_in_force({**row, "previous_secret_expires_at": None}, "2026-01-01T00:00:00.000Z") == ["new"]


async def test_every_attempt_is_signed_anew(shop: Any) -> None:
    webhook = await shop.hook(hook="before_write")
    await shop.hook(hook="after_write", url=f"{shop.receiver.url}/get", method="GET")
    await shop.client.create("item", {"name": "bolt"})
    await shop.deliver()
    judge, get = shop.receiver.requests
    assert verify(webhook["secret"], judge)["event"] == "before_write"
    assert abs(int(judge.headers["webhook-timestamp"]) - time.time()) < 60
    # A GET has no body, and that is what is signed.
    assert get.headers["webhook-signature"] == sign(
        [(await shop.client.get("_admin/webhooks")).data[0]["secret"]],
        get.headers["webhook-id"],
        int(get.headers["webhook-timestamp"]),
        b"",
    )
