"""`rocket users`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Protocol, cast

import click

from rocket_auth.accounts import is_email, normal_email
from rocket_auth.passwords import Passwords, require_allowed
from rocket_auth.realm import AppRealm, Realm, Realms
from rocket_auth.sign_in import set_password
from rocket_kernel import (
    ConfigError,
    Kernel,
    NotFound,
    configuration_options,
    make_kernel,
    read_config,
    timestamp_text,
    work,
)


class Auth(Protocol):
    """What the plugin itself is to its commands, which it imports."""

    realms: Realms
    passwords: Passwords


@click.group()
def users() -> None:
    """Change users without a server."""


@users.command("set-password")
@click.argument("email")
@click.option("--app", metavar="NAME", help="App whose user it is; a user of the platform otherwise.")
@configuration_options
def set_password_command(email: str, app: str | None, config_path: Path | None, data_dir: str | None) -> None:
    """Give a user a new password and end all sessions of that user.

    The password is asked for, or read from standard input.
    """
    kernel = make_kernel(read_config(config_path, data_dir))
    auth = _enabled(kernel)
    password = require_allowed(_ask())

    async def change(kernel: Kernel) -> None:
        realm = auth.realms.platform if app is None else AppRealm(await kernel.apps.app(app))
        await change_password(realm, auth.passwords, normal_email(email), password, _now(kernel))

    work(kernel, change)
    click.echo(f"Password changed: {normal_email(email)}")


async def change_password(realm: Realm, passwords: Passwords, email: str, password: str, now: str) -> None:
    """Raises NotFound."""
    hashed = await passwords.hash(password)
    async with realm.writing() as tx:
        await realm.users_change(tx)
        row = await realm.tables.users.first(tx, {"email": email}, lock=True) if is_email(email) else None
        if row is None:
            raise NotFound(f"User not found: {email}")
        await set_password(realm, tx, row["id"], password, hashed, now)


def _enabled(kernel: Kernel) -> Auth:
    """Raises ConfigError."""
    plugin = kernel.parts.plugins.find("auth")
    if plugin is None:
        raise ConfigError("the plugin auth is not enabled")
    return cast("Auth", plugin)


def _now(kernel: Kernel) -> str:
    return timestamp_text(kernel.parts.clock.now())


def is_person() -> bool:
    return sys.stdin.isatty()


def _ask() -> str:
    if is_person():
        answer: str = click.prompt("New password", hide_input=True, confirmation_prompt=True)
        return answer
    return sys.stdin.readline().removesuffix("\n").removesuffix("\r")
