"""Addresses that work for a while without a token: signed with the app's secret over file id and time."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256

from rocket_files.settings import LONGEST_TTL_S
from rocket_files.stored_file import file_url
from rocket_kernel import Forbidden, Secret

_PURPOSE = b"rocket-files link\n"
"""The app's secret signs other things, too; none of them must pass for a link."""
_MOST_DIGITS = 12


def signed_url(secret: Secret, app: str, id: str, expires: int) -> str:
    """`expires` in seconds since 1970."""
    return f"{file_url(app, id)}?expires={expires}&signature={signature(secret, id, str(expires))}"


def signature(secret: Secret, id: str, expires: str) -> str:
    message = _PURPOSE + f"{id}\n{expires}".encode()
    digest = hmac.new(secret.reveal().encode(), message, sha256).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def is_signed(parameters: Mapping[str, str], secret: Secret, id: str, now: float) -> bool:
    """False when the address does not claim to be signed. Raises Forbidden for one that is expired or altered."""
    given, expires = parameters.get("signature"), parameters.get("expires")
    if given is None and expires is None:
        return False
    valid = hmac.compare_digest(signature(secret, id.lower(), expires or "").encode(), (given or "").encode())
    if not valid or not _is_number(expires or "") or int(expires or "") <= now:
        raise Forbidden("Link is invalid or has expired")
    return True


def read_ttl(text: str | None, usual: int) -> int:
    """Seconds of the parameter `ttl`: as with other numbers in queries, unreadable ones count as not given."""
    if text is None or not _is_number(text) or int(text) < 1:
        return usual
    return min(int(text), LONGEST_TTL_S)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
