"""Where old slugs lead, for whom, and when they lead nowhere."""

from urllib.parse import unquote

import pytest

from rocket_kernel import Actor, Compare, Forbidden, Plugin, ReadGrant, hookimpl
from rocket_kernel.testing import Actors, Scenario, assert_error, entity, transcript
from rocket_slugtrail import SlugtrailPlugin

CLERK = Actor(id="7", email=None, roles=frozenset({"clerk"}))
GUEST = Actor(id="8", email=None, roles=frozenset({"guest"}))
SCENARIOS = [
    Scenario("make", "POST", "article", {"title": "First"}, status=201, keep={"id": "data.id"}),
    Scenario("rename", "PUT", "article/first", {"title": "Second"}, steps=("slugtrail:keep",)),
    Scenario(
        "ask", "GET", "article/first?fields=title", status=308, contains=["/api/shop/article/second?fields=title"]
    ),
    Scenario("follow", "GET", "article/second", contains=['"slug":"second"']),
    Scenario("delete", "DELETE", "article/second", steps=("slugtrail:forget",)),
    Scenario("gone", "GET", "article/first", status=404, error="NOT_FOUND"),
]


class Visibility(Plugin):
    """Guests read nothing; clerks no article whose text says secret, and no slug where it says slugless."""

    name = "visibility"
    version = "1.0"

    @hookimpl
    def compile_read_policy(self, entity, model):
        if entity.name != "article":
            return None
        text, names = entity.fields["text"], frozenset(entity.fields)

        def visible(record):
            return names - {"slug"} if record["text"] == "slugless" else names

        class Policy:
            def grant(self, actor):
                if actor.is_admin:
                    return ReadGrant()
                if "guest" in actor.roles:
                    raise Forbidden("No permission for read on article")
                unnameable = frozenset({"slug"}) if "unnaming" in actor.roles else frozenset()
                return ReadGrant(Compare(text, "neq", "secret"), unnameable, visible)

        return Policy()


async def test_a_renamed_record_is_found_again(client, leads):
    made = await client.create("article", {"title": "First"})
    await client.put("article/first", {"title": "Second"})
    answer = await client.get("article/first?include=&fields=title&x=%C3%A4%20b")
    location = "/api/shop/article/second?include=&fields=title&x=%C3%A4%20b"
    assert (answer.status, answer.headers["Location"]) == (308, location)
    assert answer.data == {"location": location}
    assert (answer.headers["Cache-Control"], answer.headers["X-Content-Type-Options"]) == ("no-store", "nosniff")
    assert (await client.get(location)).data == {"id": made["id"], "title": "Second"}
    head = await client.request("HEAD", "article/first")
    assert (head.status, head.headers["Location"], head.body) == (308, "/api/shop/article/second", b"")


async def test_every_name_of_a_chain_leads_to_the_last(client, leads):
    await client.create("article", {"title": "a"})
    for title in "bcd":
        await client.put(f"article/{chr(ord(title) - 1)}", {"title": title})
    assert [await leads(f"article/{slug}") for slug in "abc"] == [(308, "article/d")] * 3
    assert await leads("article/d") == (200, "")


async def test_a_name_that_is_taken_back(client, leads):
    await client.create("article", {"title": "a"})
    await client.put("article/a", {"title": "b"})
    await client.put("article/b", {"title": "a"})
    assert [await leads(f"article/{slug}") for slug in "ab"] == [(200, ""), (308, "article/a")]


async def test_a_new_record_with_the_slug_wins(client, leads):
    first = await client.create("article", {"title": "a"})
    await client.put("article/a", {"title": "b"})
    second = await client.create("article", {"title": "a"})
    assert (await client.get("article/a")).data["id"] == second["id"]
    await client.put(f"article/{second['id']}", {"title": "c"})
    assert await leads("article/a") == (308, "article/c"), "whoever had it last"
    await client.delete("article/c")
    assert await leads("article/a") == (308, "article/b"), "and then whoever had it before"
    await client.delete(f"article/{first['id']}")
    assert await leads("article/a") == (404, "")


@pytest.mark.parametrize("soft", [True, False])
async def test_deleted_records_are_gone(client, leads, define, soft):
    await client.define(define("page", {"soft_delete": soft}))
    await client.create("page", {"title": "a"})
    await client.put("page/a", {"title": "b"})
    assert await leads("page/a") == (308, "page/b")
    await client.delete("page/b")
    assert_error(await client.get("page/a"), 404, "NOT_FOUND", "page with id a not found")
    await client.create("page", {"title": "b"})
    assert await leads("page/a") == (404, "")


async def test_deleted_with_their_parent(client, leads):
    section = await client.create("section", {"title": "s", "articles": [{"title": "a"}]})
    await client.put("article/a", {"title": "b"})
    assert await leads("article/a") == (308, "article/b")
    await client.delete(f"section/{section['id']}")
    assert await leads("article/a") == (404, "")


async def test_nested_writes(client, leads):
    section = await client.create("section", {"title": "s", "articles": [{"title": "a"}, {"title": "x"}]})
    id = (await client.get("article/a")).data["id"]
    nested = {"articles": [{"id": id, "title": "b"}, {"title": "a"}]}
    (await client.put(f"section/{section['id']}", nested)).require(200)
    assert (await client.get("article/b")).data["id"] == id
    assert await leads("article/a") == (308, "article/b")


async def test_what_is_rolled_back_leaves_no_trail(client, leads):
    await client.create("article", {"title": "a"})
    explained = await client.put("article/a?explain=true", {"title": "b"})
    assert explained.data["would"] == "update"
    await client.create("article", {"title": "taken"})
    refused = await client.put("article/a", {"slug": "taken"})
    assert refused.status == 409
    id = (await client.get("article/a")).data["id"]
    await client.delete(f"article/{id}")
    assert await leads("article/a") == (404, "")


async def test_slugs_that_are_given_and_taken_away(client, leads):
    made = await client.create("article", {"title": "t", "slug": "a"})
    await client.put("article/a", {"slug": "Ä/ö?#%:é"})
    status, location = await leads("article/a?fields=slug")
    assert (status, location) == (308, "article/%C3%84%2F%C3%B6%3F%23%25%3A%C3%A9?fields=slug")
    assert (await client.get(location)).data["slug"] == "Ä/ö?#%:é" == unquote(location[len("article/") :])[:-12]
    await client.put(f"article/{made['id']}", {"slug": ".."})
    assert await leads("article/a") == (308, f"article/{made['id']}"), "a path of dots is another path"
    await client.put(f"article/{made['id']}", {"slug": made["id"].replace("0", "1")})
    assert await leads("article/a") == (308, f"article/{made['id']}"), "that would be taken for a key"


async def test_without_a_source_a_record_can_lose_its_slug(client, leads):
    await client.define(entity("page", {"slug": {"field": "path"}}, id="int", path="string unique"))
    made = await client.create("page", {"path": "home"})
    await client.put(f"page/{made['id']}", {"path": None})
    assert await leads("page/home") == (308, f"page/{made['id']}")
    await client.put(f"page/{made['id']}", {"path": "7"})
    await client.put(f"page/{made['id']}", {"path": "8"})
    assert await leads("page/7") == (404, ""), "digits are a key"
    assert await leads("page/home") == (308, f"page/{made['id']}")


async def test_only_reads_are_redirected(client):
    await client.create("article", {"title": "a"})
    await client.put("article/a", {"title": "b"})
    for method in ("PUT", "PATCH", "DELETE"):
        assert_error(await client.request(method, "article/a", {}), 404, "NOT_FOUND", "article with id a not found")
    for path in ("note/a", "article/b2", "article/%00", "article/a/x", "nothing/a", "_admin/entities/a", "article/ "):
        assert (await client.get(path)).status in (400, 404), path


async def test_an_entity_defined_anew(client, leads, define):
    await client.define(define("page"))
    await client.create("page", {"title": "a"})
    await client.put("page/a", {"title": "b"})
    await client.delete("_admin/entities/page")
    assert await leads("page/a") == (404, "")
    await client.define(define("page"))
    assert await leads("page/a") == (308, "page/b"), "over its own table it has its old rows"
    await client.delete("_admin/entities/page")
    await client.define(define("page", {"table": "other"}))
    assert await leads("page/a") == (404, "")


async def test_imports(client, leads, define):
    await client.create("article", {"title": "a"})
    await client.put("article/a", {"title": "b"})
    document = {"entities": [define("article", text="string", section_id="uuid")]}
    rows = [{"title": "a", "slug": "a"}, {"title": "z", "slug": "z"}]
    (await client.post("_admin/import", {**document, "sample_data": {"article": rows}})).require(200)
    assert await leads("article/a") == (200, "")
    await client.delete("article/a")
    assert await leads("article/a") == (308, "article/b")


async def test_only_the_newest_are_kept(start_kernel, define):
    running = await start_kernel([SlugtrailPlugin], settings={"slugtrail": {"most_per_record": 2, "status": 301}})
    client = await running.client.app("shop")
    await client.define(define("article"))
    id = (await client.create("article", {"title": "a"}))["id"]
    for title in "bcde":
        await client.put(f"article/{id}", {"title": title})
    assert [(await client.get(f"article/{slug}")).status for slug in "abcde"] == [404, 404, 301, 301, 200]


async def test_long_slugs(client, leads):
    await client.create("article", {"title": "t", "slug": "ä" * 1300})
    await client.put(f"article/{'ä' * 1300}", {"slug": "x" * 2600})
    assert await leads(f"article/{'ä' * 1300}") == (308, f"article/{'x' * 2600}")


class TestWhoMayRead:
    @pytest.fixture
    async def running(self, start_kernel):
        return await start_kernel([SlugtrailPlugin, Visibility, Actors])

    async def test_a_record_that_is_hidden_leads_nowhere(self, client, leads):
        clerk = client.as_actor(CLERK)
        made = await client.create("article", {"title": "a", "text": "open"})
        await client.put("article/a", {"title": "b"})
        assert await leads("article/a", clerk) == (308, "article/b")
        await client.put(f"article/{made['id']}", {"text": "secret"})
        assert await leads("article/a") == (308, "article/b")
        hidden, missing = await clerk.get("article/a"), await clerk.get("article/x")
        assert hidden.text.replace("id a", "id x") == missing.text
        assert {name: value for name, value in hidden.headers if name != "x-trace-id"} == {
            name: value for name, value in missing.headers if name != "x-trace-id"
        }

    async def test_a_hidden_record_with_the_slug_changes_nothing(self, client, leads):
        clerk = client.as_actor(CLERK)
        await client.create("article", {"title": "a"})
        await client.put("article/a", {"title": "b", "text": "open"})
        before = await leads("article/a", clerk)
        taker = await client.create("article", {"title": "a", "text": "secret"})
        assert await leads("article/a", clerk) == before == (308, "article/b")
        await client.put(f"article/{taker['id']}", {"title": "c"})
        assert await leads("article/a", clerk) == before
        assert await leads("article/a") == (308, "article/c")

    async def test_a_hidden_slug_is_not_told(self, client, leads):
        await client.create("article", {"title": "a", "text": "slugless"})
        await client.put("article/a", {"title": "b"})
        assert await leads("article/a", client.as_actor(CLERK)) == (404, "")
        unnaming = Actor(id="9", email=None, roles=frozenset({"unnaming"}))
        await client.put("article/b", {"text": "open"})
        assert await leads("article/a", client.as_actor(CLERK)) == (308, "article/b")
        assert await leads("article/a", client.as_actor(unnaming)) == (404, "")

    async def test_who_may_not_read_at_all_is_told_so(self, client):
        await client.create("article", {"title": "a"})
        await client.put("article/a", {"title": "b"})
        refused = await client.as_actor(GUEST).get("article/a")
        assert_error(refused, 403, "FORBIDDEN", "No permission for read on article")


async def test_both_doors_answer_alike(running, client):
    """A function hung into Quart's own request cycle closes the data lane."""
    await client.create("article", {"title": "a"})
    await client.put("article/a", {"title": "b"})
    trace = {"X-Trace-ID": "12345678-90ab-4cde-8f01-234567890abc"}

    async def ask():
        answers = [await client.request(method, "article/a?x=1", headers=trace) for method in ("GET", "HEAD")]
        return [(answer.status, sorted(answer.headers), answer.body) for answer in answers]

    lane = await ask()
    seen = []

    async def look(response):
        seen.append(response.status_code)
        return response

    running.quart.after_request(look)
    assert await ask() == lane
    assert (seen, lane[0][0]) == ([308, 308], 308)


seen = set()


async def test_both_databases_answer_alike(client):
    seen.add(await transcript(client, SCENARIOS))
    assert len(seen) == 1
