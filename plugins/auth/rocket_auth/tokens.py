"""Access tokens: signing and reading them. Pure but for the random part of an id."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import jwt

from rocket_auth.accounts import read_id
from rocket_kernel import Secret, timestamp_text

ALGORITHM = "HS256"
SHORTEST_SECRET = 32
"""In bytes: as long as the digest."""

_CLOCK_SKEW = timedelta(seconds=10)
"""How far ahead the clock of the process that signed a token may be."""

_RANDOM_BYTES = 32
_CLAIMS = ("sub", "iat", "exp", "jti", "app")

# The times are compared with the kernel's clock below, not with the library's.
_OPTIONS: Any = {
    "require": list(_CLAIMS),
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
    "verify_aud": False,
    "verify_iss": False,
    "enforce_minimum_key_length": True,
}


@dataclass(frozen=True, slots=True)
class Claims:
    """What counts of a token; roles and address are read from the user's row."""

    user_id: str
    generation: int
    expires_at: str
    """As a timestamp's wire value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearer:
    """For whom a token is signed."""

    user_id: str
    email: str
    roles: Sequence[str]
    generation: int


def sign(secret: Secret, bearer: Bearer, *, app: str, now: datetime, life_s: int) -> str:
    """An access token. Its id begins with the generation of the user's tokens."""
    issued = int(now.timestamp())
    claims = {
        "sub": bearer.user_id,
        "email": bearer.email,
        "roles": list(bearer.roles),
        "iat": issued,
        "exp": issued + life_s,
        "jti": f"{bearer.generation}.{secrets.token_urlsafe(16)}",
        "app": app,
    }
    return jwt.encode(claims, secret.reveal(), algorithm=ALGORITHM)


def read_token(token: str, secret: Secret, *, app: str, now: datetime) -> Claims | None:
    """What a token says, or None when it was not signed with this secret for this app, or does not count now."""
    try:
        claims = jwt.decode(token, secret.reveal(), algorithms=[ALGORITHM], options=_OPTIONS)
        issued, expires = _instant(claims["iat"]), _instant(claims["exp"])
    # A header may be any JSON, nested as deeply as its length allows.
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError, OSError):
        return None
    user_id = read_id(claims["sub"]) if isinstance(claims["sub"], str) else None
    generation = _generation(claims["jti"])
    if user_id is None or generation is None or claims["app"] != app:
        return None
    if expires <= now or issued > now + _CLOCK_SKEW:
        return None
    return Claims(user_id, generation, timestamp_text(expires))


def new_opaque_token() -> str:
    """256 random bits as text, for a refresh token or an invite."""
    return secrets.token_urlsafe(_RANDOM_BYTES)


def token_hash(token: str) -> str:
    """What is stored of a refresh token. It is random, so a plain hash cannot be guessed backwards."""
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _instant(value: object) -> datetime:
    """Raises TypeError, ValueError or OverflowError."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("a number of seconds expected")
    return datetime.fromtimestamp(value, UTC)


def _generation(jti: object) -> int | None:
    number = jti.partition(".")[0] if isinstance(jti, str) else ""
    return int(number) if number.isascii() and number.isdigit() and len(number) < 10 else None
