"""What changing a definition does to a table that has rows: contract §4.6 and §4.7."""

import asyncio

import pytest

from rocket_kernel.errors import ValidationFailed
from rocket_kernel.hookspecs import hookimpl
from rocket_kernel.plugins import Plugin
from rocket_kernel.store.introspect import read_table
from rocket_kernel.testing import assert_error, entity, many_to_many, one_to_many

NOW = "2026-01-02T03:04:05.678Z"
ID = "12345678-90ab-4cde-8f01-234567890abc"


async def table(client, name):
    """Columns and indexes as the database has them."""
    app = await client.kernel.apps.app(client.app_name)
    async with app.store.read() as session:
        found = await read_table(session, name)
    return None if found is None else (found.columns, found.indexes)


async def nullable(client, name):
    columns, _ = await table(client, name)
    return {column.name for column in columns if column.nullable}


async def change(client, name, options=None, /, **fields):
    return (await client.put(f"_admin/entities/{name}", entity(name, options, **fields))).require(200)


async def everything(client, *tables):
    """All that a refused change must leave as it was."""
    kinds = [(await client.get(f"_admin/{path}")).data for path in ("entities", "relations")]
    records = [(await client.get(row["name"])).json for row in kinds[0]]
    return kinds, records, [await table(client, name) for name in tables]


async def refused(client, path, body, status, message, *tables):
    before = await everything(client, *tables)
    code = "CONFLICT" if status == 409 else "VALIDATION_FAILED"
    assert_error(await client.put(path, body), status, code, message, [])
    assert await everything(client, *tables) == before


async def test_rows_get_the_default_of_a_new_column(client):
    await client.define(entity("thing", n="int"))
    row = await client.create("thing", {"n": 1})
    added = {
        "s": {"type": "string", "default": 'it\'s; "new" \\ $1'},
        "b": {"type": "boolean", "default": False, "required": True},
        "d": {"type": "decimal", "precision": 2, "default": "1.005"},
        "e": {"type": "decimal", "default": "0.000000000000000000000000000001"},
        "i": {"type": "bigint", "default": "-9223372036854775808"},
        "f": {"type": "float", "default": 0.1},
        "u": {"type": "uuid", "default": ID},
        "t": {"type": "timestamp", "default": "2024-01-01T00:00:00.5+01:00"},
        "y": {"type": "date", "default": "2024-01-01"},
        "j": {"type": "json", "default": {"a": ["'", None]}},
        "x": {"type": "string"},
        "a": {"type": "timestamp", "auto": "create"},
    }
    await change(client, "thing", n="int", **added)
    values = {
        "s": 'it\'s; "new" \\ $1',
        "b": False,
        "d": "1.01",
        "e": "0.000000000000000000000000000001",
        "i": "-9223372036854775808",
        "f": 0.1,
        "u": ID,
        "t": "2023-12-31T23:00:00.500Z",
        "y": "2024-01-01",
        "j": {"a": ["'", None]},
        "x": None,
        "a": None,
    }
    assert (await client.get("thing")).data == [{**row, **values}]
    assert (await client.get("thing?filter[d]=1.01&filter[b]=false&filter[i]=-9223372036854775808")).meta["total"] == 1
    # A default that comes or changes later leaves rows alone.
    await change(client, "thing", n="int", **{**added, "x": {"type": "string", "default": "late"}})
    assert (await client.get("thing")).data[0]["x"] is None
    assert (await client.create("thing", {}))["x"] == "late"


async def test_a_column_must_be_filled_as_soon_as_every_row_is(client):
    await client.define(entity("thing", a="int!", n="int"))
    assert await nullable(client, "thing") == {"n"}
    first = await client.create("thing", {"a": 1})
    fields = {"a": "int!", "n": "int!", "b": "int!", "c": "int! default=5", "d": "int! nullable"}
    await change(client, "thing", **fields)
    assert await nullable(client, "thing") == {"n", "b", "d"}
    assert (await client.get("thing")).data == [{**first, "b": None, "c": 5, "d": None}]
    # Old rows can be read and changed in other fields; what is supplied must be there.
    (await client.put(f"thing/{first['id']}", {"a": 2})).require(200)
    assert_error(await client.put(f"thing/{first['id']}", {"b": None}), 422, "VALIDATION_FAILED", "Validation failed")
    assert_error(await client.post("thing", {"a": 1, "n": 1}), 422, "VALIDATION_FAILED", "Validation failed")
    (await client.put(f"thing/{first['id']}", {"n": 1, "b": 2})).require(200)
    await change(client, "thing", **fields)
    assert await nullable(client, "thing") == {"d"}
    # And back again.
    await change(client, "thing", a="int", n="int", b="int", c="int", d="int")
    assert await nullable(client, "thing") == {"a", "n", "b", "c", "d"}
    await client.create("thing", {"c": None})
    await change(client, "thing", a="int!")
    assert await nullable(client, "thing") == {"a", "n", "b", "c", "d"}


async def test_a_field_taken_out_keeps_its_column(client):
    await client.define(entity("thing", a="string!", b="int unique"))
    row = await client.create("thing", {"a": "kept", "b": 7})
    await change(client, "thing", b="int")
    assert (await client.get("thing")).data == [{"id": row["id"], "b": 7}]
    assert_error(await client.get("thing?filter[a]=kept"), 400, "UNKNOWN_FIELD", "Unknown filter field: a")
    # The column nobody fills any more refuses no rows.
    await client.create("thing", {"b": 7})
    body = entity("thing", a="int", b="int")
    await refused(
        client, "_admin/entities/thing", body, 422, "cannot change type of field a from text to integer", "thing"
    )
    await change(client, "thing", a="text", b="int")
    assert (await client.get(f"thing/{row['id']}")).data == row


async def test_a_type_stays(client):
    fields = {"s": "string", "t": "text", "i": "int", "j": "integer", "d": "decimal", "p": "decimal:2", "f": "float"}
    await client.define(entity("thing", **fields))
    made = await client.create("thing", dict.fromkeys(fields, "1"))
    for field, type, message in [
        ("s", "int", "s from string to int"),
        ("t", "json", "t from text to json"),
        ("i", "bigint", "i from int to bigint"),
        ("j", "float", "j from integer to float"),
        ("f", "decimal", "f from float to decimal"),
        ("d", "decimal:2", "d from decimal to decimal(2)"),
        ("p", "decimal:3", "p from decimal(2) to decimal(3)"),
        ("p", "decimal", "p from decimal(2) to decimal"),
        ("id", "string", None),
    ]:
        body = entity("thing", **{**fields, field: type})
        expected = "cannot change primary key of thing" if message is None else f"cannot change type of field {message}"
        await refused(client, "_admin/entities/thing", body, 422, expected, "thing")
    # Two spellings of one type are one.
    await change(client, "thing", **{**fields, "s": "text", "t": "string", "i": "integer", "j": "int"})
    assert (await client.get("thing")).data == [made]


async def test_a_key_stays(client):
    await client.define(entity("thing", code="string unique"))
    await client.create("thing", {"code": "a"})
    for key in (
        {"field": "code", "generated": True},
        {"field": "id", "generated": False},
        {"field": "id"},
    ):
        body = entity("thing", {"primary_key": key}, id="uuid", code="string unique")
        await refused(client, "_admin/entities/thing", body, 422, "cannot change primary key of thing", "thing")
    body = entity("thing", {"primary_key": {"field": "id", "generated": True}}, code="string", id="uuid")
    assert list((await client.put("_admin/entities/thing", body)).require(200).data["definition"])
    assert list((await client.get("thing")).data[0]) == ["code", "id"]


async def test_unique_needs_different_values(client):
    await client.define(entity("thing", n="int"))
    rows = [await client.create("thing", {"n": n}) for n in (1, 1, None, None)]
    unique = entity("thing", n="int unique", more="string default=x")
    await refused(client, "_admin/entities/thing", unique, 409, "Field n has duplicate values", "thing")
    (await client.put(f"thing/{rows[0]['id']}", {"n": 2})).require(200)
    (await client.put("_admin/entities/thing", unique)).require(200)
    detail = {"field": "n", "rule": "unique", "message": "n already exists"}
    taken = await client.post("thing", {"n": 1})
    assert_error(taken, 409, "CONFLICT", "A record with this value already exists", [detail])
    await client.create("thing", {})
    # No longer unique: the index goes.
    await change(client, "thing", n="int")
    await client.create("thing", {"n": 1})
    await refused(client, "_admin/entities/thing", unique, 409, "Field n has duplicate values", "thing")


async def test_unique_counts_live_rows_only_where_deletes_are_soft(client):
    soft = {"soft_delete": True}
    await client.define(entity("thing", soft, n="int"))
    gone = await client.create("thing", {"n": 1})
    await client.create("thing", {"n": 1})
    await client.delete(f"thing/{gone['id']}")
    await change(client, "thing", soft, n="int unique")
    assert_error(await client.post("thing", {"n": 1}), 409, "CONFLICT")
    # With the deleted row alive again its value is there twice.
    body = entity("thing", n="int unique")
    await refused(client, "_admin/entities/thing", body, 409, "Field n has duplicate values", "thing")


async def test_another_table_is_a_new_one(client):
    await client.define(entity("thing", n="int"))
    row = await client.create("thing", {"n": 1})
    # The entity keeps the types of its fields even so.
    body = entity("thing", {"table": "things"}, n="string")
    await refused(
        client, "_admin/entities/thing", body, 422, "cannot change type of field n from int to string", "things"
    )
    assert await table(client, "things") is None
    await change(client, "thing", {"table": "things"}, n="int!")
    assert (await client.get("thing")).data == []
    moved = await client.create("thing", {"n": 2})
    assert (await client.get("_admin/entities/thing")).data["table_name"] == "things"
    # Neither table is lost.
    await change(client, "thing", n="int")
    assert (await client.get("thing")).data == [row]
    await change(client, "thing", {"table": "things"}, n="int")
    assert (await client.get("thing")).data == [moved]


async def test_soft_delete_comes_and_goes(client):
    await client.define(entity("thing", n="int"))
    rows = [await client.create("thing", {"n": n}) for n in range(3)]
    await client.delete(f"thing/{rows[0]['id']}")
    await change(client, "thing", {"soft_delete": True}, n="int")
    live = {row["id"]: {**row, "deleted_at": None} for row in rows[1:]}
    assert {row["id"]: row for row in (await client.get("thing")).data} == live
    await client.delete(f"thing/{rows[1]['id']}")
    assert [row["id"] for row in (await client.get("thing")).data] == [rows[2]["id"]]
    # Off: the column stays and all its rows live.
    await change(client, "thing", n="int")
    assert {row["id"]: row for row in (await client.get("thing")).data} == {row["id"]: row for row in rows[1:]}
    assert (await client.get(f"thing/{rows[1]['id']}")).data == rows[1]
    columns, _ = await table(client, "thing")
    assert "deleted_at" in {column.name for column in columns}
    # On again: they go on living.
    await change(client, "thing", {"soft_delete": True}, n="int")
    live = {row["id"]: {**row, "deleted_at": None} for row in rows[1:]}
    assert {row["id"]: row for row in (await client.get("thing")).data} == live
    await change(client, "thing", n="int")
    await client.delete(f"thing/{rows[2]['id']}")
    assert (await client.get("thing")).meta["total"] == 1


async def test_rows_that_live_again_keep_living_wherever_the_entity_goes(client):
    """Also where `deleted_at` is a field like others, which shows what is in it."""
    soft, field = {"soft_delete": True}, {"deleted_at": "timestamp"}
    await client.define(entity("thing", soft, n="int unique", **field))
    gone, other = await client.create("thing", {"n": 1}), await client.create("thing", {"n": 2})
    await client.delete(f"thing/{gone['id']}")
    await change(client, "thing", n="int unique", **field)
    assert (await client.get(f"thing/{gone['id']}")).data == gone
    assert_error(await client.post("thing", {"n": 1}), 409, "CONFLICT")
    await change(client, "thing", soft, n="int unique")
    assert {row["id"] for row in (await client.get("thing")).data} == {gone["id"], other["id"]}
    # Another table has rows of its own, and those that are left behind stay as they are.
    await client.delete(f"thing/{other['id']}")
    await change(client, "thing", {"table": "things"}, n="int unique")
    await change(client, "thing", {**soft, "table": "thing"}, n="int unique")
    assert [row["id"] for row in (await client.get("thing")).data] == [gone["id"]]


async def test_a_relation_holds_its_fields(client):
    await client.define(
        entity("author", code="string unique", name="string"), entity("book", author_id="uuid", author_code="string")
    )
    await client.relate(
        one_to_many("books", "author", "book"),
        one_to_many("coded", "author", "book", "author_code", source_key="code"),
    )
    author = await client.create("author", {"code": "ja"})
    await client.create("book", {"author_id": author["id"], "author_code": "ja"})
    for body, message in [
        (entity("book", author_code="string"), "field author_id is used by relation books"),
        (entity("book", author_id="uuid"), "field author_code is used by relation coded"),
        (entity("author", name="string"), "field code is used by relation coded"),
        (entity("author", code="string", name="string"), 'source key field "code" must be unique'),
    ]:
        await refused(client, f"_admin/entities/{body['name']}", body, 422, message, "author", "book")
    await client.delete("_admin/relations/coded")
    await change(client, "book", author_id="uuid")
    await change(client, "author")
    assert len((await client.get("author?include=books")).data[0]["books"]) == 1


class Moody(Plugin):
    """Refuses entities named `evil`, after their tables have been made."""

    name = "moody"
    version = "1"

    @hookimpl
    def compile_read_policy(self, entity, model):
        if entity.name.startswith("evil"):
            raise ValidationFailed("evil is not welcome")


async def test_metadata_table_and_registry_are_one_step(start_kernel):
    client = await (await start_kernel([Moody])).client.app("shop")
    await client.define(entity("good", n="int"), entity("other", good_id="uuid"))
    await client.create("good", {"n": 1})
    before = await everything(client, "good")
    answer = await client.post("_admin/entities", entity("evil", n="int unique"))
    assert_error(answer, 422, "VALIDATION_FAILED", "evil is not welcome")
    assert await table(client, "evil") is None
    assert_error(await client.get("evil"), 404, "UNKNOWN_ENTITY")
    taken = entity("good", {"table": "other"}, n="int", more="int")
    assert_error(await client.put("_admin/entities/good", taken), 409, "CONFLICT", "Table already in use: other")
    assert_error(await client.post("_admin/relations", many_to_many("r", "good", "other", "good")), 409, "CONFLICT")
    assert await everything(client, "good") == before
    await client.define(entity("evi", n="int unique"))
    await client.create("good", {"n": 2})


async def test_changes_at_the_same_time_all_survive(client):
    await client.define(entity("thing", n="int"))
    bodies = [entity(f"e{at}", n="int") for at in range(8)]
    calls = [client.post("_admin/entities", body) for body in bodies]
    calls += [client.put("_admin/entities/thing", entity("thing", n="int", **{f"f{at}": "int"})) for at in range(3)]
    calls += [client.post("_admin/entities", entity("twice")) for _ in range(2)]
    answers = await asyncio.gather(*calls)
    assert [answer.status for answer in answers[:11]] == [201] * 8 + [200] * 3
    assert sorted(answer.status for answer in answers[11:]) == [201, 409]
    names = [row["name"] for row in (await client.get("_admin/entities")).data]
    assert names == sorted([*(body["name"] for body in bodies), "thing", "twice"])
    for name in names:
        assert (await client.post(name, {"n": 1} if name != "twice" else {})).status == 201
    columns, _ = await table(client, "thing")
    assert {column.name for column in columns} == {"id", "n", "f0", "f1", "f2"}


async def test_two_kernels_change_one_app(start_kernel):
    one = await (await start_kernel()).client.app("shop")
    two = (await start_kernel()).client.in_app("shop")
    await one.define(entity("a", n="int"))
    answers = await asyncio.gather(
        *[one.post("_admin/entities", entity(f"x{at}")) for at in range(4)],
        *[two.post("_admin/entities", entity(f"y{at}")) for at in range(4)],
        two.put("_admin/entities/a", entity("a", n="int", m="int")),
    )
    assert [answer.status for answer in answers] == [201] * 8 + [200]
    for client in (one, two):
        assert len((await client.get("_admin/entities")).data) == 9
        assert [(await client.get(f"{letter}{at}")).status for letter in "xy" for at in range(4)] == [200] * 8
        assert list(await client.create("a", {"m": 1})) == ["id", "n", "m"]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_requests_meet_either_the_old_or_the_new(client, method):
    await client.define(entity("thing", n="int"))
    await client.create("thing", {"n": 1})
    old, new = entity("thing", n="int"), entity("thing", n="int", m="int default=1")
    answers = []

    async def keep_asking():
        while not done.is_set():
            sent = {"json": {"n": 2}} if method == "POST" else {}
            answers.append(await client.request(method, "thing", **sent))
            await asyncio.sleep(0)

    done = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(keep_asking())
        for body in (new, old, new, old):
            (await client.put("_admin/entities/thing", body)).require(200)
        done.set()
    assert {answer.status for answer in answers} == {200 if method == "GET" else 201}
    shapes = {tuple(row) for answer in answers for row in (answer.data if method == "GET" else [answer.data])}
    assert shapes <= {("id", "n"), ("id", "n", "m")}


async def test_a_table_named_like_an_index(client):
    await client.define(entity("a", b="string unique"))
    answer = await client.post("_admin/entities", entity("idx_a_b"))
    assert_error(answer, 409, "CONFLICT", "Table already in use: idx_a_b")
    assert [row["name"] for row in (await client.get("_admin/entities")).data] == ["a"]
