"""Includes: contract §3.5."""

from itertools import pairwise

import pytest

from rocket_kernel.http import records
from rocket_kernel.testing import assert_error, entity, many_to_many, one_to_many, one_to_one


async def shown(client, path, **params):
    """The records of a list, after a look that GET of each shows the same."""
    listed = (await client.get(path, params=params)).require(200).data
    for record in listed:
        assert (await client.get(f"{path}/{record['id']}", params=params)).require(200).data == record
    return listed


async def refused(client, path, include, message):
    """On lists and on GET by id."""
    (first, *_) = (await client.get(path)).data
    for asked in (path, f"{path}/{first['id']}"):
        assert_error(await client.get(asked, params={"include": include}), 400, "UNKNOWN_FIELD", message, [])


async def numbered(client, name, *rows):
    return [await client.create(name, row) for row in rows]


async def test_one_to_many_seen_from_both_ends(client):
    await client.define(entity("author", id="int", n="string"), entity("book", id="int", author_id="int"))
    await client.relate(one_to_many("books", "author", "book"))
    a1, a2 = await numbered(client, "author", {"n": "x"}, {"n": "y"})
    b1, b2, b3, b4 = await numbered(client, "book", {"author_id": 1}, {"author_id": 99}, {"author_id": 1}, {})
    assert await shown(client, "author", include="books") == [{**a1, "books": [b1, b3]}, {**a2, "books": []}]
    assert await shown(client, "book", include="author") == [
        {**b1, "author": a1},
        {**b2, "author": None},
        {**b3, "author": a1},
        {**b4, "author": None},
    ]


async def test_one_to_one_seen_from_both_ends(client):
    await client.define(entity("user", id="int"), entity("profile", id="int", user_id="int"))
    await client.relate(one_to_one("profile_of", "user", "profile"))
    u1, u2 = await numbered(client, "user", {}, {})
    p1, p2 = await numbered(client, "profile", {"user_id": 2}, {})
    assert await shown(client, "user", include="profile_of") == [{**u1, "profile_of": None}, {**u2, "profile_of": p1}]
    assert await shown(client, "profile", include="profile_of") == [
        {**p1, "profile_of": u2},
        {**p2, "profile_of": None},
    ]


async def test_many_to_many_seen_from_both_ends(client):
    await client.define(entity("book", id="int"), entity("tag", id="string", n="int"))
    await client.relate(many_to_many("tags", "book", "tag"))
    tags = await numbered(client, "tag", {"n": 0}, {"n": 1}, {"n": 2})
    tags.sort(key=lambda tag: tag["id"])
    t1, t2, t3 = tags
    b1, b2 = await numbered(client, "book", {"tags": [t3["id"], t1["id"]]}, {"tags": [t1["id"]]})
    b3 = await client.create("book", {})
    assert await shown(client, "book", include="tags") == [
        {**b1, "tags": [t1, t3]},
        {**b2, "tags": [t1]},
        {**b3, "tags": []},
    ]
    assert await shown(client, "tag", include="book") == [
        {**t1, "book": [b1, b2]},
        {**t2, "book": []},
        {**t3, "book": [b1]},
    ]


async def test_related_rows_come_in_the_order_of_their_keys(client):
    given = {"primary_key": {"field": "id"}}
    await client.define(
        entity("a", id="int"), entity("b", given, id="string", a_id="int"), entity("c", given, id="bigint")
    )
    await client.relate(one_to_many("bs", "a", "b"), many_to_many("cs", "a", "c"))
    await client.create("a", {})
    for id in ("b", "ä", "B", "10", "9", "a"):
        await client.create("b", {"id": id, "a_id": 1})
    for id in ("10", "9", "-1", "9007199254740993"):
        await client.create("c", {"id": id})
    (await client.put("a/1", {"cs": ["9", "9007199254740993", "10", "-1"]})).require(200)
    (record,) = await shown(client, "a", include="bs,cs")
    assert [row["id"] for row in record["bs"]] == ["10", "9", "B", "a", "b", "ä"]
    assert [row["id"] for row in record["cs"]] == ["-1", "9", "10", "9007199254740993"]


async def test_a_value_other_than_the_key_can_relate(client):
    await client.define(
        entity("country", id="int", code="string unique", wide="decimal unique"),
        entity("city", id="int", code="text", wide="decimal"),
    )
    await client.relate(
        one_to_many("coded", "country", "city", "code", source_key="code"),
        one_to_many("wide", "country", "city", "wide", source_key="wide"),
    )
    (c1, _) = await numbered(client, "country", {"code": "Ä'", "wide": "1.50"}, {})
    (t1, t2) = await numbered(client, "city", {"code": "Ä'"}, {"code": "ä'", "wide": "1.5"})
    (first, second) = await shown(client, "country", include="coded,wide")
    assert (first["coded"], first["wide"]) == ([t1], [t2])
    # Nulls never meet.
    assert (second["coded"], second["wide"]) == ([], [])
    assert [row["coded"] for row in await shown(client, "city", include="coded")] == [c1, None]


async def test_the_four_rules_of_a_key_in_their_order(client):
    await client.define(
        entity("class", id="int", teacher_id="int", room_id="int"),
        entity("teacher", id="int"),
        entity("room", id="int"),
    )
    await client.relate(
        one_to_many("class_teacher", "teacher", "class"),
        one_to_many("class_place", "room", "class"),
    )
    teacher, room = await client.create("teacher", {}), await client.create("room", {})
    lesson = await client.create("class", {"teacher_id": 1, "room_id": 1})
    cases = [
        # Its own name, the other entity, the name after this entity's, the key's name without _id.
        ("class", "class_teacher", teacher),
        ("class", "teacher", teacher),
        ("class", "place", room),
        ("class", "room", room),
        ("teacher", "class_teacher", [lesson]),
        ("teacher", "class", [lesson]),
        ("room", "class_place", [lesson]),
        ("room", "class", [lesson]),
    ]
    for path, key, value in cases:
        (record,) = await shown(client, path, include=key)
        assert record[key] == value, (path, key)
    # `{E}_{K}` takes the entity at hand, so the other end has no such key; a key's name is known to its owner only.
    for path, key in (
        ("room", "place"),
        ("teacher", "teacher"),
        ("room", "room"),
        ("teacher", "room"),
        ("class", "class"),
    ):
        await refused(client, path, key, f"Unknown include: {key}")
    # A relation that bears the name of another entity comes before the relation to that entity.
    await client.relate(one_to_many("teacher", "room", "class", "teacher_id"))
    assert (await shown(client, "class", include="teacher"))[0]["teacher"] == room
    assert (await shown(client, "teacher", include="class"))[0]["class"] == [lesson]
    # Of several relations between two entities the first by name counts.
    await client.relate(one_to_many("a_first", "teacher", "class", "room_id"))
    await client.create("class", {"room_id": 1})
    assert len((await shown(client, "teacher", include="class"))[0]["class"]) == 2
    assert len((await shown(client, "teacher", include="class_teacher"))[0]["class_teacher"]) == 1


async def test_rule_four_finds_a_key_by_its_field(client):
    await client.define(entity("account", id="int"), entity("message", id="int", sender_id="int", receiver_id="int"))
    await client.relate(
        one_to_many("sent", "account", "message", "sender_id"),
        one_to_many("received", "account", "message", "receiver_id"),
    )
    a1, a2 = await numbered(client, "account", {}, {})
    message = await client.create("message", {"sender_id": 1, "receiver_id": 2})
    keys = {"sender": a1, "receiver": a2, "sent": a1, "received": a2, "account": a2}
    assert await shown(client, "message", include=",".join(keys)) == [{**message, **keys}]
    await refused(client, "account", "sender", "Unknown include: sender")
    await refused(client, "message", "sender_id", "Unknown include: sender_id")


async def test_an_entity_related_to_itself(client):
    await client.define(entity("node", id="int", parent_id="int"))
    await client.relate(
        one_to_many("children", "node", "node", "parent_id"),
        many_to_many("friends", "node", "node", "friendship", source_join_key="a", target_join_key="b"),
    )
    n1 = await client.create("node", {})
    n2 = await client.create("node", {"parent_id": 1, "friends": ["1"]})
    n3 = await client.create("node", {"parent_id": 2, "friends": ["1", "2"]})
    first, second, third = await shown(client, "node", include="children,node,parent,friends")
    # Rules 1 to 3 look forward, rule 4 back.
    assert first == {**n1, "children": [n2], "node": [n2], "parent": None, "friends": []}
    assert second == {**n2, "children": [n3], "node": [n3], "parent": n1, "friends": [n1]}
    assert third == {**n3, "children": [], "node": [], "parent": n2, "friends": [n1, n2]}
    assert list(third) == ["id", "parent_id", "children", "node", "parent", "friends"]
    deep = await shown(client, "node", include="parent.parent,children.children.children.children")
    assert deep[2]["parent"] == {**n2, "parent": n1}
    assert deep[0]["children"] == [{**n2, "children": [{**n3, "children": []}]}]


@pytest.fixture
async def chain(client):
    """a has many b, b has many c, and so on; e is the last."""
    names = "abcde"
    await client.define(entity("a", id="int"))
    await client.define(*[entity(name, id="int", up_id="int") for name in names[1:]])
    await client.relate(*[one_to_many(f"{low}s", high, low, "up_id") for high, low in pairwise(names)])
    await numbered(client, "a", {}, {})
    for name in names[1:]:
        await numbered(client, name, {"up_id": 1}, {"up_id": 2}, {"up_id": 1})
    return client


async def test_paths_nest_and_bring_their_prefixes(chain):
    b = [{"id": 1, "up_id": 1}, {"id": 2, "up_id": 2}, {"id": 3, "up_id": 1}]
    plain = (await shown(chain, "a", include="bs"))[0]["bs"]
    assert plain == [b[0], b[2]]
    (first, second) = await shown(chain, "a", include="bs.cs.ds.es")
    assert [list(row) for row in first["bs"]] == [["id", "up_id", "cs"]] * 2
    assert [row["id"] for row in first["bs"][0]["cs"]] == [1, 3]
    assert first["bs"][1]["cs"] == []
    assert second["bs"] == [{**b[1], "cs": [{"id": 2, "up_id": 2, "ds": [{"id": 2, "up_id": 2, "es": [b[1]]}]}]}]
    # Named twice, or as a prefix of another, is named once; blanks do not count.
    for text in ("bs,bs.cs.ds.es,bs.cs", " bs . cs.ds.es , bs,bs"):
        assert await shown(chain, "a", include=text) == [first, second]
    assert (await chain.get("d/2?include=up.up.up")).data["up"] == {**b[1], "up": {**b[1], "up": {"id": 2}}}
    # Two keys of one relation give two members, in the order of the request.
    twice = (await chain.get("b/2?include=up.bs,a")).data
    assert list(twice) == ["id", "up_id", "up", "a"]
    assert twice == {**b[1], "up": {"id": 2, "bs": [b[1]]}, "a": {"id": 2}}
    assert list((await chain.get("b/2?include=a,up")).data) == ["id", "up_id", "a", "up"]


async def test_keys_that_name_nothing(chain):
    cases = {"x": "x", "bs.x": "x", "x.bs": "x", "bs,x": "x", "bs,": "", ",": "", "bs.": "", ".bs": "", "BS": "BS", "id": "id",
             "bs;": "bs;", "bs.cs.ds.x": "x", '"bs"': '"bs"'}  # fmt: skip
    for text, name in cases.items():
        await refused(chain, "a", text, f"Unknown include: {name}")
    for text in ("", " "):
        assert list((await shown(chain, "a", include=text))[0]) == ["id"]


class Counting:
    """A session that counts what it is asked."""

    def __init__(self, session, statements):
        self._session, self._statements = session, statements

    def __getattr__(self, name):
        return getattr(self._session, name)

    async def fetch(self, sql, params=()):
        self._statements.append(sql)
        return await self._session.fetch(sql, params)


async def test_an_include_costs_one_statement_a_level(chain, monkeypatch):
    statements, reader = [], records.Reader

    def counting_reader(registry, session, access):
        statements.clear()  # a read that took too long on the event loop starts again on a thread
        return reader(registry, Counting(session, statements), access)

    monkeypatch.setattr(records, "Reader", counting_reader)

    async def count(query, path="a"):
        await chain.get(f"{path}?{query}")  # the first time counts the total
        (await chain.get(f"{path}?{query}")).require(200)
        return len(statements)

    plain = await count("")
    assert plain in (1, 2)
    assert await count("include=bs") == plain + 1
    assert await count("include=bs.cs") == plain + 2
    assert await count("include=bs.cs.ds.es") == plain + 4
    assert await count("include=bs,bs.cs,bs") == plain + 2
    assert await count("include=bs,bs.a") == plain + 2
    for at in range(4, 40):
        await numbered(chain, "a", {})
        await numbered(chain, "b", {"up_id": at}, {"up_id": at})
    assert await count("include=bs.cs&per_page=200") == plain + 2
    assert await count("include=up.bs&per_page=200", "b") == plain + 2
    # Where nothing is found there is nothing to ask further.
    assert await count("include=bs.cs.ds.es&filter[id]=39") <= plain + 2
    assert await count("include=es", "d") == plain + 1


async def test_eager_relations_come_unasked_and_one_level_deep(client):
    await client.define(
        entity("author", id="int"), entity("book", id="int", author_id="int"), entity("page", id="int", book_id="int")
    )
    await client.relate(
        one_to_many("z_books", "author", "book", fetch="eager"),
        one_to_many("pages", "book", "page", fetch="eager"),
        one_to_many("authors", "author", "author", "id", fetch="lazy"),
    )
    created = await client.create("author", {})
    assert created == {"id": 1}
    book = await client.create("book", {"author_id": 1})
    page = await client.create("page", {"book_id": 1})
    assert book == {"id": 1, "author_id": 1}
    assert await shown(client, "author") == [{"id": 1, "z_books": [book]}]
    assert await shown(client, "book") == [{**book, "pages": [page]}]
    assert await shown(client, "page") == [page]
    (asked,) = await shown(client, "author", include="z_books.pages,book")
    assert asked == {"id": 1, "z_books": [{**book, "pages": [page]}], "book": [book]}
    # Asked for by another key it comes under both; requested keys come first.
    (other,) = await shown(client, "author", include="book")
    assert list(other) == ["id", "book", "z_books"]
    assert await shown(client, "author", fields="id") == [{"id": 1, "z_books": [book]}]
    assert (await client.put("author/1", {})).require(200).data == {"id": 1}


async def test_soft_deleted_rows_are_in_no_include(client):
    soft = {"soft_delete": True}
    await client.define(
        entity("author", soft, id="int"),
        entity("book", soft, id="int", author_id="int", deleted_at="timestamp"),
        entity("tag", soft, id="int"),
    )
    await client.relate(one_to_many("books", "author", "book"), many_to_many("tags", "book", "tag"))
    await numbered(client, "author", {}, {})
    await numbered(client, "tag", {}, {})
    await numbered(
        client, "book", {"author_id": 1, "tags": ["1", "2"]}, {"author_id": 2, "tags": ["1"]}, {"author_id": 1}
    )
    for path in ("author/2", "tag/1", "book/3"):
        (await client.delete(path)).require(200)
    (author,) = await shown(client, "author", include="books.tags")
    # Related rows have no implicit deleted_at; a declared one shows.
    assert author == {
        "id": 1,
        "deleted_at": None,
        "books": [{"id": 1, "author_id": 1, "deleted_at": None, "tags": [{"id": 2}]}],
    }
    one, two = await shown(client, "book", include="author,tags")
    assert (one["author"], one["tags"]) == ({"id": 1}, [{"id": 2}])
    assert (two["author"], two["tags"]) == (None, [])
    assert (await shown(client, "tag", include="book"))[0]["book"] == [{"id": 1, "author_id": 1, "deleted_at": None}]


async def test_an_include_may_take_the_name_of_a_field(client):
    await client.define(entity("author", id="int"), entity("book", id="int", author_id="int", author="string"))
    await client.relate(one_to_many("books", "author", "book"))
    await client.create("author", {})
    await client.create("book", {"author_id": 1, "author": "Jane"})
    (record,) = await shown(client, "book", include="author")
    assert record["author"] == {"id": 1}
    assert (await shown(client, "book"))[0]["author"] == "Jane"


async def test_more_related_rows_than_fit_a_page_are_all_there(client):
    await client.define(entity("a", id="int"), entity("b", id="int", a_id="int"))
    await client.relate(one_to_many("bs", "a", "b"))
    document = {
        "version": 1,
        "entities": [entity("a", id="int"), entity("b", id="int", a_id="int")],
        "sample_data": {"a": [{"id": 1}], "b": [{"id": at, "a_id": 1} for at in range(1, 1201)]},
    }
    (await client.post("_admin/import", document)).require(200)
    rows = (await client.get("a/1?include=bs")).require(200).data["bs"]
    assert [row["id"] for row in rows] == list(range(1, 1201))
