"""Users of an app and of the platform, as administrators see and change them (contract §10.4)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from rocket_auth.testing import House, QuickAuth, login, signed_in
from rocket_kernel.testing import Client, assert_error

KEYS = ["id", "email", "roles", "active", "must_change_password", "created_at", "updated_at"]
NOBODY = "00000000-0000-4000-8000-000000000000"
EXISTS = "A user with this email already exists"
LAST = "The last active admin cannot be removed or demoted"
PASSWORD = "correct horse"


@dataclass(frozen=True, slots=True)
class Office:
    """Where users are managed: the collection, its administrator, and how one signs in to it."""

    house: House
    admin: Client
    path: str
    role: str
    """Of which one must remain."""

    @property
    def door(self) -> Client:
        return self.house.stranger if self.admin.app_name else self.house.running.client

    async def hire(self, email: str, *roles: str) -> dict:
        body = {"email": email, "password": PASSWORD, "roles": list(roles)}
        return (await self.admin.post(self.path, body)).require(201).data

    async def me(self) -> dict:
        return next(row for row in (await self.admin.get(self.path)).data if self.role in row["roles"])


@pytest.fixture(params=["app", "platform"])
async def office(request: pytest.FixtureRequest, house: House) -> Office:
    if request.param == "app":
        return Office(house, house.admin, "_admin/users", "admin")
    return Office(house, house.platform, "/api/_platform/users", "platform_admin")


async def test_a_user_is_made_shown_changed_and_removed(office, clock):
    body = {"email": " Ann@Example.COM ", "password": PASSWORD, "roles": ["Clerk", "buyer"], "active": False, "x": 1}
    made = (await office.admin.post(office.path, body)).require(201).data
    assert list(made) == KEYS
    assert (made["email"], made["roles"], made["active"]) == ("ann@example.com", ["Clerk", "buyer"], False)
    assert made["must_change_password"] is False
    path = f"{office.path}/{made['id']}"
    assert (await office.admin.get(path)).data == made
    assert (await office.admin.get(path.upper() if office.admin.app_name is None else path)).status in (200, 404)

    clock.advance(seconds=5)
    changed = (await office.admin.put(path, {"email": "ANN@example.org"})).require(200).data
    assert changed == {**made, "email": "ann@example.org", "updated_at": changed["updated_at"]}
    assert changed["updated_at"] > made["updated_at"]
    everything = {"email": "ann@example.org", "roles": [], "active": True, "password": "battery staple"}
    changed = (await office.admin.put(path, everything)).require(200).data
    assert (changed["roles"], changed["active"]) == ([], True)
    assert (await login(office.door, "ann@example.org", "battery staple")).status == 200

    assert (await office.admin.delete(path)).json == {"data": {"id": made["id"], "deleted": True}}
    assert_error(await office.admin.get(path), 404, "NOT_FOUND", f"User not found: {made['id']}")
    assert (await login(office.door, "ann@example.org", "battery staple")).status == 401


async def test_the_list_is_ordered_by_address(office):
    for email in ("zoe@example.com", "ann@example.com", "Mia@example.com"):
        await office.hire(email)
    listed = [row["email"] for row in (await office.admin.get(office.path)).data]
    seeded = (await office.me())["email"]
    assert listed == sorted(["ann@example.com", "mia@example.com", "zoe@example.com", seeded])


async def test_roles_left_out(office):
    made = await office.admin.post(office.path, {"email": "ann@example.com", "password": PASSWORD})
    assert made.require(201).data["roles"] == ([] if office.admin.app_name else ["platform_admin"])


@pytest.mark.parametrize("method", ["post", "put"])
async def test_what_is_wrong_with_a_body(office, method):
    user = await office.hire("ann@example.com", "clerk")
    path = office.path if method == "post" else f"{office.path}/{user['id']}"
    good = {"email": "bob@example.com", "password": PASSWORD}
    for change, message in (
        ({"email": None}, "email is required"),
        ({"email": ""}, "email is required"),
        ({"email": "  "}, "email is required"),
        ({"email": 7}, "email is required"),
        ({"email": "bob"}, "email is not valid"),
        ({"email": "@example.com"}, "email is not valid"),
        ({"email": "bob@"}, "email is not valid"),
        ({"email": "b ob@example.com"}, "email is not valid"),
        ({"email": "bob@exam\nple.com"}, "email is not valid"),
        ({"email": "bob@a@b"}, "email is not valid"),
        ({"email": "b" * 250 + "@example.com"}, "email is not valid"),
        ({"password": "seven77"}, "password must be 8 to 72 bytes"),
        ({"password": "x" * 73}, "password must be 8 to 72 bytes"),
        ({"password": "ü" * 37}, "password must be 8 to 72 bytes"),
        ({"password": "nul \x00 inside"}, "password must be 8 to 72 bytes"),
        ({"password": 12345678}, "password must be 8 to 72 bytes"),
        ({"roles": "admin"}, "roles must be a list of strings"),
        ({"roles": {"admin": True}}, "roles must be a list of strings"),
        ({"roles": ["admin", 7]}, "roles must be a list of strings"),
        ({"roles": [["admin"]]}, "roles must be a list of strings"),
        ({"active": "yes"}, "active must be true or false"),
        ({"active": 1}, "active must be true or false"),
    ):
        answer = await getattr(office.admin, method)(path, {**good, **change})
        assert_error(answer, 422, "VALIDATION_FAILED", message)
    for change in ({"email": "bob\x00@example.com"}, {"roles": ["\x00"]}):
        assert_error(await getattr(office.admin, method)(path, {**good, **change}), 400, "INVALID_PAYLOAD")
    assert (await office.admin.get(f"{office.path}/{user['id']}")).data == user
    assert len((await office.admin.get(office.path)).data) == 2


async def test_a_password_is_required_to_make_but_not_to_change(office):
    for password in ({}, {"password": ""}, {"password": None}):
        answer = await office.admin.post(office.path, {"email": "ann@example.com", **password})
        assert_error(answer, 422, "VALIDATION_FAILED", "password is required")
    user = await office.hire("ann@example.com", "clerk")
    ann = await signed_in(office.door, "ann@example.com", PASSWORD)
    for password in ({}, {"password": ""}, {"password": None}):
        body = {"email": "ann@example.com", **password}
        (await office.admin.put(f"{office.path}/{user['id']}", body)).require(200)
    assert (await ann.get("auth/me" if office.admin.app_name else "/api/_platform/auth/me")).status == 200


async def test_an_address_is_there_once(office):
    user = await office.hire("ann@example.com")
    other = await office.hire("bob@example.com")
    for email in ("ann@example.com", "ANN@EXAMPLE.COM "):
        body = {"email": email, "password": PASSWORD}
        assert_error(await office.admin.post(office.path, body), 409, "CONFLICT", EXISTS)
        assert_error(await office.admin.put(f"{office.path}/{other['id']}", body), 409, "CONFLICT", EXISTS)
        assert (await office.admin.put(f"{office.path}/{user['id']}", body)).status == 200
    body = {"email": "new@example.com", "password": PASSWORD}
    answers = await asyncio.gather(*(office.admin.post(office.path, body) for _ in range(8)))
    assert sorted(answer.status for answer in answers) == [201] + [409] * 7


async def test_users_that_are_not_there(office):
    for key in (NOBODY, "7", "x" * 500, "%00", "' OR 1=1"):
        for answer in (
            await office.admin.get(f"{office.path}/{key}"),
            await office.admin.put(f"{office.path}/{key}", {}),
            await office.admin.delete(f"{office.path}/{key}"),
        ):
            assert_error(answer, 404, "NOT_FOUND")
            assert answer.error["message"].startswith("User not found: ")


async def test_the_last_active_admin_stays(office):
    me = await office.me()
    path, email = f"{office.path}/{me['id']}", me["email"]
    await office.hire("clerk@example.com", "clerk")
    disabled = await office.hire("ann@example.com", office.role.upper())
    off = {"email": "ann@example.com", "active": False}
    (await office.admin.put(f"{office.path}/{disabled['id']}", off)).require(200)
    for attempt in (
        await office.admin.delete(path),
        await office.admin.put(path, {"email": email, "roles": []}),
        await office.admin.put(path, {"email": email, "roles": ["clerk"]}),
        await office.admin.put(path, {"email": email, "active": False}),
    ):
        assert_error(attempt, 409, "CONFLICT", LAST)
    assert (await office.admin.put(path, {"email": email, "roles": [office.role.title()]})).status == 200
    on = {"email": "ann@example.com", "active": True}
    (await office.admin.put(f"{office.path}/{disabled['id']}", on)).require(200)
    assert (await office.admin.delete(path)).status == 200


async def test_admins_who_demote_each_other_leave_one(office, start_kernel):
    other = await start_kernel([QuickAuth])
    ann, bob = await office.hire("ann@example.com", office.role), await office.hire("bob@example.com", office.role)
    me = await office.me()
    by_ann, by_bob = [await signed_in(office.door, row["email"], PASSWORD) for row in (ann, bob)]
    by_bob = Client(other.kernel, other.quart, by_bob.app_name, by_bob.headers)
    seeded = next(row for row in (await office.admin.get(office.path)).data if row["email"].endswith("@localhost"))
    (await office.admin.delete(f"{office.path}/{seeded['id']}")).require(200)
    assert me["id"]
    for _ in range(5):
        answers = await asyncio.gather(
            by_ann.put(f"{office.path}/{bob['id']}", {"email": bob["email"], "roles": []}),
            by_bob.put(f"{office.path}/{ann['id']}", {"email": ann["email"], "active": False}),
        )
        statuses = sorted(answer.status for answer in answers)
        # Whoever comes second was demoted before the request began, or is refused by what protects the last.
        assert statuses[0] == 200
        assert statuses[1] in (401, 403, 409)
        winner, loser, lost = (by_ann, bob, "roles") if answers[0].status == 200 else (by_bob, ann, "active")
        back = {"roles": [office.role]} if lost == "roles" else {"active": True}
        (await winner.put(f"{office.path}/{loser['id']}", {"email": loser["email"], **back})).require(200)


async def test_only_administrators_manage_users(office):
    await office.hire("ann@example.com", "clerk")
    ann = await signed_in(office.door, "ann@example.com", PASSWORD)
    assert_error(await ann.get(office.path), 403, "FORBIDDEN", "Admin access required")
    assert_error(await office.door.get(office.path), 401, "UNAUTHORIZED", "Missing auth token")
