"""Export and import: contract §14. What kinds of plugins add is told in tests/plugins/test_plugins_kinds.py."""

import json

import pytest

from rocket_kernel.testing import assert_error, entity, many_to_many, one_to_many

NOW = "2026-01-02T03:04:05.678Z"
ABSENT = {
    "rules": "rules",
    "state_machines": "statemachines",
    "workflows": "workflows",
    "permissions": "auth",
    "webhooks": "webhooks",
    "ui_configs": "uiconfigs",
}
NOTHING = dict.fromkeys(["entities", "relations", *ABSENT, "records"], 0)

POST = entity("post", {"table": "posts", "extra": {"b": 1.50, "a": [None]}}, title="string! unique", stars="int")
TAG = entity("tag", name="string!")
NOTE = entity("note", id="int", post_id="uuid", text="string", made="timestamp auto=create")
TAGS = many_to_many("tags", "post", "tag", "post_tags", on_delete="restrict")
NOTES = one_to_many("notes", "post", "note", fetch="eager")


async def load(client, document, mode=""):
    return await client.post(f"_admin/import{mode}", document)


async def imported(client, document, errors=None, **counts):
    """Import what must be accepted, with these counts and errors."""
    answer = (await load(client, document)).require(200)
    expected = {"message": "Import completed", "summary": {**NOTHING, **counts}}
    assert answer.json == {"data": {**expected, "errors": errors} if errors else expected}
    return answer


async def rows(client, name):
    listed = await client.get(f"{name}?per_page=200")
    return listed.data if listed.status == 200 else listed.error["code"]


async def test_an_export_is_the_definitions_and_nothing_else(client):
    await client.define(TAG, POST, NOTE)
    await client.relate(TAGS, NOTES)
    await client.create("post", {"title": "secret", "tags": [{"name": "x"}]})
    exported = (await client.get("_admin/export")).require(200)
    assert list(exported.json) == ["data"]
    assert list(exported.data) == ["version", "exported_at", "entities", "relations", *ABSENT]
    assert exported.data == {
        "version": 1,
        "exported_at": NOW,
        "entities": [NOTE, POST, TAG],
        "relations": [NOTES, TAGS],
        **{name: [] for name in ABSENT},
    }
    assert "secret" not in exported.text


async def test_an_export_of_an_empty_app(client):
    exported = (await client.get("_admin/export")).data
    assert exported == {"version": 1, "exported_at": NOW, **{name: [] for name in ("entities", "relations", *ABSENT)}}


async def test_export_import_export_is_byte_identical(client, clock):
    # Members keep the order in which they were given, whatever it is.
    shuffled = json.loads(json.dumps(POST, sort_keys=True))
    tolerated = {"type": "one_to_many", "name": "notes", "target": "note", "source": "post", "source_key": "post_id"}
    await client.define(shuffled, NOTE, TAG)
    await client.relate({**TAGS, "source_key": "nonsense"}, tolerated)
    first = await client.get("_admin/export")
    clock.advance(days=1)
    other = await client.with_headers({}).app("other")
    await imported(other, first.data, entities=3, relations=2)
    second = await other.get("_admin/export")
    assert second.body == first.body.replace(NOW.encode(), b"2026-01-03T03:04:05.678Z")
    assert second.body != first.body
    # What was imported is in force.
    made = await other.create("post", {"title": "x", "tags": [{"name": "t"}], "notes": [{"text": "n"}]})
    read = (await other.get(f"post/{made['id']}?include=notes,tags")).data
    assert ([note["text"] for note in read["notes"]], [tag["name"] for tag in read["tags"]]) == (["n"], ["t"])


async def test_importing_again_changes_nothing(client):
    document = {
        "entities": [POST, TAG, NOTE],
        "relations": [TAGS, NOTES],
        "sample_data": {"tag": [{"name": "a"}, {"name": "b"}], "note": [{"id": 5, "text": "x"}, {"text": "y"}]},
    }
    await imported(client, document, entities=3, relations=2, records=4)
    before = [await client.get(path) for path in ("_admin/export", "_admin/entities", "tag", "note")]
    for again in (document, {"data": document}, {"version": 1, **document}):
        await imported(client, again)
    # Neither the order of members nor what says the same as a default matters.
    spelled = {"soft_delete": False, "audit": False, "table": "tag", **json.loads(json.dumps(TAG, sort_keys=True))}
    spelled["primary_key"] = {"field": "id", "generated": True}
    await imported(client, {"entities": [spelled], "relations": [{**NOTES, "write_mode": "diff", "source_key": "id"}]})
    assert [(await client.get(answer.path)).body for answer in before] == [answer.body for answer in before]


async def test_a_stored_item_that_differs_stays(client):
    await client.define(POST, NOTE)
    await client.relate(NOTES)
    differing = {**POST, "fields": [*POST["fields"], {"name": "more", "type": "string"}]}
    document = {"entities": [differing, TAG], "relations": [{**NOTES, "fetch": "lazy"}]}
    planned = (await load(client, document, "?mode=plan")).require(200).data
    skipped = [
        {"action": "skip", "kind": kind, "key": key} for kind, key in (("entity", "post"), ("relation", "notes"))
    ]
    assert [change for change in planned["changes"] if change["action"] == "skip"] == skipped
    await imported(client, document, entities=1)
    exported = (await client.get("_admin/export")).data
    assert (exported["entities"], exported["relations"]) == ([NOTE, POST, TAG], [NOTES])


async def test_a_plan_tells_and_writes_nothing(client):
    await client.define(TAG)
    await client.create("tag", {"name": "old"})
    before = (await client.get("_admin/export")).body
    document = {
        "entities": [POST, TAG, {"name": "bad"}],
        "relations": [TAGS, {**NOTES, "target": "nowhere"}],
        "rules": [{}],
        "sample_data": {"posts": [{"title": "x"}, {"title": ""}], "tag": [{"name": "old"}, {"name": "new"}]},
    }
    plan = (await load(client, document, "?mode=plan")).require(200).data
    assert list(plan) == ["changes", "records", "errors"]
    assert [(change["action"], change["kind"], change["key"]) for change in plan["changes"]] == [
        ("create", "entity", "post"),
        ("create", "relation", "tags"),
    ]
    ddl = [" ".join(change["ddl"]) for change in plan["changes"]]
    assert '"posts"' in ddl[0]
    assert '"post_tags"' in ddl[1]
    assert plan["records"] == {"post": 1, "tag": 1}
    assert plan["errors"] == [
        "rules: plugin 'rules' is not enabled",
        "entity bad: entity must have at least one field",
        "relation notes: target entity not found: nowhere",
        "record post: title is required",
    ]
    assert (await client.get("_admin/export")).body == before
    assert await rows(client, "post") == "UNKNOWN_ENTITY"
    assert [row["name"] for row in await rows(client, "tag")] == ["old"]
    # The same document is then applied as planned.
    await imported(client, document, plan["errors"], entities=1, relations=1, records=2)
    assert (await load(client, document, "?mode=plan")).data["changes"] == []


async def test_an_item_that_fails_is_told_and_the_rest_goes_on(client):
    await client.define(entity("taken", {"table": "t"}, name="string"))
    await client.create("taken", {"name": "kept"})
    entities = [entity(f"e{number}", name="string") for number in range(12)]
    entities[9] = {**entities[9], "fields": [*entities[9]["fields"], {"name": "x", "type": "money"}]}
    document = {
        "entities": [
            *entities,
            entity("thief", {"table": "t"}, name="string"),
            entity("with_file", picture="file"),
            entity("e1", other="string"),
            entity("Wrong", name="string"),
            {"name": 5},
            {},
            "text",
        ],
        "relations": [
            one_to_many("fine", "e0", "e1", "name", source_key="name"),
            one_to_many("lost", "e9", "e1", "name"),
            {**many_to_many("links", "e0", "e2", "e0_e2"), "on_delete": "explode"},
            many_to_many("links", "e0", "e2", "e0_e2"),
        ],
        "sample_data": {"e9": [{"name": "nobody"}], "e11": [{"name": "somebody"}], "taken": [{"name": "no"}]},
    }
    entities[0]["fields"][1]["unique"] = True
    errors = [
        "entity e9: invalid field type: money for field x",
        "entity thief: Table already in use: t",
        "entity with_file: plugin 'files' is not enabled",
        "entity e1: Entity already exists: e1",
        "entity Wrong: invalid entity name: Wrong",
        "entity 5: invalid entity name: 5",
        "entity : entity name is required",
        "entity: object expected",
        "relation lost: source entity not found: e9",
        "relation links: invalid on_delete: explode",
    ]
    await imported(client, document, errors, entities=11, relations=2, records=1)
    assert await rows(client, "e9") == await rows(client, "thief") == "UNKNOWN_ENTITY"
    assert [row["name"] for row in await rows(client, "e11")] == ["somebody"]
    assert [row["name"] for row in await rows(client, "taken")] == ["kept"]
    assert (await client.get("_admin/relations/links")).data["definition"] == document["relations"][3]


async def test_an_item_whose_table_cannot_be_had_is_as_if_it_were_not_there(client):
    await client.define(entity("old", {"table": "kept"}, n="int"))
    (await client.delete("_admin/entities/old")).require(200)
    document = {
        "entities": [entity("again", {"table": "kept"}, n="string", more="string"), entity("other", n="uuid")],
        "relations": [one_to_many("others", "again", "other", "n")],
        "sample_data": {"again": [{"n": "x"}]},
    }
    errors = [
        "entity again: cannot change type of field n from integer to text",
        "relation others: source entity not found: again",
    ]
    await imported(client, document, errors, entities=1)
    assert await rows(client, "again") == "UNKNOWN_ENTITY"
    # Nothing of it was done to the table either.
    await client.define(entity("old", {"table": "kept"}, n="int", more="int"))
    await client.create("old", {"n": 1, "more": 2})


async def test_sections_of_absent_plugins(client):
    document = {name: [{"entity": "tag"}, 5] for name in ABSENT} | {"entities": [TAG], "nonsense": [1]}
    errors = [f"{name}: plugin '{plugin}' is not enabled" for name, plugin in ABSENT.items()]
    await imported(client, document, errors, entities=1)
    await imported(client, {name: [] for name in ABSENT})


@pytest.mark.parametrize("mode", ["", "?mode=apply", "?mode=plan"])
async def test_what_is_no_document_is_refused(client, mode):
    for body in ({"data": None}, {"data": []}, {"data": "x"}, {"data": 1}):
        assert_error(await load(client, {**body, "entities": [TAG]}, mode), 400, "INVALID_PAYLOAD", "object expected")
    for body in ([], None, "x"):
        assert_error(await load(client, body, mode), 400, "INVALID_PAYLOAD", "object expected")
    for section in ("entities", "relations", *ABSENT):
        for value in ({}, "x", 5, True):
            body = {"entities": [TAG], section: value} if section != "entities" else {section: value}
            assert_error(await load(client, body, mode), 400, "INVALID_PAYLOAD")
    for value in ([], [{}], "x", 0, "", False):
        assert_error(await load(client, {"entities": [TAG], "sample_data": value}, mode), 400, "INVALID_PAYLOAD")
    for version, shown in ((2, "2"), ("1", "1"), (True, "true"), (1.5, "1.5"), ([1], "[1]"), ({}, "{}")):
        answer = await load(client, {"entities": [TAG], "version": version}, mode)
        assert_error(answer, 422, "VALIDATION_FAILED", f"Unsupported schema version: {shown}", [])
    assert (await client.get("_admin/entities")).data == []
    assert_error(await load(client, {}, "?mode=nonsense"), 400, "INVALID_PAYLOAD")


async def test_an_empty_document(client):
    await imported(client, {})
    assert (await load(client, {}, "?mode=plan")).data == {"changes": [], "records": {}}


BOOK = entity(
    "book",
    {"table": "books"},
    title="string!",
    state={"type": "string", "enum": ["new", "old"], "default": "new"},
    pages="int",
    price="decimal:2",
    isbn="string unique",
    made="timestamp auto=create",
    changed="timestamp auto=update",
)
FIRST, SECOND = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"


async def test_rows_are_typed_and_completed(client):
    sample = [
        {"id": FIRST.upper(), "title": 7, "pages": "3", "price": 1.005, "made": "2020-01-01", "nonsense": [1]},
        {"title": "x", "state": None, "made": None, "isbn": ""},
    ]
    await imported(client, {"entities": [BOOK], "sample_data": {"books": sample}}, entities=1, records=2)
    first, second = sorted(await rows(client, "book"), key=lambda row: row["title"])
    empty = {"pages": None, "price": None, "isbn": None, "changed": NOW}
    assert first == {
        **empty, "id": FIRST, "title": "7", "state": "new", "pages": 3, "price": "1.01", "made": "2020-01-01T00:00:00.000Z"
    }  # fmt: skip
    assert len(second["id"]) == 36
    assert second == {**empty, "id": second["id"], "title": "x", "state": None, "isbn": "", "made": NOW}


async def test_rows_that_are_there_are_skipped(client):
    await client.define(BOOK)
    stored = await client.create("book", {"title": "a", "price": "2", "pages": 1})
    document = {
        "entities": [BOOK],
        "sample_data": {
            "book": [
                {"id": stored["id"], "title": "other"},  # its key is there, so the row stays as it is
                {"title": "a", "price": 2.0, "nonsense": 1},  # without a key, and a stored row holds all its values
                {"title": "a", "price": 3},
                {"title": "b"},
                {"title": "b"},
                {"id": FIRST, "title": "c"},
                {"id": FIRST, "title": "d"},
            ]
        },
    }
    await imported(client, document, records=3)
    found = await rows(client, "book")
    assert sorted((row["title"], row["price"]) for row in found) == [
        ("a", "2.00"),
        ("a", "3.00"),
        ("b", None),
        ("c", None),
    ]
    assert stored in found
    await imported(client, document)


async def test_a_bad_row_costs_no_good_one(client):
    good = [{"title": f"t{number}", "isbn": str(number)} for number in range(30)]
    bad = [
        {"title": "x", "pages": "many"},
        {"title": "x", "state": "lost"},
        {"pages": 1},
        {"title": ""},
        {"title": None},
        {"title": "x", "isbn": "7"},
        {"id": "no-uuid", "title": "x"},
        "text",
        None,
    ]
    document = {"entities": [BOOK], "sample_data": {"book": [*good[:10], *bad, *good[10:]], "tag": 5}}
    answer = (await load(client, document)).require(200).data
    assert answer["summary"] == {**NOTHING, "entities": 1, "records": 30}
    assert sorted(answer["errors"]) == sorted([
        "record book: pages must be a valid int",
        "record book: state must be one of: new, old",
        *["record book: title is required"] * 3,
        "record book: A record with this value already exists",
        "record book: id must be a valid uuid",
        *["record book: object expected"] * 2,
    ])  # fmt: skip
    assert sorted(row["title"] for row in await rows(client, "book")) == sorted(row["title"] for row in good)
    wrong = {"entities": [BOOK], "sample_data": {"book": {"title": "x"}}}
    await imported(client, wrong, ["record book: array expected"])


@pytest.mark.parametrize("type", ["int", "bigint", "string", "uuid"])
async def test_a_key_that_is_not_generated_must_be_given(client, type):
    code = entity("code", {"primary_key": {"field": "key", "type": type}}, key=type, n="int")
    given = {"string": "a", "uuid": FIRST, "int": 5, "bigint": "5"}[type]
    sample = [{"n": 1}, {"key": given, "n": 2}, {"key": "", "n": 3}, {"key": None, "n": 4}, {"n": 2}]
    document = {"entities": [code], "sample_data": {"code": sample}}
    await imported(client, document, ["record code: key is required"] * 3, entities=1, records=1)
    assert await rows(client, "code") == [{"key": given, "n": 2}]


async def test_rows_of_links(client):
    document = {
        "entities": [POST, TAG],
        "relations": [TAGS],
        "sample_data": {
            "post_tags": [
                {"post_id": FIRST, "tag_id": SECOND, "nonsense": 1},
                {"post_id": FIRST.upper(), "tag_id": SECOND},
                {"post_id": FIRST},
                {"post_id": FIRST, "tag_id": "x"},
                5,
            ],
            "tag": [{"id": SECOND, "name": "t"}],
            "post": [{"id": FIRST, "title": "p"}],
            "_entities": [{"name": "x"}],
            "nonsense": [{}],
        },
    }
    errors = [
        "record post_tags: tag_id must be a valid uuid",
        "record post_tags: tag_id must be a valid uuid",
        "record post_tags: object expected",
    ]
    await imported(client, document, errors, entities=2, relations=1, records=3)
    assert (await client.get(f"post/{FIRST}?include=tags")).data["tags"] == [{"id": SECOND, "name": "t"}]
    await imported(client, document, errors)
    # Links of relations that are not in the document are not loaded.
    more = {"post_id": SECOND, "tag_id": SECOND}
    await imported(client, {"entities": [POST, TAG], "sample_data": {"post_tags": [more]}})
    await imported(
        client, {"relations": [TAGS], "sample_data": {"post_tags": [more], "tag": [{"name": "n"}]}}, records=1
    )


@pytest.mark.parametrize(("type", "keys"), [("int", (1, 7, 8, 9)), ("bigint", ("1", "7", "8", "9"))])
async def test_numbers_go_on_behind_imported_keys(client, type, keys):
    first, given, following, later = keys
    ticket = entity("ticket", id=type, name="string")
    sample = [{"name": "none"}, {"id": 7, "name": "given"}]
    await imported(client, {"entities": [ticket], "sample_data": {"ticket": sample}}, entities=1, records=2)
    assert (await client.create("ticket", {"name": "next"}))["id"] == following
    await imported(client, {"entities": [ticket], "sample_data": {"ticket": [{"name": "later"}]}}, records=1)
    found = {row["name"]: row["id"] for row in await rows(client, "ticket")}
    assert found == {"none": first, "given": given, "next": following, "later": later}


async def test_rows_of_a_softly_deleting_entity(client):
    soft = entity("soft", {"soft_delete": True}, code="string unique")
    await client.define(soft)
    made = await client.create("soft", {"code": "a"})
    (await client.delete(f"soft/{made['id']}")).require(200)
    sample = [{"id": made["id"], "code": "again"}, {"code": "a", "deleted_at": NOW}, {"code": "b", "deleted_at": NOW}]
    await imported(client, {"entities": [soft], "sample_data": {"soft": sample}}, records=1)
    assert [row["code"] for row in await rows(client, "soft")] == ["b"]
