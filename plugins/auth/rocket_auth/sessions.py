"""What a user holds after signing in: an access token, and a refresh token that is replaced at each use.

Refresh tokens of one sign-in are a family. Whatever touches a user's tokens locks the user's row first, so that no
token is added to a family while it is revoked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from rocket_auth.realm import Realm
from rocket_auth.settings import AuthSettings
from rocket_auth.tokens import Bearer, new_opaque_token, sign, token_hash
from rocket_kernel import Comparison, Transaction, Unauthorized, timestamp_text

DISABLED = "Account is disabled"
_INVALID = "Invalid refresh token"


@dataclass(frozen=True, slots=True)
class Signed:
    """The tokens of one sign-in."""

    access_token: str
    refresh_token: str
    expires_in: int
    """Seconds that the access token lives."""

    def as_json(self) -> dict[str, Any]:
        return {
            "access_token": self.access_token,
            "refresh_token": self.refresh_token,
            "expires_in": self.expires_in,
        }


def signed_in(signed: Signed, user: Mapping[str, Any]) -> dict[str, Any]:
    """The `data` of login, refresh and change-password."""
    return {**signed.as_json(), "must_change_password": user["must_change_password"]}


@dataclass(frozen=True, slots=True)
class Sessions:
    settings: AuthSettings

    async def begin(self, realm: Realm, tx: Transaction, user: Mapping[str, Any], now: datetime) -> Signed:
        """A new family. `user` is the row as it is to be, locked by the transaction."""
        tokens = realm.tables.refresh_tokens
        await tokens.delete(tx, {"user_id": user["id"], "expires_at": Comparison("<", timestamp_text(now))})
        return await self._extend(realm, tx, user, str(uuid4()), now)

    async def rotate(self, realm: Realm, token: str, now: datetime) -> dict[str, Any]:
        """Replace a refresh token; the `data` of the answer. Raises Unauthorized.

        A token that was replaced before shows that somebody else has it, so its family ends.
        """
        tokens = realm.tables.refresh_tokens
        async with realm.writing() as tx:
            row = await tokens.first(tx, {"token_hash": token_hash(token)})
            user = None if row is None else await realm.tables.users.first(tx, {"id": row["user_id"]}, lock=True)
            if row is None or user is None:
                raise Unauthorized(_INVALID)
            used = {"used_at": timestamp_text(now)}
            claimed = await tokens.update(tx, {"id": row["id"], "used_at": None}, used)
            if claimed:
                _require_usable(row, user, now)
                signed = await self._extend(realm, tx, user, row["family_id"], now)
            else:
                await tokens.delete(tx, {"family_id": row["family_id"]})
                signed = None
        if signed is None:
            raise Unauthorized(_INVALID)
        return signed_in(signed, user)

    async def end(self, realm: Realm, token: str) -> None:
        """Revoke the family of a refresh token; one that is unknown has none."""
        tokens = realm.tables.refresh_tokens
        async with realm.writing() as tx:
            row = await tokens.first(tx, {"token_hash": token_hash(token)})
            if row is not None:
                await realm.tables.users.first(tx, {"id": row["user_id"]}, lock=True)
                await tokens.delete(tx, {"family_id": row["family_id"]})

    async def _extend(
        self, realm: Realm, tx: Transaction, user: Mapping[str, Any], family: str, now: datetime
    ) -> Signed:
        refresh_token = new_opaque_token()
        await realm.tables.refresh_tokens.insert(
            tx,
            {
                "id": str(uuid4()),
                "user_id": user["id"],
                "token_hash": token_hash(refresh_token),
                "family_id": family,
                "expires_at": timestamp_text(now + timedelta(seconds=self.settings.refresh_token_s)),
                "created_at": timestamp_text(now),
            },
        )
        life_s = self.settings.access_token_s
        bearer = Bearer(user_id=user["id"], email=user["email"], roles=user["roles"], generation=user["generation"])
        access_token = sign(realm.secret, bearer, app=realm.name, now=now, life_s=life_s)
        return Signed(access_token, refresh_token, life_s)


async def end_all(realm: Realm, tx: Transaction, user_id: str) -> None:
    """Revoke every refresh token of a user whose row the transaction has locked."""
    await realm.tables.refresh_tokens.delete(tx, {"user_id": user_id})


def _require_usable(row: Mapping[str, Any], user: Mapping[str, Any], now: datetime) -> None:
    """Raises Unauthorized, which undoes the claim."""
    if row["expires_at"] <= timestamp_text(now):
        raise Unauthorized("Refresh token expired")
    if not user["active"]:
        raise Unauthorized(DISABLED)
