"""A kernel with webhooks that may call this machine, whose deliveries happen when the test asks for them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from rocket_kernel import Kernel
from rocket_kernel.plugins import Plugin
from rocket_kernel.testing import Actors, Client, FakeClock, Receiver, RunningKernel, StartKernel, entity
from rocket_webhooks import WebhooksPlugin
from rocket_webhooks.dispatcher import Dispatcher

SETTINGS: dict[str, Any] = {"allow_addresses": ["127.0.0.0/8"], "timeout_s": 1.0}


def plugin_of(kernel: Kernel) -> WebhooksPlugin:
    found = kernel.parts.plugins.find("webhooks")
    assert isinstance(found, WebhooksPlugin)
    return found


@dataclass(slots=True, eq=False)
class Shop:
    """An app with webhooks. `deliver` sends everything that is due, and comes back when nothing is under way."""

    running: RunningKernel
    client: Client
    receiver: Receiver
    clock: FakeClock

    @property
    def plugin(self) -> WebhooksPlugin:
        return plugin_of(self.running.kernel)

    @property
    def dispatcher(self) -> Dispatcher:
        found = self.plugin.dispatcher
        assert found is not None
        return found

    async def deliver(self) -> int:
        return await self.dispatcher.run_due()

    async def hook(self, **changes: Any) -> dict[str, Any]:
        """A webhook on `item` that points at the receiver, unless the test says otherwise."""
        body = {"entity": "item", "url": f"{self.receiver.url}/hook", **changes}
        created: dict[str, Any] = await self.client.create("_admin/webhooks", body)
        return created

    async def logs(self, **filters: object) -> list[dict[str, Any]]:
        """Oldest first."""
        listed = (await self.client.get("_admin/webhook-logs", params=filters)).require(200)
        return list(reversed(listed.data))

    async def log(self) -> dict[str, Any]:
        (only,) = await self.logs()
        return only


StartShop = Callable[..., Awaitable[Shop]]


@pytest.fixture
def start_shop(start_kernel: StartKernel, receiver: Receiver, clock: FakeClock) -> StartShop:
    async def start(
        plugins: tuple[type[Plugin], ...] = (),
        *,
        settings: Mapping[str, Any] | None = None,
        own_pace: bool = False,
        app: str | None = "shop",
        **options: Any,
    ) -> Shop:
        running = await start_kernel(
            [WebhooksPlugin, Actors, *plugins], settings={"webhooks": {**SETTINGS, **(settings or {})}}, **options
        )
        dispatcher = plugin_of(running.kernel).dispatcher
        assert dispatcher is not None
        # Answers to requests of tests with a clock of their own come when the test has moved it.
        dispatcher.crew.random = lambda: 0.0
        if not own_pace:
            await dispatcher.pause()
            await running.kernel.jobs.pause()
        client = await running.client.app(app) if app is not None else running.client
        made = Shop(running, client, receiver, clock)
        if app is not None:
            await client.define(entity("item", name="string!", qty="int", price="decimal:2", secret="string"))
        return made

    return start


@pytest.fixture
async def shop(start_shop: StartShop) -> Shop:
    return await start_shop()
