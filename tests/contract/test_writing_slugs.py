"""Slugs: contract §4.5."""

import asyncio
import re

import pytest

from rocket_kernel.testing import assert_error, entity, one_to_many

POST = entity(
    "post", {"slug": {"field": "slug", "source": "title"}}, title="string", slug="string! unique", text="string"
)
FOLLOWING = {"slug": {"field": "slug", "source": "title", "regenerate_on_update": True}}
PAGE = entity("page", FOLLOWING, title="string", slug="string unique", text="string")


async def slugs(client, name="post"):
    return sorted(row["slug"] for row in (await client.get(f"{name}?per_page=200")).data)


async def test_the_source_becomes_a_slug(client):
    await client.define(POST)
    for title, slug in (
        ("Hello World", "hello-world"),
        ("  --Bye,\t\n World!--  ", "bye-world"),
        ("Ünïcödé Ångström Ñandú", "unicode-angstrom-nandu"),
        ("İstanbul", "istanbul"),
        ("e\u0301te\u0301", "ete"),
        ("Straße Ærø", "stra-e-r"),
        ("ﬁne ²", "ne"),
        ("100% true_story", "100-true-story"),
        ("a'b\"c;--", "a-b-c"),
        ("C++", "c"),
    ):
        made = await client.create("post", {"title": title})
        assert made == {"id": made["id"], "title": title, "slug": slug, "text": None}
        assert (await client.get(f"post/{slug}")).data == made


async def test_of_nothing_a_random_slug_is_made(client):
    await client.define(POST)
    bodies = [{"title": title} for title in ("", None, "日本語", "日本語", "!?", "— ²")]
    made = [await client.create("post", body) for body in (*bodies, {})]
    assert [row["slug"] for row in made if not re.fullmatch("[a-z0-9]{8}", row["slug"])] == []
    assert len({row["slug"] for row in made}) == len(made)


async def test_a_source_of_another_type_counts_by_its_text(client):
    for name, type in (("whole", "int"), ("exact", "decimal:2"), ("flag", "boolean"), ("big", "bigint")):
        slug = {"slug": {"field": "slug", "source": "value"}}
        await client.define(entity(name, slug, value=type, slug="text unique"))
    assert (await client.create("whole", {"value": -42}))["slug"] == "42"
    assert (await client.create("exact", {"value": "12.5"}))["slug"] == "12-50"
    assert (await client.create("flag", {"value": 1}))["slug"] == "true"
    assert (await client.create("big", {"value": 7}))["slug"] == "7"


async def test_a_slug_that_is_brought_stays_as_it_is(client):
    await client.define(POST)
    own = await client.create("post", {"title": "Hello", "slug": "My Slug/Ü"})
    assert own["slug"] == "My Slug/Ü"
    for nothing in ("", None):
        await client.create("post", {"title": "Hello", "slug": nothing})
    assert await slugs(client) == ["My Slug/Ü", "hello", "hello-2"]
    taken = {"field": "slug", "rule": "unique", "message": "slug already exists"}
    answer = await client.post("post", {"title": "other", "slug": "hello"})
    assert_error(answer, 409, "CONFLICT", "A record with this value already exists", [taken])
    assert await slugs(client) == ["My Slug/Ü", "hello", "hello-2"]


async def test_without_a_source_nothing_is_made_up(client):
    options = {"slug": {"field": "slug"}}
    await client.define(
        entity("loose", options, title="string", slug="string unique"),
        entity("strict", options, title="string", slug="string! unique"),
    )
    assert (await client.create("loose", {"title": "Hello"}))["slug"] is None
    missing = {"field": "slug", "rule": "required", "message": "slug is required"}
    assert_error(await client.post("strict", {"title": "x"}), 422, "VALIDATION_FAILED", "Validation failed", [missing])


async def test_slugs_in_use_are_counted_on(client):
    await client.define(POST)
    for _ in range(3):
        await client.create("post", {"title": "A"})
    await client.create("post", {"title": "A 4"})
    await client.create("post", {"title": "a!"})
    assert await slugs(client) == ["a", "a-2", "a-3", "a-4", "a-5"]
    (await client.delete("post/a-2")).require(200)
    assert (await client.create("post", {"title": "A"}))["slug"] == "a-2"
    # Case and other rows' longer slugs do not matter.
    assert (await client.create("post", {"title": "A", "slug": "A-6"}))["slug"] == "A-6"
    assert (await client.create("post", {"title": "A"}))["slug"] == "a-6"


async def test_the_slug_of_a_deleted_row_is_free_again(client):
    await client.define(
        entity("post", {"slug": POST["slug"], "soft_delete": True}, title="string", slug="string unique")
    )
    first = await client.create("post", {"title": "A"})
    (await client.delete("post/a")).require(200)
    second = await client.create("post", {"title": "A"})
    assert second["slug"] == "a"
    assert (await client.get("post")).data == [second]
    assert second["id"] != first["id"]


async def test_siblings_of_one_request_get_slugs_of_their_own_and_random_ones_after_a_hundred(client):
    await client.define(
        entity("blog", name="string"),
        entity("post", {"slug": POST["slug"]}, title="string", slug="string unique", blog_id="uuid"),
    )
    await client.relate(one_to_many("posts", "blog", "post"))
    await client.create("post", {"title": "Same"})
    await client.create("blog", {"posts": [{"title": "Same"} for _ in range(101)]})
    found = await slugs(client)
    counted = {"same", *(f"same-{number}" for number in range(2, 101))}
    assert counted < set(found)
    rest = set(found) - counted
    assert len(found) == 102
    assert len(rest) == 2
    assert all(re.fullmatch("same-[a-z0-9]{6}", slug) for slug in rest)


async def test_an_update_leaves_the_slug_alone(client):
    await client.define(POST)
    made = await client.create("post", {"title": "A"})
    changed = (await client.put("post/a", {"title": "B"})).require(200).data
    assert changed == {**made, "title": "B"}
    assert (await client.put("post/a", {"slug": "own"})).require(200).data["slug"] == "own"
    missing = {"field": "slug", "rule": "required", "message": "slug is required"}
    for nothing in (None, ""):
        answer = await client.put("post/own", {"slug": nothing, "title": "C"})
        assert_error(answer, 422, "VALIDATION_FAILED", "Validation failed", [missing])
    assert (await client.get("post/own")).data["title"] == "B"


async def test_a_slug_that_follows_its_source(client):
    await client.define(PAGE)
    await client.create("page", {"title": "B"})
    made = await client.create("page", {"title": "A"})
    page = f"page/{made['id']}"
    for body, slug in (
        ({"text": "new"}, "a"),
        ({"title": "A"}, "a"),
        ({"title": "A!"}, "a"),  # the row's own slug is not in its way
        ({"title": "B"}, "b-2"),
        ({"title": "C", "slug": "own"}, "own"),
        ({"title": "C", "text": "again"}, "own"),
        ({"title": "D", "slug": ""}, "d"),
        ({"title": "E", "slug": None}, "e"),
    ):
        assert (await client.put(page, body)).require(200).data["slug"] == slug, body
    assert re.fullmatch("[a-z0-9]{8}", (await client.put(page, {"title": None})).require(200).data["slug"])
    # Without a changed source there is nothing to fill from.
    assert (await client.put(page, {"slug": None})).require(200).data["slug"] is None


@pytest.mark.parametrize("definition", [POST, PAGE], ids=["fixed", "following"])
async def test_races_for_one_slug_are_all_won(client, definition):
    name = definition["name"]
    await client.define(definition)
    answers = await asyncio.gather(*(client.post(name, {"title": "Same"}) for _ in range(6)))
    assert [answer.status for answer in answers] == [201] * 6
    found = await slugs(client, name)
    # A lost race moves on to the next candidate.
    assert found == ["same", *(f"same-{number}" for number in range(2, 7))]
    assert sorted(answer.data["slug"] for answer in answers) == found


async def test_a_race_of_updates_is_won_too(client):
    await client.define(PAGE)
    made = [await client.create("page", {"title": f"t{number}"}) for number in range(4)]
    answers = await asyncio.gather(*(client.put(f"page/{row['id']}", {"title": "Same"}) for row in made))
    assert [answer.status for answer in answers] == [200] * 4
    assert await slugs(client, "page") == ["same", "same-2", "same-3", "same-4"]


async def test_a_race_for_another_unique_value_is_lost_all_the_same(client):
    await client.define(entity("post", {"slug": POST["slug"]}, title="string", slug="string unique", code="int unique"))
    answers = await asyncio.gather(*(client.post("post", {"title": "Same", "code": 1}) for _ in range(3)))
    assert sorted(answer.status for answer in answers) == [201, 409, 409]
    taken = {"field": "code", "rule": "unique", "message": "code already exists"}
    refused = next(answer for answer in answers if answer.status == 409)
    assert_error(refused, 409, "CONFLICT", "A record with this value already exists", [taken])
    assert await slugs(client) == ["same"]


async def test_records_are_changed_and_deleted_by_slug(client):
    await client.define(
        POST, entity("numbered", {"slug": POST["slug"]}, id="int", title="string", slug="string unique")
    )
    made = await client.create("post", {"title": "A"})
    other = await client.create("post", {"title": "B", "slug": made["id"]})
    assert (await client.put("post/a", {"text": "x"})).require(200).data == {**made, "text": "x"}
    # What looks like a key is a key, whoever bears it as a slug.
    assert (await client.patch(f"post/{made['id']}", {"text": "y"})).require(200).data == {**made, "text": "y"}
    assert (await client.delete("post/a")).require(200).data == {"id": "a"}
    assert_error(await client.delete("post/a"), 404, "NOT_FOUND", "post with id a not found")
    assert (await client.get("post")).data == [other]


async def test_a_very_long_title(client):
    await client.define(POST)
    first = await client.create("post", {"title": "ab " * 4000})
    second = await client.create("post", {"title": "ab " * 4000})
    assert first["slug"].startswith("ab-ab-")
    assert second["slug"] == f"{first['slug']}-2"
    assert (await client.get(f"post/{second['slug']}")).data == second
