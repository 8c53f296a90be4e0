"""What rows and fields a caller sees, by every way that reads: contract §3.7 and §10.5."""

import json

import pytest

from rocket_auth.permissions.testing import permission
from rocket_kernel.testing import assert_error, entity, many_to_many, one_to_many

ANN = "00000000-0000-4000-8000-00000000000a"
BOB = "00000000-0000-4000-8000-00000000000b"
MISSING = "12345678-90ab-4cde-8f01-234567890abc"

AUTHOR = entity("author", name="string", owner="uuid", email="string", pay="int", code="string unique")
BOOK = entity(
    "book",
    {"slug": {"field": "slug"}},
    title="string",
    slug="string unique",
    author_id="uuid",
    pages="int",
    price="decimal:2",
    team="string",
)
TAG = entity("tag", label="string", hidden="boolean")
REVIEW = entity("review", author_code="string", text="text")


def denied(entity, field=None):
    place = entity if field is None else f"{entity}.{field}"
    return (403, "FORBIDDEN", f"Permission denied for read on {place}", [])


def closed(entity, action="read"):
    return (403, "FORBIDDEN", f"No permission for {action} on {entity}", [])


@pytest.fixture
async def library(office):
    admin = office.admin
    await admin.define(AUTHOR, BOOK, TAG, REVIEW)
    await admin.relate(
        one_to_many("books", "author", "book"),
        many_to_many("tags", "book", "tag"),
        one_to_many("reviews", "author", "review", "author_code", source_key="code"),
    )
    authors = [
        {"name": "Ann", "owner": ANN, "email": "ann@example.com", "pay": 1, "code": "a"},
        {"name": "Bob", "owner": BOB, "email": "bob@example.com", "pay": 2, "code": "b"},
    ]
    ids = [(await admin.create("author", row))["id"] for row in authors]
    books = [("Dune", 100, "1.50", "red"), ("Emma", 200, "12.00", "Blue"), ("Fear", 300, None, None)]
    for (title, pages, price, team), author in zip(books, [ids[0], ids[1], ids[1]], strict=True):
        row = {"title": title, "slug": title.lower(), "pages": pages, "price": price, "team": team}
        await admin.create("book", {**row, "author_id": author, "tags": [{"label": title, "hidden": title == "Emma"}]})
    return office


async def titles(client, query=""):
    answer = (await client.get(f"book?sort=title&per_page=200{query}")).require(200)
    assert answer.meta["total"] == len(answer.data)
    return [row["title"] for row in answer.data]


async def test_the_gate(library):
    clerk = library.caller("clerk", "Other")
    for path in ("book", f"book/{MISSING}", "book?filter[nonsense]=1", "book/dune", "book?fields=nonsense"):
        assert_error(await clerk.get(path), *closed("book"))
    await library.allow("book", "read", "boss")
    assert_error(await clerk.get("book"), *denied("book"))
    assert_error(await library.caller().get("book"), *denied("book"))
    await library.allow("book", "read", "CLERK")
    assert await titles(clerk) == ["Dune", "Emma", "Fear"]
    assert await titles(library.caller("admin")) == ["Dune", "Emma", "Fear"]
    # No row at all, and no row for this action, are one thing.
    assert_error(await library.caller("boss").post("book", {}), *closed("book", "create"))


CONDITIONS = [
    ([("pages", "eq", 100)], ["Dune"]),
    ([("pages", "neq", "100")], ["Emma", "Fear"]),
    ([("pages", "gte", 200), ("pages", "lt", 300)], ["Emma"]),
    ([("pages", "between", [100, 200])], ["Dune", "Emma"]),
    ([("pages", "in", [100, "300"])], ["Dune", "Fear"]),
    ([("pages", "in", "100, 300")], ["Dune", "Fear"]),
    ([("pages", "in", [])], []),
    ([("pages", "in", "")], []),
    ([("pages", "not_in", [])], ["Dune", "Emma", "Fear"]),
    ([("price", "not_in", [])], ["Dune", "Emma"]),
    ([("price", "neq", "1.5")], ["Emma"]),
    ([("price", "gt", "9")], ["Emma"]),
    ([("price", "is_null", True)], ["Fear"]),
    ([("price", "is_null", "0")], ["Dune", "Emma"]),
    ([("title", "like", "%m%")], ["Emma"]),
    ([("title", "like", "e")], ["Dune", "Fear"]),
    ([("title", "ilike", "e")], ["Dune", "Emma", "Fear"]),
    ([("title", "contains", "u")], ["Dune"]),
    ([("title", "starts_with", "E")], ["Emma"]),
    ([("title", "ends_with", "r")], ["Fear"]),
    ([("team", "in", "{{user.roles}}")], ["Dune"]),
    ([("team", "not_in", "{{user.roles}}")], ["Emma"]),
    ([("slug", "eq", "{{user.id}}")], []),
    ([("slug", "in", ["dune", "{{user.id}}"])], ["Dune"]),
    ([("slug", "in", ["dune", "{{user.email}}"])], []),
    ([("slug", "neq", "{{user.email}}")], []),
    ([("slug", "not_in", ["x", "{{user.email}}"])], []),
    ([("slug", "not_in", ["x", "{{user.id}}"])], ["Dune", "Emma", "Fear"]),
    ([("pages", "is_null", False), ("slug", "contains", "{{user.email}}")], []),
]


async def test_conditions_hold_in_lists_and_by_id_alike(library):
    everything = (await library.admin.get("book?sort=title")).data
    for number, (when, _) in enumerate(CONDITIONS):
        await library.allow("book", "read", f"role{number}", when=when)
    for number, (when, expected) in enumerate(CONDITIONS):
        clerk = library.caller(f"role{number}", "red", id=ANN)
        assert await titles(clerk) == expected, when
        for row in everything:
            for id in (row["id"], row["slug"]):
                answer = await clerk.get(f"book/{id}")
                if row["title"] in expected:
                    assert answer.data == row
                else:
                    assert_error(answer, 404, "NOT_FOUND", f"book with id {id} not found", [])


async def test_rows_are_alternatives_and_conditions_hold_together(library):
    await library.allow("book", "read", "a", when=[("pages", "lt", 150)])
    await library.allow("book", "read", "a", "b", when=[("pages", "gt", 250), ("price", "is_null", True)])
    await library.allow("book", "read", "b", when=[("pages", "gt", 250), ("price", "is_null", False)])
    await library.allow("book", "read", "c", when=[("slug", "eq", "{{user.email}}")])
    await library.allow("book", "read", "d")
    for roles, expected in (
        ("a", ["Dune", "Fear"]),
        ("b", ["Fear"]),
        ("c", []),
        ("ac", ["Dune", "Fear"]),
        ("abcd", ["Dune", "Emma", "Fear"]),
    ):
        clerk = library.caller(*roles)
        assert await titles(clerk) == expected
        assert await titles(clerk, "&filter[pages.gt]=100") == [title for title in expected if title != "Dune"]


async def test_as_many_conditions_as_a_statement_bears(library):
    everything = [("pages", "lt", 1000 + number) for number in range(50)]
    rows = [permission("book", "read", "ten", when=[*everything[1:], ("pages", "gt", n)]) for n in range(10)]
    rows += [permission("book", "read", "more", when=everything[:1]), permission("book", "read", "all")]
    imported = (await library.admin.post("_admin/import", {"permissions": rows})).require(200).data
    assert "errors" not in imported
    filters = "".join(f"&filter[author.books.pages.neq]={n}&filter[title.neq]={n}" for n in range(2))
    await library.allow("author", "read", "ten")
    assert await titles(library.caller("ten"), filters) == ["Dune", "Emma", "Fear"]
    assert_error(await library.caller("ten", "more").get("book"), *denied("book"))
    assert await titles(library.caller("ten", "more", "all")) == ["Dune", "Emma", "Fear"]


async def test_templates(library):
    await library.allow("author", "read", "own", when=[("owner", "eq", "{{user.id}}")])
    await library.allow("author", "read", "mail", when=[("email", "eq", "{{user.email}}")])
    await library.allow("author", "read", "part", when=[("name", "eq", "A{{user.id}}")])
    await library.allow("author", "read", "like", when=[("email", "like", "{{user.email}}%")])
    await library.allow("author", "read", "inside", when=[("email", "ilike", "{{user.email}}")])

    async def names(role, **who):
        return [row["name"] for row in (await library.caller(role, **who).get("author")).require(200).data]

    assert await names("own", id=ANN) == ["Ann"]
    assert await names("own", id=BOB.upper()) == ["Bob"]
    # Who has none, or one of another kind, sees nothing and breaks nothing.
    assert await names("own") == await names("own", id="ann") == await names("own", id="' OR 1=1 --") == []
    assert await names("mail", id=ANN) == []
    assert await names("mail", email="bob@example.com") == ["Bob"]
    assert await names("part", id="nn") == ["Ann"]
    # Signs of patterns in a caller's own values are no patterns.
    for email, found in (("ann", ["Ann"]), ("%", []), ("_nn", []), ("a%", []), ("\\", []), ("", ["Ann", "Bob"])):
        assert sorted(await names("like", email=email)) == ([] if email == "" else found)
    assert await names("inside", email="NN@EXAMPLE") == ["Ann"]
    assert await names("inside", email="_NN@EXAMPLE") == []
    assert await names("like", email="a\x00") == []


async def test_fields_that_are_hidden_are_absent(library):
    await library.allow("book", "read", "half", exclude=["price", "id"])
    await library.allow("book", "read", "half", when=[("pages", "gt", 150)], include=["price"])
    await library.allow("book", "read", "none", include=[])
    await library.allow("book", "read", "all")
    rows = sorted((await library.caller("half").get("book")).data, key=lambda row: row["title"])
    common = ["id", "title", "slug", "author_id", "pages", "team"]
    assert [list(row) for row in rows] == [common, [*common[:5], "price", "team"], [*common[:5], "price", "team"]]
    assert (await library.caller("half").get("book/fear")).status == 404  # the slug is not readable under every row
    for row in rows:
        assert (await library.caller("half").get(f"book/{row['id']}")).data == row
    assert [list(row) for row in (await library.caller("none").get("book")).data] == [["id"]] * 3
    assert len((await library.caller("none", "all").get("book")).data[0]) == 7


async def test_naming_a_hidden_field(library):
    await library.allow("book", "read", "a", exclude=["price", "slug"])
    await library.allow("book", "read", "b", include=["title", "slug"])
    await library.allow("author", "read", "a", "b")
    a, both = library.caller("a"), library.caller("a", "b")
    for query in (
        "filter[price]=1",
        "filter[price.is_null]=true",
        "sort=-price",
        "sort=title,price",
        "fields=title,price",
    ):
        assert_error(await a.get(f"book?{query}"), *denied("book", "price"))
    for query in ("filter[books.price.gt]=1", "filter[books.author.books.price]=1"):
        assert_error(await a.get(f"author?{query}"), *denied("book", "price"))
    (row, *_) = (await a.get("book")).data
    assert_error(await a.get(f"book/{row['id']}?fields=price"), *denied("book", "price"))
    # What one row of P hides cannot be named, though every record shows it by the other.
    assert "pages" in (await both.get("book")).data[0]
    for query in ("filter[pages]=1", "sort=pages", "fields=pages"):
        assert (await a.get(f"book?{query}")).status == 200
        assert_error(await both.get(f"book?{query}"), *denied("book", "pages"))
    for query in ("filter[id.is_null]=false", "sort=id", "fields=id", "filter[title]=Dune", "sort=-title"):
        assert (await both.get(f"book?{query}")).status == 200
    # An include walks a key that must be readable, from either side.
    for path in (
        "book?include=author",
        f"book/{row['id']}?include=author",
        "author?include=books",
        "book?sort=author.name",
    ):
        assert (await a.get(path)).status == 200
        assert_error(await both.get(path), *denied("book", "author_id"))
    # Before its values are looked at.
    assert_error(await a.get("book?filter[price]=nonsense"), *denied("book", "price"))


async def test_a_key_that_is_no_primary_key_must_be_readable_on_both_sides(library):
    await library.admin.create("review", {"author_code": "a", "text": "good"})
    await library.allow("author", "read", "clerk", exclude=["code"])
    await library.allow("review", "read", "clerk")
    clerk = library.caller("clerk")
    for path in (
        "author?include=reviews",
        "author?filter[reviews.text]=good",
        "review?include=author",
        "review?sort=author.name",
    ):
        assert_error(await clerk.get(path), *denied("author", "code"))


async def test_entities_that_are_closed(library):
    await library.allow("book", "read", "clerk")
    await library.allow("tag", "read", "boss")
    clerk = library.caller("clerk")
    for query, entity_name in (
        ("include=author", "author"),
        ("filter[author.name]=Ann", "author"),
        ("filter[author.nonsense]=Ann", "author"),
        ("sort=author.name", "author"),
        ("include=author.nonsense", "author"),
    ):
        assert_error(await clerk.get(f"book?{query}"), *closed(entity_name))
    for query in ("include=tags", "filter[tags.label]=x"):
        assert_error(await clerk.get(f"book?{query}"), *denied("tag"))
    # Names are checked in order: filters, sort, include, fields.
    assert_error(await clerk.get("book?fields=zzz&include=tags&sort=author.name"), *closed("author"))
    eager = {"name": "tags", "type": "many_to_many", "source": "book", "target": "tag", "join_table": "book_tag"}
    await library.admin.put("_admin/relations/tags", {**eager, "fetch": "eager"})
    assert "tags" not in (await clerk.get("book/dune")).data
    assert "tags" in (await library.caller("clerk", "boss").get("book/dune")).data


async def test_includes_filters_and_sorts_of_hidden_rows(library):
    await library.allow("author", "read", "clerk", when=[("name", "eq", "Ann")], exclude=["pay"])
    await library.allow("book", "read", "clerk", when=[("title", "neq", "Fear")])
    await library.allow("tag", "read", "clerk", when=[("hidden", "eq", False)])
    clerk = library.caller("clerk")
    rows = (await clerk.get("book?include=author.books,tags&sort=title")).data
    assert [row["title"] for row in rows] == ["Dune", "Emma"]
    assert rows[1]["author"] is None
    assert "pay" not in rows[0]["author"]
    assert [book["title"] for book in rows[0]["author"]["books"]] == ["Dune"]
    assert [[tag["label"] for tag in row["tags"]] for row in rows] == [["Dune"], []]
    assert await titles(clerk, "&filter[author.name.ilike]=b") == []
    assert await titles(clerk, "&filter[tags.label]=Emma") == []
    assert await titles(clerk, "&filter[author.books.title]=Fear") == []
    ordered = [row["title"] for row in (await clerk.get("book?sort=author.name,title")).data]
    assert ordered == ["Dune", "Emma"]  # a hidden author is null, and null is last
    assert [row["title"] for row in (await clerk.get("book?sort=-author.name")).data] == ["Emma", "Dune"]


async def test_slugs(library):
    await library.allow("book", "read", "all", when=[("pages", "lt", 150)])
    await library.allow("book", "read", "blind", exclude=["slug"])
    assert (await library.caller("all").get("book/dune")).data["title"] == "Dune"
    for id, role in (("emma", "all"), ("nope", "all"), ("dune", "blind"), ("nope", "blind")):
        assert_error(await library.caller(role).get(f"book/{id}"), 404, "NOT_FOUND", f"book with id {id} not found", [])


async def test_tags_of_rows_know_what_is_readable_only(library):
    await library.allow("book", "read", "clerk", exclude=["price"])
    clerk, admin = library.caller("clerk"), library.admin
    (row, *_) = (await admin.get("book?filter[title]=Dune")).data
    path = f"book/{row['id']}"

    async def tags():
        return [(await client.get(path)).headers["ETag"] for client in (clerk, admin)]

    before = await tags()
    (await admin.put(path, {"price": "99"})).require(200)
    after = await tags()
    assert (before[0] == after[0], before[1] == after[1]) == (True, False)
    (await admin.put(path, {"pages": 99})).require(200)
    assert (await tags())[0] != after[0]


async def test_head_and_pages_are_lists_too(library):
    await library.allow("book", "read", "clerk", when=[("pages", "gte", 200)])
    clerk = library.caller("clerk")
    page = (await clerk.get("book?per_page=1&page=2&sort=title")).require(200)
    assert ([row["title"] for row in page.data], page.meta["total"], page.meta["total_pages"]) == (["Fear"], 2, 2)
    head = await clerk.request("HEAD", "book")
    assert head.headers["Content-Length"] == str(len((await clerk.get("book")).body))
    assert (await clerk.request("HEAD", "book/dune")).status == 404


async def test_nothing_of_a_hidden_row_is_in_any_answer(library):
    """The blunt one: ask in every way, and look for the text."""
    await library.allow("book", "read", "clerk", when=[("title", "eq", "Dune")])
    await library.allow("author", "read", "clerk", when=[("name", "eq", "Ann")])
    await library.allow("tag", "read", "clerk", when=[("label", "eq", "Dune")])
    clerk = library.caller("clerk")
    for path in (
        "book", "author", "tag", "book?include=author.books.tags,tags.book", "author?include=books.author",
        "tag?include=book.author", "book?sort=-author.name", "tag?filter[book.author.pay.gt]=0&include=book",
        "author?filter[books.pages.gt]=0", "book/emma", "_admin/entities", "_admin/relations",
    ):  # fmt: skip
        text = json.dumps((await clerk.get(path)).json)
        for hidden in ("Emma", "Fear", "Bob", "12.00", "bob@"):
            assert hidden not in text.replace("book with id emma", ""), path
