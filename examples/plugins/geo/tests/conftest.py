import pytest

from rocket_geo import GeoPlugin
from rocket_kernel import Compare, Plugin, ReadGrant, hookimpl, parse_condition
from rocket_kernel.testing import Actors, entity, one_to_many

HOME = "48.2082,16.3738,50km"
TOWNS = {
    "Vienna": (48.2082, 16.3738),
    "Bratislava": (48.1486, 17.1077),
    "Graz": (47.0707, 15.4395),
    "Suva": (-18.1416, 178.4419),
    "Taveuni": (-16.8, -179.95),
    "North Pole": (90, 0),
    "Almost there": (89.99, 123),
    "South Pole": (-90, -33.5),
    "Null Island": (0, 0),
    "Its antipode": (0, 180),
}


def point(town):
    lat, lng = TOWNS[town]
    return {"lat": lat, "lng": lng}


class AroundHome:
    """A read policy: of places with a location, callers but administrators see those around one place."""

    def __init__(self, condition: Compare) -> None:
        self._near = ReadGrant(condition=condition)

    def grant(self, actor):
        return ReadGrant() if actor.is_admin else self._near


class Fence(Plugin):
    name = "fence"
    version = "1.0"

    @hookimpl
    def compile_read_policy(self, entity, model):
        field = entity.fields.get("location")
        return None if field is None else AroundHome(parse_condition(field, "near", HOME))


@pytest.fixture
async def running(start_kernel):
    return await start_kernel([GeoPlugin, Fence, Actors])


@pytest.fixture
async def client(running):
    client = await running.client.app("shop")
    await client.define(
        entity("country", name="string!"),
        entity("town", name="string!", location="point", country_id="uuid"),
        entity("visit", title="string", town_id="uuid"),
    )
    await client.relate(one_to_many("towns", "country", "town"), one_to_many("visits", "town", "visit"))
    return client


@pytest.fixture
async def towns(client):
    """The towns above, and one nobody knows the place of; ids by name."""
    made = {name: await client.create("town", {"name": name, "location": point(name)}) for name in TOWNS}
    made["Nowhere"] = await client.create("town", {"name": "Nowhere"})
    return {name: town["id"] for name, town in made.items()}
