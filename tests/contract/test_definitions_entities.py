"""Defining entities through the admin API: contract §4.1 to §4.3 and §4.6."""

import pytest

from rocket_kernel.testing import assert_error, entity, many_to_many, one_to_many

NOW = "2026-01-02T03:04:05.678Z"
LATER = "2026-01-02T03:05:05.678Z"
KEY = {"field": "id", "type": "uuid", "generated": True}
BASE = {"name": "thing", "primary_key": KEY, "fields": [{"name": "id", "type": "uuid"}]}
LONG = "a" * 63
TOO_LONG = "a" * 64
ROW_MEMBERS = ["name", "table_name", "definition", "created_at", "updated_at"]
BAD_NAMES = [
    "Thing",
    "_x",
    "1a",
    TOO_LONG,
    "é",
    "straße",
    'a"b',
    "a'b",
    "a;drop table x",
    "a b",
    " a",
    "a-b",
    "a.b",
    "a\n",
    "ａ",
]


def with_fields(*fields, **more):
    """The base definition with these fields behind the key."""
    return {**BASE, "fields": [{"name": "id", "type": "uuid"}, *fields], **more}


def with_field(**properties):
    return with_fields({"name": "x", "type": "string", **properties})


def keyed(field_type, **key):
    return {**BASE, "primary_key": {"field": "id", **key}, "fields": [{"name": "id", "type": field_type}]}


def slugged(slug, **field):
    return with_fields({"name": "s", "type": "string", "unique": True, **field}, slug=slug)


async def outcomes(client, bodies, path="_admin/entities"):
    """What came of each body: the message of a 422, else the whole answer as text."""
    found = []
    for body in bodies:
        answer = await client.post(path, body)
        refused = answer.status == 422 and answer.error["code"] == "VALIDATION_FAILED"
        found.append(answer.error["message"] if refused else str(answer))
    return found


async def check_refusals(client, cases):
    assert await outcomes(client, [body for body, _ in cases]) == [message for _, message in cases]
    assert (await client.get("_admin/entities")).data == []


async def test_names_and_tables_that_are_refused(client):
    await check_refusals(
        client,
        [
            ({}, "entity name is required"),
            ({**BASE, "name": None}, "entity name is required"),
            ({**BASE, "name": ""}, "entity name is required"),
            ({**BASE, "name": "auth"}, "invalid entity name: auth"),
            ({**BASE, "name": 7}, "invalid entity name: 7"),
            ({**BASE, "name": False}, "invalid entity name: false"),
            ({**BASE, "name": ["a"]}, 'invalid entity name: ["a"]'),
            *[({**BASE, "name": name}, f"invalid entity name: {name}") for name in BAD_NAMES],
            ({**BASE, "table": ""}, "table name is required"),
            ({**BASE, "table": 7}, "invalid table name: 7"),
            ({**BASE, "table": {"a": 1}}, 'invalid table name: {"a":1}'),
            *[({**BASE, "table": name}, f"invalid table name: {name}") for name in BAD_NAMES],
            # Databases keep such names for themselves; both refuse what one of them would.
            ({**BASE, "table": "sqlite_things"}, "invalid table name: sqlite_things"),
            ({**BASE, "table": "pg_things"}, "invalid table name: pg_things"),
        ],
    )


async def test_keys_that_are_refused(client):
    without = {"name": "thing"}
    await check_refusals(
        client,
        [
            *[
                ({**without, "primary_key": KEY, **fields}, "entity must have at least one field")
                for fields in ({}, {"fields": None}, {"fields": []}, {"fields": {}}, {"fields": "id"})
            ],
            *[
                ({**BASE, "primary_key": key}, "primary key field is required")
                for key in (None, {}, [], 7, "", {"field": ""}, {"field": None}, {"field": 7})
            ],
            ({**without, "fields": BASE["fields"]}, "primary key field is required"),
            ({**BASE, "primary_key": {"fields": ["a", "b"]}}, "composite primary keys are not supported"),
            ({**BASE, "primary_key": {**KEY, "fields": ["id"]}}, "composite primary keys are not supported"),
            ({**BASE, "primary_key": {"field": "no"}}, "primary key field no not found in fields"),
            (keyed("uuid", type="serial"), "invalid primary key type: serial"),
            (keyed("uuid", type="float"), "invalid primary key type: float"),
            (keyed("uuid", type=7), "invalid primary key type: 7"),
            *[
                (keyed(type), f"invalid primary key type: {type}")
                for type in ("float", "decimal", "boolean", "date", "timestamp", "json")
            ],
            (keyed("uuid", type="string"), "primary key type string does not match field id"),
            (keyed("int", type="bigint"), "primary key type bigint does not match field id"),
            (keyed("float", type="int"), "primary key type int does not match field id"),
        ],
    )


async def test_fields_that_are_refused(client):
    await check_refusals(
        client,
        [
            *[
                (with_fields(field), "field name is required")
                for field in ({}, {"name": None}, {"name": ""}, "a", 7, None)
            ],
            *[(with_field(name=name), f"invalid field name: {name}") for name in BAD_NAMES],
            (with_field(name=7), "invalid field name: 7"),
            # Columns that every table of one of the databases has already.
            *[(with_field(name=name), f"invalid field name: {name}") for name in ("ctid", "xmin", "tableoid")],
            (with_fields({"name": "a", "type": "int"}, {"name": "a", "type": "int"}), "duplicate field name: a"),
            (with_field(name="id"), "duplicate field name: id"),
            (with_field(type=None), "invalid field type: null for field x"),
            (with_field(type=""), "invalid field type:  for field x"),
            (with_field(type="varchar"), "invalid field type: varchar for field x"),
            (with_field(type="String"), "invalid field type: String for field x"),
            (with_field(type=["int"]), 'invalid field type: ["int"] for field x'),
            (with_field(type="file"), "plugin 'files' is not enabled"),
            *[
                (with_field(enum=enum), "invalid enum for field x")
                for enum in ([], "a,b", {}, 7, False, [["a"]], [{"a": 1}])
            ],
            (with_field(type="int", enum=["one"]), "invalid enum for field x"),
            *[
                (with_field(type="decimal", precision=value), "invalid precision for field x")
                for value in (-1, 19, 1.5, "2", True, [2], 1e300)
            ],
            (with_field(precision=19), "invalid precision for field x"),
            *[
                (with_field(type="timestamp", auto=auto), "invalid auto value for field x")
                for auto in ("insert", "CREATE", "", 1, True, ["create"])
            ],
            *[
                (with_field(type=type, auto="create"), "invalid auto value for field x")
                for type in ("string", "int", "boolean", "uuid", "json")
            ],
        ],
    )


async def test_defaults_that_are_refused(client):
    refused = [
        ("int", "one"),
        ("int", 1.5),
        ("int", 2**31),
        ("bigint", "9223372036854775808"),
        ("float", "wide"),
        ("decimal", "1,5"),
        ("boolean", "maybe"),
        ("boolean", 2),
        ("uuid", "123"),
        ("timestamp", "now"),
        ("timestamp", 0),
        ("date", "2024-02-30"),
    ]
    await check_refusals(
        client,
        [
            *[(with_field(type=type, default=value), "invalid default for field x") for type, value in refused],
            (with_field(enum=["a", "b"], default="c"), "invalid default for field x"),
            (with_field(type="decimal", precision=18, default="12.5"), "invalid default for field x"),
        ],
    )


async def test_slugs_that_are_refused(client):
    await check_refusals(
        client,
        [
            (slugged({"field": "no"}), 'slug field "no" not found in fields'),
            (slugged({}), 'slug field "null" not found in fields'),
            (slugged({"field": "s"}, type="int"), 'slug field "s" must be of type string or text'),
            (slugged({"field": "s"}, unique=False), 'slug field "s" must have unique: true'),
            (slugged({"field": "s", "source": "no"}), 'slug source field "no" not found in fields'),
        ],
    )


async def test_the_first_failing_check_answers(client):
    """Everything is wrong at first; repairs in the order of the checks let the next one speak."""
    field = {"name": "", "type": "varchar", "enum": [], "precision": 99, "auto": "never", "default": "x"}
    broken = {
        "name": "",
        "table": "",
        "fields": [],
        "primary_key": None,
        "slug": {"field": "no", "source": "no"},
    }
    steps = [
        ("entity name is required", {"name": "No"}, {}),
        ("invalid entity name: No", {"name": "thing"}, {}),
        ("table name is required", {"table": "No"}, {}),
        ("invalid table name: No", {"table": "things"}, {}),
        ("entity must have at least one field", {"fields": [{"name": "s", "type": "int"}, field]}, {}),
        ("primary key field is required", {"primary_key": {"field": "id", "fields": []}}, {}),
        ("composite primary keys are not supported", {"primary_key": {"field": "id", "type": "serial"}}, {}),
        ("field name is required", {}, {"name": "No"}),
        ("invalid field name: No", {}, {"name": "s"}),
        ("duplicate field name: s", {}, {"name": "at"}),
        ("invalid field type: varchar for field at", {}, {"type": "timestamp"}),
        ("invalid enum for field at", {}, {"enum": ["2024-01-01"]}),
        ("invalid precision for field at", {}, {"precision": 2}),
        ("invalid auto value for field at", {}, {"auto": "create"}),
        ("invalid default for field at", {}, {"default": None}),
        ("primary key field id not found in fields", {"primary_key": {"field": "at", "type": "serial"}}, {}),
        ("invalid primary key type: serial", {"primary_key": {"field": "s", "type": "uuid"}}, {}),
        ("primary key type uuid does not match field s", {"primary_key": {"field": "s"}}, {}),
        ('slug field "no" not found in fields', {"slug": {"field": "s", "source": "no"}}, {}),
        (
            'slug field "s" must be of type string or text',
            {},
            {"name": "x", "type": "string", "enum": None, "auto": None},
        ),
    ]
    definition, found = broken, []
    for _, repaired, repaired_field in steps:
        found += await outcomes(client, [definition])
        definition = {**definition, **repaired}
        if repaired_field:
            field = {**field, **repaired_field}
            definition["fields"] = [definition["fields"][0], field]
    assert found == [message for message, _, _ in steps]
    text = {"name": "x", "type": "string"}
    key = {"name": "s", "type": "int"}
    last = {**definition, "slug": {"field": "x", "source": "no"}}
    assert await outcomes(client, [{**last, "fields": [key, text]}]) == ['slug field "x" must have unique: true']
    unique = {**last, "fields": [key, {**text, "unique": True}]}
    assert await outcomes(client, [unique]) == ['slug source field "no" not found in fields']
    assert (await client.get("_admin/entities")).data == []
    (await client.post("_admin/entities", {**unique, "slug": {"field": "x", "source": "s"}})).require(201)


async def test_an_entity_or_a_table_is_there_already(client):
    await client.define(entity("book", {"table": "books"}))
    before = (await client.get("_admin/entities")).data
    for body, message in [
        (entity("book"), "Entity already exists: book"),
        (entity("book", {"table": "books"}), "Entity already exists: book"),
        (entity("books"), "Table already in use: books"),
        (entity("novel", {"table": "books"}), "Table already in use: books"),
    ]:
        assert_error(await client.post("_admin/entities", body), 409, "CONFLICT", message, [])
    # What is wrong in itself is told before what is taken.
    assert await outcomes(client, [{"name": "book"}]) == ["entity must have at least one field"]
    await client.define(entity("book_two", {"table": "book"}))
    assert_error(await client.put("_admin/entities/book_two", entity("x", {"table": "books"})), 409, "CONFLICT")
    rows = (await client.get("_admin/entities")).data
    assert rows[0] == before[0]
    assert [(row["name"], row["table_name"]) for row in rows] == [("book", "books"), ("book_two", "book")]


async def test_answers_join_the_definition_with_the_stored_row(client, clock):
    definition = {
        "label": {"z": [1, None, "ü"], "a": 1.5},
        "name": "book",
        "fields": [{"name": "id", "type": "uuid", "icon": "key"}, {"name": "title", "type": "string", "x": {"b": 1}}],
        "primary_key": {"field": "id", "extra": True},
        "big": 12345678901234567890,
    }
    made = (await client.post("_admin/entities", definition)).require(201).data
    row = {
        "name": "book",
        "table_name": "book",
        "definition": definition,
        "created_at": NOW,
        "updated_at": NOW,
    }
    assert made == {**definition, **row}
    assert list(made) == [*definition, *ROW_MEMBERS[1:]]
    assert list(made["definition"]) == list(definition)
    clock.advance(minutes=1)
    await client.define(entity("author", {"table": "writers"}))
    shown = (await client.get("_admin/entities/book")).require(200).data
    assert shown == row
    assert list(shown) == ROW_MEMBERS
    assert list(shown["definition"]) == list(definition)
    listed = (await client.get("_admin/entities")).require(200)
    assert list(listed.json) == ["data"]
    assert [item["name"] for item in listed.data] == ["author", "book"]
    assert listed.data[1] == row
    assert listed.data[0]["created_at"] == LATER


async def test_put_replaces_the_whole_and_keeps_the_name(client, clock):
    await client.define({**entity("book", title="string"), "note": "mine", "soft_delete": True})
    clock.advance(minutes=1)
    changed = {
        "name": "other",
        "primary_key": KEY,
        "fields": [{"name": "id", "type": "uuid"}, {"name": "isbn", "type": "text"}],
    }
    answer = (await client.put("_admin/entities/book", changed)).require(200).data
    definition = {**changed, "name": "book"}
    row = {"name": "book", "table_name": "book", "definition": definition, "created_at": NOW, "updated_at": LATER}
    assert answer == {**definition, **row}
    assert (await client.get("_admin/entities/book")).data == row
    assert list(await client.create("book", {"isbn": "1"})) == ["id", "isbn"]
    assert_error(await client.get("_admin/entities/other"), 404, "NOT_FOUND", "Entity not found: other")
    without_name = {key: value for key, value in changed.items() if key != "name"}
    assert (await client.put("_admin/entities/book", without_name)).require(200).data["name"] == "book"


async def test_an_entity_that_is_not_there(client):
    await client.define(entity("book"))
    for name in ("boook", "BOOK", "a b", "bo%2Fok", "%00"):
        shown = {"bo%2Fok": "bo/ok", "%00": "\x00"}.get(name, name)
        for method, body in (("GET", None), ("PUT", {}), ("DELETE", None)):
            sent = {} if body is None else {"json": body}
            answer = await client.request(method, f"_admin/entities/{name}", **sent)
            assert_error(answer, 404, "NOT_FOUND", f"Entity not found: {shown}", [])
    # PUT looks for the entity first, then at the definition.
    assert_error(
        await client.put("_admin/entities/book", {}), 422, "VALIDATION_FAILED", "entity must have at least one field"
    )


async def test_deleting_keeps_the_data_and_takes_the_relations_of_both_ends(client):
    await client.define(
        entity("author", name="string"), entity("book", author_id="uuid", title="string"), entity("tag", book_id="uuid")
    )
    await client.relate(
        one_to_many("author_books", "author", "book"),
        one_to_many("book_tags", "book", "tag"),
        many_to_many("author_tags", "author", "tag"),
    )
    kept = await client.create("book", {"title": "Emma"})
    answer = (await client.delete("_admin/entities/book")).require(200)
    assert answer.json == {"data": {"name": "book", "deleted": True}}
    assert [row["name"] for row in (await client.get("_admin/relations")).data] == ["author_tags"]
    assert_error(await client.get("book"), 404, "UNKNOWN_ENTITY", "Unknown entity: book")
    assert_error(await client.get("author?include=author_books"), 400, "UNKNOWN_FIELD")
    assert (await client.get("author?include=author_tags")).status == 200
    assert_error(await client.delete("_admin/entities/book"), 404, "NOT_FOUND", "Entity not found: book")
    await client.define(entity("book", title="string"))
    assert (await client.get("book")).data == [{"id": kept["id"], "title": "Emma"}]


async def test_an_entity_takes_over_a_table_that_is_there(client):
    await client.define(entity("book", {"table": "shelf"}, title="string!", pages="int"))
    kept = await client.create("book", {"title": "Emma", "pages": 3})
    await client.delete("_admin/entities/book")
    # Another name, other columns; what it does not declare stays where it is and hinders nobody.
    await client.define(entity("novel", {"table": "shelf"}, pages="int", more="string default=new"))
    assert (await client.get("novel")).data == [{"id": kept["id"], "pages": 3, "more": "new"}]
    await client.create("novel", {"pages": 4})
    cannot = [
        (entity("other", {"table": "shelf"}, title="int"), "cannot change type of field title from text to integer"),
        (entity("other", {"table": "shelf"}, id="int"), "cannot change primary key of shelf"),
    ]
    await client.delete("_admin/entities/novel")
    refused = await outcomes(client, [body for body, _ in cannot])
    assert refused[0] == cannot[0][1]
    assert refused[1].startswith("cannot change ")
    assert (await client.get("_admin/entities")).data == []


@pytest.mark.parametrize("given", [{}, {"table": None, "slug": None, "soft_delete": None, "audit": None}])
async def test_null_is_as_good_as_leaving_it_out(client, given):
    field = {"name": "x", "type": "string", **dict.fromkeys(["required", "unique", "default", "enum", "auto"])}
    made = (await client.post("_admin/entities", with_fields(field, **given))).require(201).data
    assert made["table_name"] == "thing"
    assert (await client.create("thing", {}))["x"] is None


async def test_flags_must_be_booleans(client):
    await check_refusals(
        client,
        [
            *[
                (with_field(**{flag: "true"}), f"{flag} must be true or false")
                for flag in ("required", "unique", "nullable")
            ],
            ({**BASE, "soft_delete": 1}, "soft_delete must be true or false"),
            ({**BASE, "audit": "yes"}, "audit must be true or false"),
            ({**BASE, "primary_key": {**KEY, "generated": 1}}, "generated must be true or false"),
        ],
    )
