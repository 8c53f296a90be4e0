"""Making the app of the demo: its database, its metadata and rows, its people."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rocket_kernel.apps.directory import parse_new_app
from rocket_kernel.demo.example import ADMIN, NAME, PEOPLE, read_document
from rocket_kernel.errors import StartupError
from rocket_kernel.http.app import create_app
from rocket_kernel.kernel import Kernel
from rocket_kernel.transfer.document import parse_document
from rocket_kernel.transfer.importing import import_document

_FIRST_PASSWORDS = ("ROCKET_PLATFORM_PASSWORD", "ROCKET_ADMIN_PASSWORD")


@contextmanager
def first_passwords(password: str) -> Iterator[None]:
    """Users that come with a new database get this password, inside the block."""
    before = {name: os.environ.get(name) for name in _FIRST_PASSWORDS}
    os.environ.update(dict.fromkeys(_FIRST_PASSWORDS, password))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


async def furnish(kernel: Kernel, password: str) -> None:
    """On an open kernel; all or nothing. Everybody gets the password. Raises StartupError when the app is there already."""
    if any(row["name"] == NAME for row in await kernel.apps.rows()):
        raise StartupError(
            f"there is an app {NAME} already: serve it with `rocket serve`, or choose another --data-dir"
        )
    own, servers = kernel.apps.own_driver, kernel.apps.servers
    await kernel.apps.create(parse_new_app({"name": NAME}, own_driver=own, servers=servers, known=kernel.known_drivers))
    try:
        await _load(kernel)
        await _invite(kernel, password)
    except BaseException:
        await kernel.apps.delete(NAME)
        raise


async def _load(kernel: Kernel) -> None:
    context = await kernel.apps.app(NAME)
    outcome = await import_document(context, parse_document(read_document(), kernel.parts.kinds))
    if outcome.errors:
        raise StartupError(f"the example does not fit the plugins that are installed: {'; '.join(outcome.errors)}")


async def _invite(kernel: Kernel, password: str) -> None:
    """Users are a plugin's business, so they are made as every client makes them."""
    admin = await _call(kernel, "auth/login", {"email": ADMIN, "password": password})
    caller = {"Authorization": f"Bearer {admin['access_token']}"}
    for email, role in PEOPLE.items():
        await _call(kernel, "_admin/users", {"email": email, "password": password, "roles": [role]}, caller)


async def _call(
    kernel: Kernel, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> Mapping[str, Any]:
    client = create_app(kernel).test_client(use_cookies=False)
    answer = await client.post(f"/api/{NAME}/{path}", json=body, headers=dict(headers or {}))
    content = await answer.get_json()
    if answer.status_code >= 400:
        raise StartupError(f"the demo cannot be prepared: {content['error']['message']}")
    made: Mapping[str, Any] = content["data"]
    return made
