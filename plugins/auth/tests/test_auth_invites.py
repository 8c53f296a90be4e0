"""Invites: made, listed, revoked, in bulk, and accepted (contract §10.6)."""

from __future__ import annotations

import asyncio

import pytest

from rocket_auth.invites import Invites
from rocket_auth.testing import bearer, build_house
from rocket_kernel import Unavailable
from rocket_kernel.testing import assert_error

KEYS = ["id", "email", "roles", "token", "expires_at", "accepted_at", "invited_by", "created_at"]
EXISTS = "A user with this email already exists"
PENDING = "A pending invite already exists for this email"
PASSWORD = "correct horse"
INVITES, ACCEPT = "_admin/invites", "auth/accept-invite"


async def invited(house, email="ann@example.com", *roles):
    return (await house.admin.post(INVITES, {"email": email, "roles": list(roles)})).require(201).data


async def accepted(house, token, password=PASSWORD, **more):
    return await house.stranger.post(ACCEPT, {"token": token, "password": password, **more})


async def test_from_invite_to_user(house):
    invite = await invited(house, " Ann@Example.com ", "Clerk")
    assert list(invite) == KEYS
    assert (invite["email"], invite["roles"], invite["accepted_at"]) == ("ann@example.com", ["Clerk"], None)
    assert invite["invited_by"] == (await house.admin.get("auth/me")).data["id"]
    assert len(invite["token"]) >= 22
    assert (await house.admin.get(INVITES)).data == [invite]

    answer = (await accepted(house, invite["token"], roles=["admin"], email="eve@example.com")).require(201)
    assert list(answer.data) == ["access_token", "refresh_token", "expires_in", "user"]
    assert list(answer.data["user"]) == ["id", "email", "roles"]
    assert (answer.data["user"]["email"], answer.data["user"]["roles"]) == ("ann@example.com", ["Clerk"])
    me = (await house.stranger.get("auth/me", headers=bearer(answer.data["access_token"]))).require(200)
    assert me.data == {**answer.data["user"], "must_change_password": False}
    refreshed = await house.stranger.post("auth/refresh", {"refresh_token": answer.data["refresh_token"]})
    assert refreshed.status == 200
    assert (await house.login("ann@example.com", PASSWORD)).status == 200

    (listed,) = (await house.admin.get(INVITES)).data
    assert listed == {**invite, "token": None, "accepted_at": listed["accepted_at"]}
    assert listed["accepted_at"] is not None
    again = await accepted(house, invite["token"])
    assert_error(again, 400, "VALIDATION_FAILED", "Invite has already been accepted")


async def test_invites_expire_and_make_room(house):
    invite = await invited(house)
    house.clock.advance(hours=72)
    assert_error(await accepted(house, invite["token"]), 400, "VALIDATION_FAILED", "Invite has expired")
    house = await renewed(house)
    (listed,) = (await house.admin.get(INVITES)).data
    assert (listed["token"], listed["accepted_at"]) == (None, None)
    second = await invited(house)
    assert [row["id"] for row in (await house.admin.get(INVITES)).data] == [second["id"], invite["id"]]
    assert (await accepted(house, second["token"])).status == 201


async def renewed(house):
    """The administrator signed in again, for whom time has passed too."""
    pair = (await house.login("admin@localhost", "changeme")).require(200).data
    admin = house.stranger.with_headers(bearer(pair["access_token"]))
    return type(house)(house.running, house.platform, admin, house.clock)


async def test_whom_not_to_invite(house):
    await invited(house)
    for email in ("ann@example.com", "ANN@example.com"):
        assert_error(await house.admin.post(INVITES, {"email": email}), 409, "CONFLICT", PENDING)
    assert_error(await house.admin.post(INVITES, {"email": "admin@localhost"}), 409, "CONFLICT", EXISTS)
    for email in (None, "", "  ", 7):
        assert_error(await house.admin.post(INVITES, {"email": email}), 422, "VALIDATION_FAILED", "email is required")
    for email in ("ann", "ann@", "a nn@example.com"):
        assert_error(await house.admin.post(INVITES, {"email": email}), 422, "VALIDATION_FAILED", "email is not valid")
    for roles in ("admin", [7], {}):
        answer = await house.admin.post(INVITES, {"email": "bob@example.com", "roles": roles})
        assert_error(answer, 422, "VALIDATION_FAILED", "roles must be a list of strings")
    answers = await asyncio.gather(*(house.admin.post(INVITES, {"email": "new@example.com"}) for _ in range(8)))
    assert sorted(answer.status for answer in answers) == [201] + [409] * 7


async def test_a_revoked_invite_opens_nothing_and_holds_nothing_back(house):
    invite = await invited(house)
    deleted = await house.admin.delete(f"{INVITES}/{invite['id']}")
    assert deleted.json == {"data": {"id": invite["id"], "deleted": True}}
    assert_error(await accepted(house, invite["token"]), 404, "NOT_FOUND", "Invalid invite token")
    for key in (invite["id"], "7", "%00"):
        answer = await house.admin.delete(f"{INVITES}/{key}")
        assert_error(answer, 404, "NOT_FOUND")
        assert answer.error["message"].startswith("Invite not found: ")
    await invited(house)
    assert_error(await house.admin.get(f"{INVITES}/{invite['id']}"), 405, "METHOD_NOT_ALLOWED")


async def test_what_is_wrong_with_an_acceptance(house):
    token = (await invited(house))["token"]
    for body, message in (
        ({"password": PASSWORD}, "token is required"),
        ({"token": "", "password": PASSWORD}, "token is required"),
        ({"token": 7, "password": PASSWORD}, "token is required"),
        ({"token": token}, "password is required"),
        ({"token": token, "password": ""}, "password is required"),
        ({"token": token, "password": "seven77"}, "password must be 8 to 72 bytes"),
        ({"token": token, "password": "x" * 73}, "password must be 8 to 72 bytes"),
        ({"token": token, "password": "nul \x00 inside"}, "password must be 8 to 72 bytes"),
    ):
        assert_error(await house.stranger.post(ACCEPT, body), 422, "VALIDATION_FAILED", message)
    for wrong in (token[:-1], token + "x", "x" * 10_000, "\x00", "ü"):
        assert_error(await accepted(house, wrong), 404, "NOT_FOUND", "Invalid invite token")
    assert (await accepted(house, token)).status == 201


async def test_an_address_that_became_a_user_meanwhile(house):
    invite = await invited(house)
    await house.user("ann@example.com")
    assert_error(await accepted(house, invite["token"]), 409, "CONFLICT", EXISTS)
    assert (await house.admin.get(INVITES)).data[0]["accepted_at"] is None


async def test_in_bulk_each_address_stands_for_itself(house):
    await invited(house, "pending@example.com")
    emails = [
        " New@Example.com",
        "new@example.com",
        "pending@example.com",
        "admin@localhost",
        "nonsense",
        "b@example.com",
    ]
    answer = (await house.admin.post(f"{INVITES}/bulk", {"emails": emails, "roles": ["clerk"]})).require(200)
    assert [list(item) for item in answer.data["created"]] == [["id", "email", "token", "expires_at"]] * 2
    assert [item["email"] for item in answer.data["created"]] == ["new@example.com", "b@example.com"]
    assert answer.data["skipped"] == [
        {"email": "pending@example.com", "reason": PENDING},
        {"email": "admin@localhost", "reason": EXISTS},
        {"email": "nonsense", "reason": "email is not valid"},
    ]
    assert answer.data["summary"] == {"total": 5, "created": 2, "skipped": 3}
    made = (await accepted(house, answer.data["created"][0]["token"])).require(201).data
    assert made["user"]["roles"] == ["clerk"]


async def test_what_is_wrong_with_a_bulk(house):
    required = "emails is required and must be a non-empty array"
    for emails, message in (
        (None, required),
        ([], required),
        ("ann@example.com", required),
        ({}, required),
        (["ann@example.com", ""], "emails must not contain blank entries"),
        (["ann@example.com", "  "], "emails must not contain blank entries"),
        (["ann@example.com", 7], "emails must not contain blank entries"),
        (["ann@example.com", None], "emails must not contain blank entries"),
        (["a"] * 10_001, "emails must not contain more than 10000 entries"),
    ):
        answer = await house.admin.post(f"{INVITES}/bulk", {"emails": emails})
        assert_error(answer, 422, "VALIDATION_FAILED", message)
    assert (await house.admin.get(INVITES)).data == []


async def test_who_is_invited_by_a_platform_user(house):
    answer = await house.platform.in_app("shop").post(INVITES, {"email": "ann@example.com"})
    assert answer.require(201).data["invited_by"] == (await house.platform.get("/api/_platform/auth/me")).data["id"]


@pytest.mark.parametrize("hours", [1, 24])
async def test_the_setting_says_how_long(start_kernel, clock, hours):
    house = await build_house(start_kernel, clock, settings={"auth": {"invite_ttl_h": hours, "access_token_s": 10**6}})
    late, soon = await invited(house, "late@example.com"), await invited(house, "soon@example.com")
    clock.advance(hours=hours, seconds=-0.001)
    assert (await accepted(house, soon["token"])).status == 201
    clock.advance(seconds=0.001)
    assert_error(await accepted(house, late["token"]), 400, "VALIDATION_FAILED", "Invite has expired")


async def test_trouble_with_one_address_in_bulk_is_reported_like_its_faults(house, monkeypatch):
    insert = Invites._insert

    async def troubled(self, tx, request, email, roles):
        row = await insert(self, tx, request, email, roles)
        if email.startswith("b"):
            raise Unavailable
        return row

    monkeypatch.setattr(Invites, "_insert", troubled)
    emails = ["ann@example.com", "bob@example.com", "cid@example.com"]
    answer = (await house.admin.post(f"{INVITES}/bulk", {"emails": emails})).require(200)
    assert [item["email"] for item in answer.data["created"]] == ["ann@example.com", "cid@example.com"]
    reason = "Insert failed: Service unavailable"
    assert answer.data["skipped"] == [{"email": "bob@example.com", "reason": reason}]
    listed = [row["email"] for row in (await house.admin.get(INVITES)).data]
    assert sorted(listed) == ["ann@example.com", "cid@example.com"]
