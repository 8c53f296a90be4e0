"""Signatures of Standard Webhooks: contract §11.4. Pure but for the making of secrets."""

from __future__ import annotations

import hmac
import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

PREFIX = "whsec_"
_BYTES = 32


def new_secret() -> str:
    return PREFIX + b64encode(secrets.token_bytes(_BYTES)).decode()


def sign(keys: Iterable[str], id: str, timestamp: int, body: bytes) -> str:
    """The header `webhook-signature`: one signature for each secret, separated by spaces."""
    signed = b"%s.%d.%s" % (id.encode(), timestamp, body)
    digests = (hmac.digest(b64decode(key.removeprefix(PREFIX)), signed, sha256) for key in keys)
    return " ".join(f"v1,{b64encode(digest).decode()}" for digest in digests)


def secrets_in_force(row: Mapping[str, Any], now: str) -> list[str]:
    """Of a row of `_webhooks`: the secret, and after a rotation the former one for a while. `now` is a wire value."""
    found = [row["secret"]]
    expires = row["previous_secret_expires_at"]
    if row["previous_secret"] and expires is not None and expires > now:
        found.append(row["previous_secret"])
    return found
