import pytest

from rocket_kernel.testing import Actors, entity, one_to_many
from rocket_slugtrail import SlugtrailPlugin


def with_slug(name, options=None, /, **fields):
    slug = {"slug": {"field": "slug", "source": "title", "regenerate_on_update": True}}
    return entity(name, {**slug, **(options or {})}, title="string", slug="string unique", **fields)


@pytest.fixture
def define():
    return with_slug


@pytest.fixture
async def running(start_kernel):
    return await start_kernel([SlugtrailPlugin, Actors])


@pytest.fixture
async def client(running):
    client = await running.client.app("shop")
    await client.define(
        with_slug("article", text="string", section_id="uuid"),
        with_slug("section"),
        entity("note", title="string"),
    )
    await client.relate(one_to_many("articles", "section", "article", on_delete="cascade"))
    return client


@pytest.fixture
def leads(client):
    """A function: where a path of the app leads, its status and the Location without the app's part."""

    async def ask(path, caller=None):
        answer = await (caller or client).get(path)
        return answer.status, answer.headers.get("Location", "").removeprefix("/api/shop/")

    return ask
