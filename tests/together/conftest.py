"""The kernel with every plugin that is installed, and an example that was imported into a new app."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from rocket_auth.testing import ADMIN, PLATFORM, SECRET, QuickAuth, signed_in
from rocket_kernel.plugins import Plugin, installed_plugins
from rocket_kernel.testing import Answer, Client, Receiver, RunningKernel, StartKernel

EXAMPLES = Path(__file__).parents[2] / "examples"
SETTINGS = {"webhooks": {"allow_addresses": ["127.0.0.0/8"]}}
PATIENCE_S = 20


def all_plugins() -> list[type[Plugin]]:
    """Those of the contract, with passwords that cost little."""
    return [QuickAuth if plugin.name == "auth" else plugin for plugin in installed_plugins()]


@dataclass(slots=True)
class Site:
    """An example in an app, and the outside world that its webhooks talk to."""

    running: RunningKernel
    admin: Client
    receiver: Receiver
    document: Mapping[str, Any]

    async def person(self, name: str, *roles: str) -> Client:
        """A new user of the app, signed in, with the address `name@example.com`."""
        email = f"{name}@example.com"
        await self.admin.create("_admin/users", {"email": email, "password": SECRET, "roles": list(roles)})
        return await signed_in(self.running.client.in_app(str(self.admin.app_name)), email, SECRET)

    async def pending(self, client: Client, workflow: str) -> dict[str, Any]:
        """The approval that waits for this caller, once there is one."""

        async def look() -> dict[str, Any] | None:
            found = (await client.get("_workflows/pending")).require(200).data
            return next((instance for instance in found if instance["workflow_name"] == workflow), None)

        return await self.eventually(look)

    async def value(self, path: str, field: str, expected: object) -> dict[str, Any]:
        """The record at a path, once a field of it has the value, as the administrator sees it."""

        async def look() -> dict[str, Any] | None:
            record: dict[str, Any] = (await self.admin.get(path)).require(200).data
            return record if record[field] == expected else None

        return await self.eventually(look)

    async def called(self, path: str, **members: object) -> dict[str, Any]:
        """The body that a webhook has sent to a path, whose record has these members."""

        async def look() -> dict[str, Any] | None:
            for request in self.receiver.requests:
                if request.path == path and request.json["record"].items() >= members.items():
                    return dict(request.json)
            return None

        return await self.eventually(look)

    async def eventually(self, look: Callable[[], Awaitable[dict[str, Any] | None]]) -> dict[str, Any]:
        """What comes of it when it is no longer None: workflows and deliveries go on behind the answer."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            found = await look()
            if found is not None:
                return found
            await asyncio.sleep(0.02)
        instances = (await self.admin.get("_workflows")).data
        logs = (await self.admin.get("_admin/webhook-logs")).data
        raise AssertionError(f"waited in vain; workflows: {instances}; deliveries: {logs}")


def redirected(document: Mapping[str, Any], address: str) -> dict[str, Any]:
    """The document with its webhooks, all in force, sent to another server: the host becomes the first segment."""
    changed = deepcopy(dict(document))
    for webhook in changed["webhooks"]:
        webhook |= {"url": webhook["url"].replace("https://", f"{address}/"), "active": True}
    return changed


@pytest.fixture(scope="session")
def read_example() -> Callable[[str], dict[str, Any]]:
    return lambda name: json.loads((EXAMPLES / name / "document.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def every_plugin() -> list[type[Plugin]]:
    return all_plugins()


OpenSite = Callable[[str], Awaitable[Site]]


@pytest.fixture
def open_app(start_kernel: StartKernel) -> Callable[..., Awaitable[Any]]:
    """Starts the kernel; gives it, and a function that makes apps and signs their administrators in."""

    async def start() -> tuple[RunningKernel, Callable[[str], Awaitable[Client]]]:
        running = await start_kernel(all_plugins(), settings=SETTINGS)
        platform = await signed_in(running.client, **PLATFORM)

        async def make(name: str) -> Client:
            await platform.app(name)
            return await signed_in(running.client.in_app(name), **ADMIN)

        return running, make

    return start


@pytest.fixture
def open_site(open_app: Any, receiver: Receiver, read_example: Any) -> OpenSite:
    async def open_one(name: str) -> Site:
        running, make = await open_app()
        admin = await make(name)
        document = redirected(read_example(name), receiver.url)
        imported = (await admin.post("_admin/import", document)).require(200)
        assert "errors" not in imported.data
        return Site(running, admin, receiver, document)

    return open_one


@pytest.fixture(scope="session")
def findings() -> Callable[[Answer], list[tuple[str | None, str]]]:
    """Field and message of each detail of a write that was refused."""

    def read(answer: Answer) -> list[tuple[str | None, str]]:
        answer.require(422)
        return [(detail.get("field"), detail["message"]) for detail in answer.error["details"]]

    return read


@pytest.fixture(scope="session")
def forbidden() -> Callable[[Answer], str]:
    """The message of a 403."""
    return lambda answer: str(answer.require(403).error["message"])


@dataclass(slots=True)
class Canaries:
    """Texts that occur once, by what they are: secrets, and ordinary ones that prove that the search finds things."""

    secrets: dict[str, str] = field(default_factory=dict)
    controls: dict[str, str] = field(default_factory=dict)

    def secret(self, what: str, text: str | None = None) -> str:
        return self.secrets.setdefault(what, text or f"canary-{uuid4().hex}")

    def control(self, what: str) -> str:
        return self.controls.setdefault(what, f"ordinary-{uuid4().hex}")

    def token(self, what: str, token: str) -> str:
        """A signed token is told by its signature; the rest of it many share."""
        self.secret(what, token.rpartition(".")[2])
        return token

    def escaped(self, found: Mapping[str, str]) -> list[str]:
        """Which secrets stand in texts, by the places these are from; with what stands around them."""
        return [
            f"{what} in {place}: …{text[max(0, at - 300) : at + 120]}…"
            for what, canary in self.secrets.items()
            for place, text in found.items()
            if (at := text.find(canary)) >= 0
        ]


@dataclass(slots=True)
class Log:
    lines: list[str] = field(default_factory=list)


@pytest.fixture
def log() -> Iterator[Log]:
    """What every logger there is says, from DEBUG on, with all that a record carries."""
    kept, formatter = Log(), logging.Formatter()

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept.lines.append(f"{record.name}: {formatter.format(record)} {sorted(map(str, vars(record).items()))}")

    root, handler = logging.getLogger(), Keeping()
    loggers = [item for item in logging.Logger.manager.loggerDict.values() if isinstance(item, logging.Logger)]
    before = [(item, item.level, item.propagate) for item in (root, *loggers)]
    for item in loggers:
        item.setLevel(logging.NOTSET)
        item.propagate = True
    root.setLevel(logging.DEBUG)
    root.addHandler(handler)
    yield kept
    root.removeHandler(handler)
    for item, level, propagate in before:
        item.setLevel(level)
        item.propagate = propagate


@pytest.fixture
def canaries() -> Canaries:
    return Canaries()
