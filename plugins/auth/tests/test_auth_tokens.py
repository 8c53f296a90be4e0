"""Access tokens by themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import jwt
import pytest

from rocket_auth.tokens import Bearer, new_opaque_token, read_token, sign, token_hash
from rocket_kernel import Secret

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
USER = "00000000-0000-4000-8000-000000000001"
BEARER = Bearer(user_id=USER, email="ann@example.com", roles=["clerk"], generation=3)
LONG = Secret("s" * 64)


def signed(secret=LONG, app="shop"):
    return sign(secret, BEARER, app=app, now=NOW, life_s=900)


def test_what_was_signed_is_read():
    claims = read_token(signed(), LONG, app="shop", now=NOW)
    assert claims is not None
    assert (claims.user_id, claims.generation, claims.expires_at) == (USER, 3, "2026-01-02T03:19:05.000Z")


def test_it_counts_for_its_app_its_secret_and_its_time_only():
    token = signed()
    assert read_token(token, LONG, app="mall", now=NOW) is None
    assert read_token(token, Secret("t" * 64), app="shop", now=NOW) is None
    assert read_token(token, LONG, app="shop", now=NOW + timedelta(seconds=899.999)) is not None
    assert read_token(token, LONG, app="shop", now=NOW + timedelta(seconds=900)) is None
    assert read_token(token, LONG, app="shop", now=NOW - timedelta(seconds=10)) is not None
    assert read_token(token, LONG, app="shop", now=NOW - timedelta(seconds=11)) is None


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_another_algorithm_of_the_same_family_is_refused(algorithm):
    claims = jwt.decode(signed(), options={"verify_signature": False})
    assert read_token(jwt.encode(claims, LONG.reveal(), algorithm=algorithm), LONG, app="shop", now=NOW) is None
    assert read_token(jwt.encode(claims, LONG.reveal(), algorithm="HS256"), LONG, app="shop", now=NOW) is not None


def test_no_two_tokens_are_alike():
    assert len({signed() for _ in range(50)}) == 50
    assert len({new_opaque_token() for _ in range(50)}) == 50


def test_opaque_tokens_are_kept_as_a_hash():
    token = new_opaque_token()
    assert len(token) == 43
    assert token_hash(token) == token_hash(token)
    assert token not in token_hash(token)
