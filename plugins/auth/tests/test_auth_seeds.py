"""The first users, and the watch over their well-known password (contract §10.3)."""

from __future__ import annotations

import asyncio

import pytest

from rocket_auth.testing import ADMIN, PLATFORM, QuickAuth, login, signed_in
from rocket_kernel import Listening, StartupError
from rocket_kernel.serving.address import Address

BEYOND = {"server.host": "0.0.0.0"}


async def listening(house, ip, *, allowed=False):
    kernel = house.running.kernel
    await kernel.parts.plugins.notify(
        "on_listening", kernel=kernel, listening=Listening(Address(ip, 80), allow_default_passwords=allowed)
    )


async def test_the_first_users_must_change_their_passwords(house):
    for client, path, email, role in (
        (house.platform, "/api/_platform/users", PLATFORM["email"], "platform_admin"),
        (house.admin, "_admin/users", ADMIN["email"], "admin"),
    ):
        (row,) = (await client.get(path)).data
        assert (row["email"], row["roles"], row["active"], row["must_change_password"]) == (email, [role], True, True)


async def test_the_environment_gives_the_first_passwords(start_kernel, monkeypatch):
    monkeypatch.setenv("ROCKET_PLATFORM_PASSWORD", "platform pass")
    monkeypatch.setenv("ROCKET_ADMIN_PASSWORD", "shop pass")
    running = await start_kernel([QuickAuth], config=BEYOND)
    platform = await signed_in(running.client, PLATFORM["email"], "platform pass")
    made = (await platform.post("/api/_platform/apps", {"name": "shop"})).require(201)
    assert "admin_password" not in made.data
    answer = (await login(running.client.in_app("shop"), ADMIN["email"], "shop pass")).require(200)
    assert answer.data["must_change_password"] is False


@pytest.mark.parametrize("variable", ["ROCKET_PLATFORM_PASSWORD", "ROCKET_ADMIN_PASSWORD"])
async def test_a_first_password_that_is_not_allowed_stops_the_start(start_kernel, monkeypatch, variable):
    monkeypatch.setenv(variable, "short")
    with pytest.raises(StartupError, match=f"^{variable}: password must be 8 to 72 bytes$"):
        await start_kernel([QuickAuth])


async def test_nobody_is_seeded_beside_others(house, start_kernel):
    users = "/api/_platform/users"
    body = {"email": "ann@example.com", "password": "correct horse"}
    (await house.platform.post(users, body)).require(201)
    ann = await signed_in(house.running.client, "ann@example.com", "correct horse")
    seeded = next(row for row in (await ann.get(users)).data if row["email"] == PLATFORM["email"])
    (await ann.delete(f"{users}/{seeded['id']}")).require(200)
    other = await start_kernel([QuickAuth])
    assert (await login(other.client, **PLATFORM)).status == 401
    assert [row["email"] for row in (await ann.get(users)).data] == ["ann@example.com"]


async def test_processes_share_the_platform_secret(house, start_kernel):
    other = await start_kernel([QuickAuth])
    there = other.client.with_headers(house.platform.headers)
    assert (await there.get("/api/_platform/auth/me")).status == 200


async def test_processes_that_start_at_once_seed_one_user(start_kernel):
    kernels = await asyncio.gather(*(start_kernel([QuickAuth]) for _ in range(3)))
    platform = await signed_in(kernels[0].client, **PLATFORM)
    for running in kernels:
        there = running.client.with_headers(platform.headers)
        assert len((await there.get("/api/_platform/users")).require(200).data) == 1


async def test_a_configured_platform_secret_replaces_the_generated_one(house, start_kernel):
    other = await start_kernel([QuickAuth], config={"platform_jwt_secret": "s" * 32})
    assert (await other.client.with_headers(house.platform.headers).get("/api/_platform/auth/me")).status == 401
    there = await signed_in(other.client, **PLATFORM)
    assert (await there.get("/api/_platform/auth/me")).status == 200
    with pytest.raises(StartupError, match=r"^platform_jwt_secret must have at least 32 bytes$"):
        await start_kernel([QuickAuth], config={"platform_jwt_secret": "s" * 31})


async def test_nobody_listens_beyond_loopback_with_default_passwords(house):
    names = r"platform@localhost \(platform\), admin@localhost \(app shop\)"
    with pytest.raises(StartupError, match=names):
        await listening(house, "0.0.0.0")
    with pytest.raises(StartupError, match=names):
        await listening(house, "2001:db8::1")
    await listening(house, "127.0.0.1")
    await listening(house, "::1")
    await listening(house, "0.0.0.0", allowed=True)


async def test_what_lets_a_server_listen(house):
    body = {"email": "ann@example.com", "password": "correct horse", "roles": ["admin"]}
    (await house.admin.post("_admin/users", body)).require(201)
    ann = await signed_in(house.stranger, "ann@example.com", "correct horse")
    (admin, _) = (await ann.get("_admin/users")).data
    off = {"email": admin["email"], "active": False}
    (await ann.put(f"_admin/users/{admin['id']}", off)).require(200)
    with pytest.raises(StartupError, match=r"default password: platform@localhost \(platform\)\. Change"):
        await listening(house, "0.0.0.0")
    change = {"current_password": "changeme", "new_password": "correct horse"}
    (await house.platform.post("/api/_platform/auth/change-password", change)).require(200)
    await listening(house, "0.0.0.0")
    (await ann.put(f"_admin/users/{admin['id']}", {"email": admin["email"], "active": True})).require(200)
    with pytest.raises(StartupError, match=r"default password: admin@localhost \(app shop\)\. Change"):
        await listening(house, "0.0.0.0")
    set_anew = {"email": "ann@example.com", "password": "changeme"}
    (await ann.put(f"_admin/users/{admin['id']}", {"email": admin["email"], "active": False})).require(200)
    (await ann.put(f"_admin/users/{(await house_row(house))['id']}", set_anew)).require(200)
    with pytest.raises(StartupError, match=r"ann@example\.com \(app shop\)"):
        await listening(house, "0.0.0.0")


async def house_row(house):
    platform = await signed_in(house.running.client, PLATFORM["email"], "correct horse")
    rows = (await platform.in_app("shop").get("_admin/users")).data
    return next(row for row in rows if row["email"] == "ann@example.com")


async def test_a_server_beyond_loopback_makes_up_the_password_of_a_new_app(start_kernel):
    running = await start_kernel([QuickAuth], config=BEYOND)
    platform = await signed_in(running.client, **PLATFORM)
    made = (await platform.post("/api/_platform/apps", {"name": "shop"})).require(201).data
    assert list(made)[-1] == "admin_password"
    assert len(made["admin_password"]) >= 20
    assert "admin_password" not in (await platform.get("/api/_platform/apps/shop")).data
    shop = running.client.in_app("shop")
    assert (await login(shop, **ADMIN)).status == 401
    answer = (await login(shop, ADMIN["email"], made["admin_password"])).require(200)
    assert answer.data["must_change_password"] is False
    mall = (await platform.post("/api/_platform/apps", {"name": "mall"})).require(201).data
    assert mall["admin_password"] != made["admin_password"]


async def test_a_server_on_loopback_says_nothing_of_the_default_password(house):
    made = (await house.platform.post("/api/_platform/apps", {"name": "mall"})).require(201)
    assert "admin_password" not in made.data
    assert (await login(house.stranger.in_app("mall"), **ADMIN)).status == 200


async def test_an_app_from_before_the_plugin_opens_to_platform_administrators(start_kernel):
    bare = await start_kernel([])
    await bare.client.app("old")
    running = await start_kernel([QuickAuth])
    platform = (await signed_in(running.client, **PLATFORM)).in_app("old")
    assert (await platform.get("_admin/users")).data == []
    body = {"email": "ann@example.com", "password": "correct horse", "roles": ["admin"]}
    (await platform.post("_admin/users", body)).require(201)
    assert (await login(running.client.in_app("old"), "ann@example.com", "correct horse")).status == 200
