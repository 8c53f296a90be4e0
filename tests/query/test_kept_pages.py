"""Pages that took long to find are kept until anything is committed, and must not outlive what they show."""

import pytest

from rocket_kernel.query import records
from rocket_kernel.testing import entity

QUERY = "thing?filter[n.gte]=1&sort=-n"


@pytest.fixture(autouse=True)
def _every_page_takes_long(monkeypatch):
    monkeypatch.setattr(records, "_WORTH_KEEPING_S", 0.0)


async def numbers(client, query=QUERY):
    return [row["n"] for row in (await client.get(query)).require(200).data]


async def test_a_page_follows_every_write(client):
    await client.define(entity("thing", n="int", s="string"))
    rows = [await client.create("thing", {"n": n}) for n in (1, 2)]
    for _ in range(3):
        assert await numbers(client) == [2, 1]
    await client.create("thing", {"n": 3})
    assert await numbers(client) == [3, 2, 1]
    await client.put(f"thing/{rows[0]['id']}", {"n": 9})
    assert await numbers(client) == [9, 3, 2]
    await client.delete(f"thing/{rows[1]['id']}")
    assert await numbers(client) == [9, 3]


async def test_what_is_asked_decides_what_is_answered(client):
    await client.define(entity("thing", n="int", s="string"))
    for n in range(5):
        await client.create("thing", {"n": n, "s": str(n)})
    for _ in range(2):
        assert await numbers(client, "thing?filter[n.gte]=1&sort=-n&per_page=2") == [4, 3]
        assert await numbers(client, "thing?filter[n.gte]=1&sort=-n&per_page=2&page=2") == [2, 1]
        assert await numbers(client, "thing?filter[n.gte]=2&sort=n") == [2, 3, 4]
        assert await numbers(client, "thing?filter[n.gte]=0&sort=n&fields=n") == [0, 1, 2, 3, 4]
        assert await numbers(client, "thing?filter[s]=1&sort=n") == [1]
        assert await numbers(client, "thing?filter[n]=1&sort=n") == [1]


async def test_an_answer_does_not_change_the_page_that_is_kept(client):
    await client.define(entity("thing", {"soft_delete": True}, n="int", s="string"))
    await client.create("thing", {"n": 1})
    first, second = [(await client.get(QUERY)).require(200).text for _ in range(2)]
    assert first == second
    assert '"deleted_at"' in first


async def test_only_so_much_is_kept(client, monkeypatch):
    monkeypatch.setattr(records, "_PAGES_KEPT", 3)
    monkeypatch.setattr(records, "_LARGEST_PAGE_BYTES", 500)
    await client.define(entity("thing", n="int", s="string"))
    await client.create("thing", {"n": 1, "s": "x" * 600})
    await client.create("thing", {"n": 9, "s": "y"})
    context = await client.kernel.apps.app(client.app_name)
    for n in range(8):
        assert await numbers(client, f"thing?filter[n.gte]={n % 9 + 2}&sort=-n") == [9]
        assert await numbers(client) == [9, 1]
        assert len(context.registry.pages) <= 3
    assert all(page[1][0]["s"] == "y" and len(page[1]) == 1 for page in context.registry.pages.values())
