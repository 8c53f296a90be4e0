"""Login, refresh, logout, me and change-password (contract §10.1)."""

from __future__ import annotations

import jwt
import pytest

from rocket_auth.testing import ADMIN, PLATFORM, House, bearer, login
from rocket_kernel.testing import Client, assert_error

OLD, NEW = "correct horse", "battery staple"


@pytest.fixture(params=["app", "platform"])
async def door(request: pytest.FixtureRequest, house: House) -> Client:
    """Where one signs in, and a user `ann@example.com` who may."""
    body = {"email": "ann@example.com", "password": OLD, "roles": ["clerk"]}
    if request.param == "app":
        (await house.admin.post("_admin/users", body)).require(201)
        return house.stranger
    (await house.platform.post("/api/_platform/users", body)).require(201)
    return house.running.client


def at(door: Client, name: str) -> str:
    return f"auth/{name}" if door.app_name else f"/api/_platform/auth/{name}"


async def test_login_answers_with_a_pair(door, house):
    answer = (await login(door, "ann@example.com", OLD)).require(200)
    assert list(answer.data) == ["access_token", "refresh_token", "expires_in", "must_change_password"]
    assert (answer.data["expires_in"], answer.data["must_change_password"]) == (900, False)
    claims = jwt.decode(answer.data["access_token"], options={"verify_signature": False})
    assert list(claims) == ["sub", "email", "roles", "iat", "exp", "jti", "app"]
    assert claims["exp"] - claims["iat"] == 900
    assert claims["iat"] == int(house.clock.now().timestamp())
    assert (claims["email"], claims["roles"]) == ("ann@example.com", ["clerk"])
    assert claims["app"] == (door.app_name or "_platform")
    me = (await door.get(at(door, "me"), headers=bearer(answer.data["access_token"]))).require(200)
    assert me.data == {
        "id": claims["sub"],
        "email": "ann@example.com",
        "roles": ["clerk"],
        "must_change_password": False,
    }


async def test_login_compares_addresses_without_case_and_blanks(door):
    for email in ("ann@example.com", "ANN@Example.COM", "  ann@example.com\t"):
        assert (await login(door, email, OLD)).status == 200, email


async def test_login_needs_both(door):
    for body in (
        {},
        {"email": "ann@example.com"},
        {"password": OLD},
        {"email": "", "password": OLD},
        {"email": "  ", "password": OLD},
        {"email": "ann@example.com", "password": ""},
        {"email": ["ann@example.com"], "password": OLD},
        {"email": "ann@example.com", "password": 12345678},
        {"email": None, "password": None},
    ):
        answer = await door.post(at(door, "login"), body)
        assert_error(answer, 401, "UNAUTHORIZED", "Email and password are required")


async def test_wrong_credentials(door, house):
    for email, password in (
        ("ann@example.com", "wrong horse"),
        ("ann@example.com", OLD + " "),
        ("ann@example.com", OLD + "\x00"),
        ("ann@example.com", "\x00"),
        ("ann@example.com", "x" * 73),
        ("ann@example.com", OLD + "x" * 5000),
        ("ann@example.com", "pässwörd ☃ 🐎" * 9),
        ("bob@example.com", OLD),
        ("ann@example.com\x00", OLD),
        ("a" * 300 + "@example.com", OLD),
        ("' OR 1=1 --", OLD),
    ):
        assert_error(await login(door, email, password), 401, "UNAUTHORIZED", "Invalid email or password")
    assert (await login(door, "ann@example.com", OLD)).status == 200


async def test_a_password_of_72_bytes_counts_to_its_last(house):
    password = "ü" * 36
    ann = await house.user("ann@example.com", password=password)
    assert (await ann.get("auth/me")).status == 200
    assert (await house.login("ann@example.com", password[:-1] + "a")).status == 401
    assert (await house.login("ann@example.com", password + "x")).status == 401


async def test_a_disabled_account_says_so_to_the_right_password_only(house):
    await house.user("ann@example.com", password=OLD)
    (await house.change("ann@example.com", active=False)).require(200)
    assert_error(await house.login("ann@example.com", OLD), 401, "UNAUTHORIZED", "Account is disabled")
    assert_error(await house.login("ann@example.com", NEW), 401, "UNAUTHORIZED", "Invalid email or password")


async def test_refresh_replaces_the_pair(door):
    first = (await login(door, "ann@example.com", OLD)).data
    second = (await door.post(at(door, "refresh"), {"refresh_token": first["refresh_token"]})).require(200).data
    assert list(second) == ["access_token", "refresh_token", "expires_in", "must_change_password"]
    assert second["refresh_token"] != first["refresh_token"]
    assert (await door.get(at(door, "me"), headers=bearer(second["access_token"]))).status == 200
    third = await door.post(at(door, "refresh"), {"refresh_token": second["refresh_token"]})
    assert third.status == 200


async def test_using_a_replaced_token_ends_its_family_and_no_other(door):
    stolen = (await login(door, "ann@example.com", OLD)).data["refresh_token"]
    other = (await login(door, "ann@example.com", OLD)).data["refresh_token"]
    current = (await door.post(at(door, "refresh"), {"refresh_token": stolen})).data["refresh_token"]
    for token in (stolen, current, stolen):
        answer = await door.post(at(door, "refresh"), {"refresh_token": token})
        assert_error(answer, 401, "UNAUTHORIZED", "Invalid refresh token")
    assert (await door.post(at(door, "refresh"), {"refresh_token": other})).status == 200


async def test_refresh_tokens_expire(door, house):
    token = (await login(door, "ann@example.com", OLD)).data["refresh_token"]
    house.clock.advance(days=7)
    answer = await door.post(at(door, "refresh"), {"refresh_token": token})
    assert_error(answer, 401, "UNAUTHORIZED", "Refresh token expired")


async def test_unknown_refresh_tokens(door):
    for token in ("nonsense", "ü" * 50, "\x00", "x" * 10_000):
        answer = await door.post(at(door, "refresh"), {"refresh_token": token})
        assert_error(answer, 401, "UNAUTHORIZED", "Invalid refresh token")
        assert (await door.post(at(door, "logout"), {"refresh_token": token})).json == {"message": "Logged out"}


async def test_refresh_and_logout_need_a_token(door):
    for body in ({}, {"refresh_token": ""}, {"refresh_token": 7}, {"refresh_token": None}):
        for name in ("refresh", "logout"):
            answer = await door.post(at(door, name), body)
            assert_error(answer, 401, "UNAUTHORIZED", "Refresh token is required")


async def test_an_access_token_is_no_refresh_token_and_the_reverse(door):
    pair = (await login(door, "ann@example.com", OLD)).data
    assert (await door.post(at(door, "refresh"), {"refresh_token": pair["access_token"]})).status == 401
    assert (await door.get(at(door, "me"), headers=bearer(pair["refresh_token"]))).status == 401


async def test_the_refresh_token_of_one_realm_is_unknown_in_another(house):
    of_app = (await house.login(**ADMIN)).data["refresh_token"]
    of_platform = (await login(house.running.client, **PLATFORM)).data["refresh_token"]
    refresh = "/api/_platform/auth/refresh"
    assert (await house.stranger.post(refresh, {"refresh_token": of_app})).status == 401
    assert (await house.stranger.post("auth/refresh", {"refresh_token": of_platform})).status == 401
    assert (await house.stranger.post("auth/refresh", {"refresh_token": of_app})).status == 200


async def test_refresh_of_a_disabled_account_says_so_and_uses_nothing_up(house):
    await house.user("ann@example.com", password=OLD)
    token = (await house.login("ann@example.com", OLD)).data["refresh_token"]
    await house.change("ann@example.com", active=False)
    for _ in range(2):
        answer = await house.stranger.post("auth/refresh", {"refresh_token": token})
        assert_error(answer, 401, "UNAUTHORIZED", "Account is disabled")
    await house.change("ann@example.com", active=True)
    assert (await house.stranger.post("auth/refresh", {"refresh_token": token})).status == 200


async def test_refresh_of_a_deleted_user(house):
    await house.user("ann@example.com", password=OLD)
    token = (await house.login("ann@example.com", OLD)).data["refresh_token"]
    await house.admin.delete(f"_admin/users/{(await house.row('ann@example.com'))['id']}")
    answer = await house.stranger.post("auth/refresh", {"refresh_token": token})
    assert_error(answer, 401, "UNAUTHORIZED", "Invalid refresh token")


async def test_logout_ends_the_family(door):
    first = (await login(door, "ann@example.com", OLD)).data["refresh_token"]
    second = (await door.post(at(door, "refresh"), {"refresh_token": first})).data["refresh_token"]
    answer = await door.post(at(door, "logout"), {"refresh_token": first})
    assert (answer.status, answer.json) == (200, {"message": "Logged out"})
    answer = await door.post(at(door, "refresh"), {"refresh_token": second})
    assert_error(answer, 401, "UNAUTHORIZED", "Invalid refresh token")


async def test_change_password_ends_all_sessions_and_begins_one(door):
    here, there = [(await login(door, "ann@example.com", OLD)).data for _ in range(2)]
    body = {"current_password": OLD, "new_password": NEW}
    changed = await door.post(at(door, "change-password"), body, headers=bearer(here["access_token"]))
    assert list(changed.require(200).data) == ["access_token", "refresh_token", "expires_in", "must_change_password"]
    for former in (here, there):
        me = await door.get(at(door, "me"), headers=bearer(former["access_token"]))
        assert_error(me, 401, "UNAUTHORIZED", "Invalid or expired token")
        again = await door.post(at(door, "refresh"), {"refresh_token": former["refresh_token"]})
        assert_error(again, 401, "UNAUTHORIZED", "Invalid refresh token")
    assert (await door.get(at(door, "me"), headers=bearer(changed.data["access_token"]))).status == 200
    assert (await door.post(at(door, "refresh"), {"refresh_token": changed.data["refresh_token"]})).status == 200
    assert (await login(door, "ann@example.com", OLD)).status == 401
    assert (await login(door, "ann@example.com", NEW)).status == 200


async def test_change_password_asks_for_the_current_one(house):
    ann = await house.user("ann@example.com", password=OLD)
    for current in ("wrong horse", "", None, 7, "x" * 100):
        answer = await ann.post("auth/change-password", {"current_password": current, "new_password": NEW})
        assert_error(answer, 422, "VALIDATION_FAILED", "Current password is incorrect")
    assert (await ann.get("auth/me")).status == 200


async def test_change_password_minds_the_length(house):
    ann = await house.user("ann@example.com", password=OLD)
    for new in ("", None, 12345678, "seven77", "x" * 73, "ü" * 37, "with \x00 inside"):
        answer = await ann.post("auth/change-password", {"current_password": OLD, "new_password": new})
        assert_error(answer, 422, "VALIDATION_FAILED", "password must be 8 to 72 bytes")


async def test_must_change_password_goes_with_the_default_password(house):
    assert (await house.admin.get("auth/me")).data["must_change_password"] is True
    body = {"current_password": ADMIN["password"], "new_password": NEW}
    changed = (await house.admin.post("auth/change-password", body)).require(200).data
    assert changed["must_change_password"] is False
    back = {"current_password": NEW, "new_password": ADMIN["password"]}
    answer = await house.stranger.post("auth/change-password", back, headers=bearer(changed["access_token"]))
    assert answer.require(200).data["must_change_password"] is True


async def test_platform_users_do_not_change_their_password_in_an_app(house):
    body = {"current_password": PLATFORM["password"], "new_password": NEW}
    answer = await house.platform.in_app("shop").post("auth/change-password", body)
    assert_error(answer, 403, "FORBIDDEN")
    assert (await login(house.running.client, **PLATFORM)).status == 200


async def test_a_body_of_another_shape(house):
    for name in ("login", "refresh", "logout", "accept-invite"):
        for content in (b"[]", b"null", b"{", b'{"email": "\xff"}', b'{"email": "\\ud800"}'):
            answer = await house.stranger.post(f"auth/{name}", content=content)
            assert_error(answer, 400, "INVALID_PAYLOAD")
