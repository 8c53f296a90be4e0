from dataclasses import replace

import pytest

from rocket_kernel import Actor
from rocket_kernel.testing import Actors, entity, one_to_many
from rocket_quota import QuotaPlugin

SETTINGS = {"roles": {"clerk": 3, "lead": 5, "guest": 0}, "window_s": 60}


def actor(id, *roles, **more):
    return Actor(id=id, email=f"{id}@x.example", roles=frozenset(roles), **more)


@pytest.fixture
def start(start_kernel):
    """A function: a client of a new app with these settings over the usual ones."""

    async def started(*plugins, **settings):
        running = await start_kernel([QuotaPlugin, Actors, *plugins], settings={"quota": {**SETTINGS, **settings}})
        client = await running.client.app("shop")
        await client.define(entity("order", title="string! unique"), entity("line", order_id="uuid", n="int"))
        await client.relate(one_to_many("lines", "order", "line", on_delete="cascade"))
        return client

    return started


@pytest.fixture
async def client(start):
    return await start()


@pytest.fixture
def clerk(client):
    return client.as_actor(actor("c", "clerk"))


@pytest.fixture
def as_platform(client):
    return client.as_actor(replace(actor("c", "clerk"), platform=True))
