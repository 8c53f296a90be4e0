"""Defining relations through the admin API: contract §4.2, §4.6 and §4.8."""

import pytest

from rocket_kernel.testing import assert_error, entity, many_to_many, one_to_many, one_to_one

NOW = "2026-01-02T03:04:05.678Z"
LATER = "2026-01-02T03:05:05.678Z"
ROW_MEMBERS = ["name", "source", "target", "definition", "created_at", "updated_at"]
BAD_NAMES = ["Rel", "_r", "1r", "a" * 64, "é", 'r"s', "r;", "r s", "r-s", "r.s", "r\n"]

AUTHOR = entity("author", code="string unique", name="string", rank="int", number="int unique")
BOOK = entity("book", author_id="uuid", author_code="text", author_number="integer", title="string")
TAG = entity("tag", label="string")


@pytest.fixture
async def shop(client):
    await client.define(AUTHOR, BOOK, TAG)
    return client


def books(**changes):
    return {**one_to_many("books", "author", "book"), **changes}


def tags(**changes):
    return {**many_to_many("tags", "book", "tag"), **changes}


def without(definition, *keys):
    return {key: value for key, value in definition.items() if key not in keys}


async def check_refusals(client, cases):
    found = []
    for body, _ in cases:
        answer = await client.post("_admin/relations", body)
        refused = answer.status == 422 and answer.error["code"] == "VALIDATION_FAILED"
        found.append(answer.error["message"] if refused else str(answer))
    assert found == [message for _, message in cases]
    assert (await client.get("_admin/relations")).data == []


async def test_names_ends_and_types_that_are_refused(shop):
    await check_refusals(
        shop,
        [
            ({}, "relation name is required"),
            (books(name=None), "relation name is required"),
            (books(name=""), "relation name is required"),
            (books(name=7), "invalid relation name: 7"),
            *[(books(name=name), f"invalid relation name: {name}") for name in BAD_NAMES],
            *[
                (body, "source and target are required")
                for body in (
                    without(books(), "source"),
                    without(books(), "target"),
                    books(source=None),
                    books(target=""),
                    books(source="", target="ghost"),
                )
            ],
            (books(source="ghost"), "source entity not found: ghost"),
            (books(source="Author"), "source entity not found: Author"),
            (books(source=["author"]), 'source entity not found: ["author"]'),
            (books(target="ghost"), "target entity not found: ghost"),
            (books(target="books"), "target entity not found: books"),
            (books(source="a", target="b"), "source entity not found: a"),
            (without(books(), "type"), "invalid relation type: null"),
            (books(type="many_to_one"), "invalid relation type: many_to_one"),
            (books(type="ONE_TO_MANY"), "invalid relation type: ONE_TO_MANY"),
            (books(type=["one_to_many"]), 'invalid relation type: ["one_to_many"]'),
        ],
    )


async def test_join_tables_that_are_refused(shop):
    await check_refusals(
        shop,
        [
            *[
                (body, "join_table is required for many_to_many relations")
                for body in (without(tags(), "join_table"), tags(join_table=None), tags(join_table=""))
            ],
            (tags(join_table="No"), "invalid join_table: No"),
            (tags(join_table="_entities"), "invalid join_table: _entities"),
            (tags(join_table=["j"]), 'invalid join_table: ["j"]'),
            (tags(source_join_key="No"), "invalid source_join_key: No"),
            (tags(target_join_key="a b"), "invalid target_join_key: a b"),
            (tags(source_join_key=1, target_join_key=2), "invalid source_join_key: 1"),
            (tags(source_join_key="k", target_join_key="k"), "source_join_key and target_join_key must differ"),
            (tags(source_join_key="tag_id"), "source_join_key and target_join_key must differ"),
            (many_to_many("like", "tag", "tag", "j"), "source_join_key and target_join_key must differ"),
        ],
    )


async def test_keys_that_are_refused(shop):
    await check_refusals(
        shop,
        [
            *[
                (body, "target_key is required")
                for body in (
                    without(books(), "target_key"),
                    books(target_key=None),
                    books(target_key=""),
                    without(books(type="one_to_one"), "target_key"),
                    without(books(source_key="code"), "target_key"),
                    without(books(source_key="ghost"), "target_key"),
                )
            ],
            (books(target_key="ghost"), 'target key field "ghost" not found in book'),
            (books(target_key="name"), 'target key field "name" not found in book'),
            (books(target_key=7), 'target key field "7" not found in book'),
            (books(target_key="ghost", source_key="ghost"), 'target key field "ghost" not found in book'),
            (books(source_key="ghost"), 'source key field "ghost" not found in author'),
            (books(source_key=7), 'source key field "7" not found in author'),
            (books(source_key="name", target_key="title"), 'source key field "name" must be unique'),
            (books(source_key="rank", target_key="title"), 'source key field "rank" must be unique'),
            (books(target_key="title"), 'target key field "title" must have the type of author.id'),
            (books(source_key="code"), 'target key field "author_id" must have the type of author.code'),
            (
                books(source_key="number", target_key="title"),
                'target key field "title" must have the type of author.number',
            ),
        ],
    )


async def test_choices_that_are_refused(shop):
    choices = [
        *[("on_delete", value, value) for value in ("delete", "CASCADE", "")],
        ("on_delete", 1, "1"),
        ("on_delete", ["cascade"], '["cascade"]'),
        ("fetch", "always", "always"),
        ("fetch", True, "true"),
        ("write_mode", "merge", "merge"),
        ("ownership", "both", "both"),
    ]
    cases = [
        (definition(**{key: value}), f"invalid {key}: {shown}")
        for key, value, shown in choices
        for definition in (books, tags)
    ]
    await check_refusals(shop, cases)


async def test_the_first_failing_check_answers(shop):
    """Everything is wrong at first; repairs in the order of the checks let the next one speak."""
    choices = [
        ("invalid on_delete: x", {"on_delete": None}),
        ("invalid fetch: x", {"fetch": "lazy"}),
        ("invalid write_mode: x", {"write_mode": None}),
        ("invalid ownership: x", {"ownership": "none"}),
    ]
    start = [
        ("relation name is required", {"name": "No"}),
        ("invalid relation name: No", {"name": "r"}),
        ("source and target are required", {"source": "x", "target": "x"}),
        ("source entity not found: x", {"source": "author"}),
        ("target entity not found: x", {"target": "book"}),
    ]
    keyed = [
        ("invalid relation type: x", {"type": "one_to_one"}),
        ("target_key is required", {"target_key": "x"}),
        ('target key field "x" not found in book', {"target_key": "author_id"}),
        ('source key field "x" not found in author', {"source_key": "name"}),
        ('source key field "name" must be unique', {"source_key": "code"}),
        ('target key field "author_id" must have the type of author.code', {"target_key": "author_code"}),
    ]
    joined = [
        ("invalid relation type: x", {"type": "many_to_many"}),
        ("join_table is required for many_to_many relations", {"join_table": "X"}),
        ("invalid join_table: X", {"join_table": "j"}),
        ("invalid source_join_key: X", {"source_join_key": "k"}),
        ("invalid target_join_key: X", {"target_join_key": "k"}),
        ("source_join_key and target_join_key must differ", {"target_join_key": "l"}),
    ]
    wrong = dict.fromkeys(("type", "source_key", "on_delete", "fetch", "write_mode", "ownership"), "x")
    for middle in (keyed, joined):
        body, cases = {**wrong, "source_join_key": "X", "target_join_key": "X"}, []
        for message, repaired in [*start, *middle, *choices]:
            cases.append((body, message))
            body = {**body, **repaired}
        await check_refusals(shop, cases)
        (await shop.post("_admin/relations", body)).require(201)
        (await shop.delete("_admin/relations/r")).require(200)


async def test_a_relation_is_there_already(shop):
    await shop.relate(books())
    before = (await shop.get("_admin/relations")).data
    for body in (books(), tags(name="books")):
        assert_error(await shop.post("_admin/relations", body), 409, "CONFLICT", "Relation already exists: books", [])
    faulty = await shop.post("_admin/relations", books(fetch="x"))
    assert_error(faulty, 422, "VALIDATION_FAILED", "invalid fetch: x")
    assert (await shop.get("_admin/relations")).data == before


async def test_answers_join_the_definition_with_the_stored_row(shop, clock):
    definition = {"color": {"b": 1, "a": [None]}, **tags(on_delete="cascade", ownership="source", source_key="title")}
    made = (await shop.post("_admin/relations", definition)).require(201).data
    row = {
        "name": "tags",
        "source": "book",
        "target": "tag",
        "definition": definition,
        "created_at": NOW,
        "updated_at": NOW,
    }
    assert made == {**definition, **row}
    assert list(made) == [*definition, "definition", "created_at", "updated_at"]
    assert list(made["definition"]) == list(definition)
    await shop.relate(books())
    shown = (await shop.get("_admin/relations/tags")).require(200).data
    assert shown == row
    assert list(shown) == ROW_MEMBERS
    listed = (await shop.get("_admin/relations")).require(200)
    assert list(listed.json) == ["data"]
    assert [item["name"] for item in listed.data] == ["books", "tags"]
    assert listed.data[1] == row
    # PUT replaces the whole; the name is the path's.
    clock.advance(minutes=1)
    changed = without(tags(name="other", fetch="eager"), "join_table") | {"join_table": "j"}
    answer = (await shop.put("_admin/relations/tags", changed)).require(200).data
    kept = {**changed, "name": "tags"}
    assert answer == {**kept, **row, "definition": kept, "updated_at": LATER}
    assert (await shop.get("_admin/relations/tags")).data == {**row, "definition": kept, "updated_at": LATER}
    deleted = (await shop.delete("_admin/relations/tags")).require(200)
    assert deleted.json == {"data": {"name": "tags", "deleted": True}}


async def test_a_relation_that_is_not_there(shop):
    await shop.relate(books())
    for name in ("book", "BOOKS", "%00"):
        for method, body in (("GET", None), ("PUT", {}), ("DELETE", None)):
            sent = {} if body is None else {"json": body}
            answer = await shop.request(method, f"_admin/relations/{name}", **sent)
            shown = "\x00" if name == "%00" else name
            assert_error(answer, 404, "NOT_FOUND", f"Relation not found: {shown}", [])
    refused = await shop.put("_admin/relations/books", {})
    assert_error(refused, 422, "VALIDATION_FAILED", "source and target are required")


async def test_a_key_of_the_target_is_tolerated_as_source_key(shop):
    given = without(books(source_key="author_id"), "target_key")
    made = (await shop.post("_admin/relations", given)).require(201).data
    assert made["definition"] == given
    author = await shop.create("author", {"name": "Jane"})
    book = await shop.create("book", {"author_id": author["id"]})
    assert (await shop.get("author?include=books")).data == [{**author, "books": [book]}]
    # The same on PUT, and with a target_key that says the same.
    (await shop.put("_admin/relations/books", given)).require(200)
    (await shop.put("_admin/relations/books", {**given, "target_key": "author_id"})).require(200)
    assert (await shop.get("author?include=books")).data == [{**author, "books": [book]}]
    # And by import, where it is the same relation as the one stored.
    answer = await shop.post("_admin/import", {"version": 1, "relations": [books()]})
    assert "errors" not in answer.require(200).data
    planned = await shop.post("_admin/import?mode=plan", {"version": 1, "relations": [books()]})
    assert planned.require(200).data == {"changes": [], "records": {}}


async def test_an_unknown_source_key_of_many_to_many_is_the_primary_key(shop):
    await shop.relate(tags(source_key="ghost"))
    tag = await shop.create("tag", {"label": "new"})
    book = await shop.create("book", {"tags": [tag["id"]]})
    assert (await shop.get(f"book/{book['id']}?include=tags")).data["tags"] == [tag]


async def test_keys_of_every_kind_meet(shop):
    await shop.relate(
        books(name="by_code", source_key="code", target_key="author_code"),
        books(name="by_number", source_key="number", target_key="author_number"),
    )
    author = await shop.create("author", {"code": "ja", "number": 7})
    await shop.create("author", {})
    book = await shop.create("book", {"author_code": "ja", "author_number": 7})
    await shop.create("book", {})
    shown = (await shop.get(f"author/{author['id']}?include=by_code,by_number")).data
    assert shown["by_code"] == shown["by_number"] == [book]


async def test_one_to_one_makes_its_key_unique_and_lets_go_of_it_again(shop):
    author = await shop.create("author", {})
    first = await shop.create("book", {"author_id": author["id"]})
    second = await shop.create("book", {"author_id": author["id"]})
    diary = one_to_one("diary", "author", "book")
    refused = await shop.post("_admin/relations", diary)
    assert_error(refused, 409, "CONFLICT", "Field author_id has duplicate values", [])
    assert (await shop.get("_admin/relations")).data == []
    await shop.delete(f"book/{second['id']}")
    await shop.relate(diary)
    again = {"author_id": author["id"]}
    detail = {"field": "author_id", "rule": "unique", "message": "author_id already exists"}
    assert_error(await shop.post("book", again), 409, "CONFLICT", "A record with this value already exists", [detail])
    await shop.create("book", {"author_id": None})
    await shop.create("book", {})
    (await shop.put("_admin/relations/diary", books(name="diary"))).require(200)
    await shop.create("book", again)
    assert_error(
        await shop.put("_admin/relations/diary", diary), 409, "CONFLICT", "Field author_id has duplicate values"
    )
    assert (await shop.get("_admin/relations/diary")).data["definition"]["type"] == "one_to_many"
    assert len((await shop.get(f"author/{author['id']}?include=diary")).data["diary"]) == 2
    assert (await shop.get(f"book/{first['id']}")).status == 200


@pytest.mark.parametrize("gone", ["_admin/relations/diary", "_admin/entities/author"])
async def test_a_key_is_no_longer_unique_when_one_to_one_goes(shop, gone):
    await shop.relate(one_to_one("diary", "author", "book"))
    author = await shop.create("author", {})
    await shop.create("book", {"author_id": author["id"]})
    (await shop.delete(gone)).require(200)
    await shop.create("book", {"author_id": author["id"]})
    assert (await shop.get("book")).meta["total"] == 2


async def test_links_outlive_their_relation(shop):
    await shop.relate(tags())
    tag = await shop.create("tag", {"label": "new"})
    book = await shop.create("book", {"tags": [tag["id"]]})
    (await shop.delete("_admin/relations/tags")).require(200)
    assert_error(await shop.get("book?include=tags"), 400, "UNKNOWN_FIELD", "Unknown include: tags")
    assert_error(await shop.get("book_tag"), 404, "UNKNOWN_ENTITY", "Unknown entity: book_tag")
    await shop.relate(tags(name="labels"))
    assert (await shop.get(f"book/{book['id']}?include=labels")).data["labels"] == [tag]


async def test_a_join_table_is_no_entity_and_takes_no_table_of_one(shop):
    await shop.relate(tags())
    assert_error(await shop.get("book_tag"), 404, "UNKNOWN_ENTITY", "Unknown entity: book_tag")
    taken = await shop.post("_admin/relations", tags(name="more", join_table="author"))
    assert_error(taken, 409, "CONFLICT", "Table already in use: author")
    # Two relations may share one table when its columns are the same.
    (await shop.post("_admin/relations", tags(name="more"))).require(201)
    refused = await shop.post("_admin/relations", tags(name="third", source_join_key="other"))
    assert refused.status == 422
    assert [row["name"] for row in (await shop.get("_admin/relations")).data] == ["more", "tags"]


async def test_a_table_with_both_columns_is_used_as_a_join_table(shop):
    await shop.define(entity("labelled", book_id="uuid", tag_id="uuid", id="int"))
    book, tag = await shop.create("book", {}), await shop.create("tag", {})
    await shop.create("labelled", {"book_id": book["id"], "tag_id": tag["id"]})
    (await shop.delete("_admin/entities/labelled")).require(200)
    await shop.relate(tags(join_table="labelled"))
    assert (await shop.get(f"book/{book['id']}?include=tags")).data["tags"] == [tag]
