"""Nested writes of many_to_many relations: contract §5.6."""

import asyncio

import pytest

from rocket_kernel.testing import assert_error, entity, many_to_many, one_to_many

SOME_ID = "12345678-90ab-4cde-8f01-234567890abc"
POST = entity("post", title="string!")
TAG = entity("tag", name="string! unique", color="string enum=red|blue", changed="timestamp auto=update")
TAGS = many_to_many("tags", "post", "tag", "post_tags")
MODES = ("diff", "replace", "append")


class Blog:
    """The tags a to d; the post `own` bears a and b, the post `other` b and c."""

    def __init__(self, client):
        self.client = client

    async def fill(self, tag=TAG, **relation):
        await self.client.define(POST, tag)
        await self.client.relate({**TAGS, **relation})
        rows = [await self.client.create("tag", {"name": name}) for name in "abcd"]
        self.tags = {row["name"]: row for row in rows}
        self.ids = {row["name"]: row["id"] for row in rows}
        for title, borne in (("own", "ab"), ("other", "bc")):
            made = await self.client.create("post", {"title": title, "tags": [self.ids[name] for name in borne]})
            self.ids[title] = made["id"]
        self.before = await self.links()
        return self

    async def put(self, mode, *items):
        payload = {"_write_mode": mode, "data": list(items)} if mode else list(items)
        return await self.client.put(f"post/{self.ids['own']}", {"tags": payload})

    async def links(self):
        """The names of each post's tags; the other side must say the same."""
        posts = (await self.client.get("post?include=tags")).data
        tags = (await self.client.get("tag?include=tags,post")).data
        assert all(tag["tags"] == tag["post"] for tag in tags)
        pairs = sorted((post["title"], tag["name"]) for post in posts for tag in post["tags"])
        assert pairs == sorted((post["title"], tag["name"]) for tag in tags for post in tag["post"])
        return {post["title"]: "".join(sorted(tag["name"] for tag in post["tags"])) for post in posts}

    async def refused(self, answer, *details):
        assert_error(answer, 422, "VALIDATION_FAILED", "Validation failed", details)
        assert await self.links() == self.before
        assert (await self.client.get("tag")).meta["total"] == 4


@pytest.fixture
async def blog(client):
    return await Blog(client).fill()


def not_found(path, id):
    return {"field": path, "rule": "not_found", "message": f"tag with id {id} not found"}


@pytest.mark.parametrize(("mode", "left"), [("diff", "abcd"), ("replace", "bcd"), ("append", "abcd"), (None, "abcd")])
async def test_missing_links_are_added(blog, mode, left):
    answer = await blog.put(mode, blog.ids["b"], {"id": blog.ids["c"]}, {"id": blog.ids["d"].upper()})
    assert answer.require(200).data == {"id": blog.ids["own"], "title": "own"}
    assert await blog.links() == {"own": left, "other": "bc"}


@pytest.mark.parametrize(("mode", "left"), [("diff", "b"), ("replace", "ad"), ("append", "abd")])
async def test_the_flag_removes_a_link_in_diff_only(blog, mode, left):
    # Removing a link that is not there is no fault.
    items = [{"id": blog.ids[name], "_delete": True} for name in "ad"]
    (await blog.put(mode, *items)).require(200)
    assert await blog.links() == {"own": left, "other": "bc"}
    assert (await blog.client.get("tag")).meta["total"] == 4


@pytest.mark.parametrize(("mode", "left"), [("diff", "ab"), ("replace", ""), ("append", "ab")])
async def test_no_items(blog, mode, left):
    (await blog.put(mode)).require(200)
    assert await blog.links() == {"own": left, "other": "bc"}
    assert (await blog.client.get("tag")).meta["total"] == 4


@pytest.mark.parametrize(("mode", "left"), [("diff", "abn"), ("replace", "n"), ("append", "abn")])
async def test_an_item_without_id_is_created_and_linked(blog, mode, left):
    (await blog.put(mode, {"name": "n", "color": "red"})).require(200)
    assert await blog.links() == {"own": left, "other": "bc"}
    (made,) = (await blog.client.get("tag?filter[name]=n")).data
    assert (made["color"], made["changed"]) == ("red", "2026-01-02T03:04:05.678Z")


async def test_the_flag_without_an_id_does_nothing(blog):
    for id in ({}, {"id": None}, {"id": ""}):
        (await blog.put("diff", {"name": "n", "_delete": True, **id})).require(200)
    assert await blog.links() == blog.before
    assert (await blog.client.get("tag")).meta["total"] == 4


@pytest.mark.parametrize("mode", MODES)
async def test_an_item_with_id_changes_nothing_in_the_target(blog, clock, mode):
    clock.advance(hours=1)
    # It may be the full row as read earlier, or nonsense.
    items = [{**blog.tags["a"], "name": "changed"}, {"id": blog.ids["d"], "color": "green", "nonsense": 1}]
    (await blog.put(mode, *items)).require(200)
    rows = {row["name"]: row for row in (await blog.client.get("tag")).data}
    assert rows == blog.tags
    assert (await blog.links())["own"] == ("ad" if mode == "replace" else "abd")


@pytest.mark.parametrize("mode", MODES)
async def test_an_id_that_is_none_is_refused(blog, mode):
    for id in (SOME_ID, "no-uuid", blog.ids["own"]):
        for item in (id, {"id": id}, {"id": id, "_delete": True}, {"id": id, "name": "new"}):
            answer = await blog.put(mode, {"name": "n"}, blog.ids["d"], item)
            await blog.refused(answer, not_found("tags[2].id", id))
    body = {"title": "new", "tags": {"_write_mode": mode, "data": [blog.ids["d"], SOME_ID]}}
    await blog.refused(await blog.client.post("post", body), not_found("tags[1].id", SOME_ID))


async def test_a_softly_deleted_target_does_not_exist(client):
    blog = await Blog(client).fill({**TAG, "soft_delete": True})
    (await client.delete(f"tag/{blog.ids['b']}")).require(200)
    answer = await blog.put("diff", blog.ids["b"])
    assert_error(answer, 422, "VALIDATION_FAILED", None, [not_found("tags[0].id", blog.ids["b"])])
    assert await blog.links() == {"own": "a", "other": "c"}


@pytest.mark.parametrize("mode", MODES)
async def test_ids_given_twice_count_once(blog, mode):
    twice = [blog.ids["c"], {"id": blog.ids["c"]}, blog.ids["c"].upper(), blog.ids["a"], blog.ids["a"]]
    (await blog.put(mode, *twice)).require(200)
    assert (await blog.links())["own"] == ("ac" if mode == "replace" else "abc")
    made = await blog.client.create("post", {"title": "new", "tags": [*twice, {"name": "n"}]})
    assert (await blog.links())["new"] == "acn"
    (await blog.client.delete(f"post/{made['id']}")).require(200)


async def test_forms_and_items_that_are_none(blog):
    unknown = {"field": "tags", "rule": "unknown", "message": "Unknown field or relation: tags"}
    for payload in (None, "x", blog.ids["d"], 5, {}, {"id": blog.ids["d"]}, {"data": {}}, {"_write_mode": "diff"}):
        await blog.refused(await blog.client.put(f"post/{blog.ids['own']}", {"tags": payload}), unknown)
    wrong = [
        {"field": f"tags[{at}]", "rule": "type", "message": f"tags[{at}] must be an object"} for at in (1, 2, 3, 4)
    ]
    await blog.refused(await blog.put(None, {"name": "n"}, 5, None, [], True), *wrong)
    mode = {"field": "tags._write_mode", "rule": "enum", "message": "_write_mode must be one of: diff, replace, append"}
    await blog.refused(await blog.put("merge", blog.ids["d"]), mode)


async def test_the_relations_own_mode(client):
    blog = await Blog(client).fill(write_mode="replace")
    (await client.put(f"post/{blog.ids['own']}", {"tags": [blog.ids["d"]]})).require(200)
    assert await blog.links() == {"own": "d", "other": "bc"}
    (await blog.put("append", blog.ids["a"])).require(200)
    (await client.put(f"post/{blog.ids['own']}", {"title": "own"})).require(200)
    assert await blog.links() == {"own": "ad", "other": "bc"}


async def test_created_targets_pass_the_whole_pipeline_and_all_is_undone_together(blog):
    items = [{"color": "green"}, blog.ids["d"], {"name": "n", "colour": "red"}]
    unknown = {"field": "tags[2].colour", "rule": "unknown", "message": "Unknown field or relation: colour"}
    await blog.refused(await blog.put("diff", *items), unknown)
    required = {"field": "tags[0].name", "rule": "required", "message": "name is required"}
    enum = {"field": "tags[0].color", "rule": "enum", "message": "color must be one of: red, blue"}
    await blog.refused(await blog.put("replace", *items[:2]), required, enum)
    taken = {"field": "tags[2].name", "rule": "unique", "message": "name already exists"}
    for mode in MODES:
        answer = await blog.put(mode, blog.ids["d"], {"name": "n"}, {"name": "c"})
        assert_error(answer, 409, "CONFLICT", "A record with this value already exists", [taken])
        assert await blog.links() == blog.before
    assert (await blog.client.get("tag")).meta["total"] == 4


async def test_a_relation_is_written_from_its_source_only(blog):
    for key in ("post", "tags"):
        unknown = {"field": key, "rule": "unknown", "message": f"Unknown field or relation: {key}"}
        body = {"name": "n", key: [blog.ids["own"]]}
        await blog.refused(await blog.client.post("tag", body), unknown)
        await blog.refused(await blog.client.put(f"tag/{blog.ids['d']}", body), unknown)


@pytest.mark.parametrize("type", ["int", "bigint", "string", "text"])
async def test_keys_of_other_types_and_names(client, type):
    options = {"primary_key": {"field": "code", "type": type, "generated": type in ("int", "bigint")}}
    await client.define(entity("post", options, code=type), entity("tag", options, code=type, name="string"))
    await client.relate(TAGS)
    generated = type in ("int", "bigint")
    tags = [await client.create("tag", {"name": name} if generated else {"name": name, "code": name}) for name in "abc"]
    a, b, c = (row["code"] for row in tags)
    body = {} if generated else {"code": "p"}
    post = await client.create("post", {**body, "tags": [str(a), {"code": b}, {"id": c}, {"id": str(c)}]})
    assert (await client.get(f"post/{post['code']}?include=tags")).data["tags"] == tags
    removed = {"tags": [{"code": b, "_delete": True}, {"id": a, "_delete": True}]}
    (await client.put(f"post/{post['code']}", removed)).require(200)
    assert (await client.get(f"post/{post['code']}?include=tags")).data["tags"] == [tags[2]]
    for member in ("code", "id"):
        detail = not_found(f"tags[0].{member}", "99")
        answer = await client.put(f"post/{post['code']}", {"tags": [{member: "99", "name": "new"}]})
        assert_error(answer, 422, "VALIDATION_FAILED", "Validation failed", [detail])
    assert (await client.get("tag")).meta["total"] == 3


async def test_people_know_people(client):
    await client.define(entity("person", name="string!"))
    keys = {"source_join_key": "who", "target_join_key": "whom"}
    await client.relate(many_to_many("friends", "person", "person", "friendships", **keys))
    ann = await client.create("person", {"name": "Ann", "friends": [{"name": "Bob", "friends": [{"name": "Cleo"}]}]})
    rows = {row["name"]: row for row in (await client.get("person?include=friends")).data}
    assert {name: [friend["name"] for friend in row["friends"]] for name, row in rows.items()} == {
        "Ann": ["Bob"],
        "Bob": ["Cleo"],
        "Cleo": [],
    }
    (await client.put(f"person/{ann['id']}", {"friends": [ann["id"], rows["Cleo"]["id"]]})).require(200)
    read = (await client.get(f"person/{ann['id']}?include=friends")).data
    assert sorted(friend["name"] for friend in read["friends"]) == ["Ann", "Bob", "Cleo"]
    assert (await client.get(f"person/{rows['Bob']['id']}?include=friends")).data["friends"] == [
        {"id": rows["Cleo"]["id"], "name": "Cleo"}
    ]


async def test_two_relations_between_two_entities_do_not_meet(client):
    await client.define(POST, TAG)
    await client.relate(TAGS, many_to_many("topics", "post", "tag", "post_topics"))
    made = await client.create("post", {"title": "x", "tags": [{"name": "a"}], "topics": [{"name": "b"}]})
    replaced = {"tags": {"_write_mode": "replace", "data": []}}
    (await client.put(f"post/{made['id']}", replaced)).require(200)
    read = (await client.get(f"post/{made['id']}?include=tags,topics")).data
    assert (read["tags"], [topic["name"] for topic in read["topics"]]) == ([], ["b"])


async def test_links_inside_nested_records(client):
    await client.define(entity("blog", name="string"), entity("post", title="string!", blog_id="uuid"), TAG)
    await client.relate(one_to_many("posts", "blog", "post"), TAGS)
    tag = await client.create("tag", {"name": "old"})
    posts = [{"title": "1", "tags": [tag["id"], {"name": "new"}]}, {"title": "2", "tags": [tag["id"]]}]
    made = await client.create("blog", {"posts": posts})
    read = (await client.get(f"blog/{made['id']}?include=posts.tags")).data
    assert {post["title"]: sorted(tag["name"] for tag in post["tags"]) for post in read["posts"]} == {
        "1": ["new", "old"],
        "2": ["old"],
    }
    wrong = {"posts": [{"title": "3", "tags": [{"name": "newer"}, SOME_ID]}]}
    detail = not_found("posts[0].tags[1].id", SOME_ID)
    assert_error(await client.put(f"blog/{made['id']}", wrong), 422, "VALIDATION_FAILED", None, [detail])
    assert [(await client.get(name)).meta["total"] for name in ("post", "tag")] == [2, 2]


async def test_one_link_made_by_many_at_once_is_one_link(blog):
    answers = await asyncio.gather(*(blog.put("append", blog.ids["d"]) for _ in range(6)))
    assert [answer.status for answer in answers] == [200] * 6
    assert await blog.links() == {"own": "abd", "other": "bc"}
