"""`rocket users set-password`, beside a server that runs (contract §18.3)."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from rocket_auth.commands import change_password, users
from rocket_auth.realm import AppRealm
from rocket_auth.testing import ADMIN, PLATFORM, QuickAuth, bearer, login
from rocket_kernel import NotFound
from rocket_kernel.cli import command_line
from rocket_kernel.plugins import load_plugins


async def test_a_new_password_ends_all_sessions(house):
    kernel = house.running.kernel
    plugin = kernel.parts.plugins.find("auth")
    realm = AppRealm(await kernel.apps.app("shop"))
    before = (await house.login(**ADMIN)).data
    await change_password(realm, plugin.passwords, "admin@localhost", "battery staple", "2026-01-01T00:00:00.000Z")
    for headers in (house.admin.headers, bearer(before["access_token"])):
        assert (await house.stranger.get("auth/me", headers=headers)).status == 401
    again = await house.stranger.post("auth/refresh", {"refresh_token": before["refresh_token"]})
    assert again.status == 401
    answer = (await house.login("admin@localhost", "battery staple")).require(200)
    assert answer.data["must_change_password"] is False
    for email in ("ann@example.com", "nobody", "\x00"):
        with pytest.raises(NotFound, match="User not found"):
            await change_password(realm, plugin.passwords, email, "battery staple", "2026-01-01T00:00:00.000Z")


@pytest.fixture
def rocket(tmp_path, rocket_folder, monkeypatch):
    """Runs `rocket` with what the arguments say, on databases of its own, with `input` as standard input."""
    monkeypatch.setattr("rocket_auth.AuthPlugin.hash_cost", 4)
    (tmp_path / "app.yaml").write_text(json.dumps({"plugins": {"enabled": ["auth"]}}))

    def run(*arguments, **options):
        return CliRunner().invoke(command_line(load_plugins([QuickAuth], {})), arguments, prog_name="rocket", **options)

    return run


def test_the_command_reads_the_password_from_standard_input(rocket):
    assert rocket("apps", "create", "shop").exit_code == 0
    for arguments in (["Platform@localhost"], ["--app", "shop", "admin@localhost"]):
        done = rocket("users", "set-password", *arguments, input="battery staple\n")
        assert (done.exit_code, done.output) == (0, f"Password changed: {arguments[-1].lower()}\n")


@pytest.mark.parametrize(
    ("arguments", "given", "said"),
    [
        (["nobody@localhost"], "battery staple\n", "User not found: nobody@localhost"),
        (["--app", "nowhere", "admin@localhost"], "battery staple\n", "App not found: nowhere"),
        (["platform@localhost"], "short\n", "password must be 8 to 72 bytes"),
        (["platform@localhost"], "", "password must be 8 to 72 bytes"),
        (["platform@localhost"], "x" * 73, "password must be 8 to 72 bytes"),
    ],
)
def test_what_the_command_refuses(rocket, arguments, given, said):
    done = rocket("users", "set-password", *arguments, input=given)
    assert done.exit_code == 1
    assert said in done.output


def test_the_command_needs_the_plugin(rocket, tmp_path):
    (tmp_path / "app.yaml").write_text("plugins: {enabled: []}")
    done = rocket("users", "set-password", "platform@localhost", input="battery staple\n")
    assert (done.exit_code, "the plugin auth is not enabled" in done.output) == (1, True)


def test_a_person_is_asked_twice(rocket, monkeypatch):
    monkeypatch.setattr("rocket_auth.commands.is_person", lambda: True)
    done = rocket("users", "set-password", "platform@localhost", input="battery staple\nbattery staple\n")
    assert done.exit_code == 0
    assert "battery" not in done.output
    assert "New password" in done.output


def test_apps_create_shows_a_password_that_was_made_up(rocket, tmp_path):
    config = {"plugins": {"enabled": ["auth"]}, "server": {"host": "0.0.0.0"}}
    (tmp_path / "app.yaml").write_text(json.dumps(config))
    done = rocket("apps", "create", "shop")
    assert done.output.startswith("App created: shop\nadmin_password: ")


def test_the_command_is_described(rocket):
    shown = rocket("users", "set-password", "--help").output
    assert "read from standard input" in shown
    assert set(users.commands) == {"set-password"}


async def test_the_platform_user_is_the_one_without_an_app(house):
    kernel = house.running.kernel
    plugin = kernel.parts.plugins.find("auth")
    now = "2026-01-01T00:00:00.000Z"
    await change_password(plugin.realms.platform, plugin.passwords, PLATFORM["email"], "battery staple", now)
    assert (await login(house.running.client, **PLATFORM)).status == 401
    assert (await login(house.running.client, PLATFORM["email"], "battery staple")).status == 200
    assert (await house.login(**ADMIN)).status == 200
