"""Creating and updating single records: contract §5.2 and §5.3."""

import asyncio

import pytest

from rocket_kernel.testing import assert_error, entity, one_to_many

NOW = "2026-01-02T03:04:05.678Z"
LATER = "2026-01-02T04:04:05.678Z"
SOME_ID = "12345678-90ab-4cde-8f01-234567890abc"

PRODUCT = entity(
    "product", name="string!", state="string! enum=new|sold", price="decimal:2", stock="int", big="bigint",
    weight="float", active="boolean", maker="uuid", seen="timestamp", day="date", more="json", note="text",
)  # fmt: skip
GOOD = {"name": "Lamp", "state": "new"}


def finding(field, rule, message):
    return {"field": field, "rule": rule, "message": message}


def invalid(field, type):
    return finding(field, "type", f"{field} must be a valid {type}")


def required(field):
    return finding(field, "required", f"{field} is required")


def unknown(field):
    return finding(field, "unknown", f"Unknown field or relation: {field}")


def taken(field):
    return finding(field, "unique", f"{field} already exists")


def assert_refused(answer, *details):
    assert_error(answer, 422, "VALIDATION_FAILED", "Validation failed", details)


async def total(client, name):
    return (await client.get(name)).meta["total"]


async def test_a_record_is_answered_with_every_field_in_declared_order(client):
    await client.define(PRODUCT)
    answer = (await client.post("product", {"note": "bright", **GOOD})).require(201)
    names = [field["name"] for field in PRODUCT["fields"]]
    assert list(answer.data) == names
    filled = {"id": answer.data["id"], "note": "bright", **GOOD}
    assert answer.data == {**dict.fromkeys(names), **filled}
    assert (await client.get(f"product/{answer.data['id']}")).data == answer.data


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_an_update_changes_supplied_fields_only(client, method):
    await client.define(PRODUCT)
    made = await client.create("product", {**GOOD, "stock": 3, "price": "1.5", "more": {"b": [1], "a": None}})
    other = await client.create("product", GOOD)
    answer = (await client.request(method, f"product/{made['id']}", {"stock": None, "note": "old"})).require(200)
    assert answer.data == {**made, "stock": None, "note": "old"}
    assert (await client.get(f"product/{made['id']}")).data == answer.data
    assert (await client.get(f"product/{other['id']}")).data == other


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_an_update_needs_a_record(client, method):
    await client.define(PRODUCT)
    for id, shown in ((SOME_ID, SOME_ID), ("no-uuid", "no-uuid"), ("7", "7"), ("%00", "\x00")):
        answer = await client.request(method, f"product/{id}", GOOD)
        assert_error(answer, 404, "NOT_FOUND", f"product with id {shown} not found", [])
    assert await total(client, "product") == 0


async def test_unknown_keys_are_all_told_and_nothing_else_is_checked(client):
    await client.define(PRODUCT, entity("plain", {"soft_delete": True}, name="string"))
    faulty = {"zzz": 1, "stock": "many", "state": "lost", "Name": "x", "name ": None, "_delete": True}
    found = [unknown(key) for key in ("zzz", "Name", "name ", "_delete")]
    assert_refused(await client.post("product", faulty), *found)
    made = await client.create("product", GOOD)
    assert_refused(await client.put(f"product/{made['id']}", faulty), *found)
    assert_refused(await client.post("plain", {"name": "x", "deleted_at": None}), unknown("deleted_at"))
    assert (await client.get("product")).data == [made]
    assert await total(client, "plain") == 0


async def test_what_is_not_for_clients_to_set_is_ignored_without_a_word(client, clock):
    stamped = entity(
        "stamped", {"soft_delete": True}, made_at="timestamp auto=create", changed_at="timestamp auto=update",
        deleted_at="timestamp", name="string",
    )  # fmt: skip
    await client.define(stamped)
    theirs = {"id": SOME_ID, "made_at": "junk", "changed_at": 12, "deleted_at": "2001-01-01", "name": "x"}
    made = await client.create("stamped", theirs)
    assert made["id"] != SOME_ID
    assert made == {"id": made["id"], "made_at": NOW, "changed_at": NOW, "deleted_at": None, "name": "x"}
    clock.advance(hours=1)
    changed = (await client.put(f"stamped/{made['id']}", {**theirs, "name": "y"})).require(200).data
    assert changed == {**made, "changed_at": LATER, "name": "y"}
    assert (await client.get("stamped")).data == [changed]


async def test_a_generated_key_of_text_is_a_uuid(client):
    for type in ("uuid", "string", "text"):
        name = f"thing_{type}"
        await client.define({**keyed(type, generated=True), "name": name})
        # A client's own value does not count, not even one of the wrong type.
        made = [await client.create(name, body) for body in ({"code": ["junk"], "name": "a"}, {"name": "b"}, {})]
        assert {len(row["code"]) for row in made} == {36}
        assert len({row["code"] for row in made}) == 3
        assert (await client.get(f"{name}/{made[1]['code']}")).data == made[1]


async def test_a_generated_key_of_numbers_counts(client):
    for type, codes in (("int", [1, 2, 3]), ("integer", [1, 2, 3]), ("bigint", ["1", "2", "3"])):
        name = f"thing_{type}"
        await client.define({**keyed(type, generated=True), "name": name})
        made = [await client.create(name, body) for body in ({"code": 70, "name": "a"}, {"name": "b"}, {})]
        assert [row["code"] for row in made] == codes
        (await client.delete(f"{name}/3")).require(200)
        # The key of a deleted row is not given to another.
        assert (await client.create(name, {}))["code"] not in codes
        changed = await client.put(f"{name}/2", {"code": 9, "name": "c"})
        assert changed.require(200).data == {"code": codes[1], "name": "c"}


@pytest.mark.parametrize(
    ("type", "given", "stored", "bad"),
    [
        ("uuid", SOME_ID.upper(), SOME_ID, "12345678"),
        ("int", "7", 7, 2**31),
        ("integer", 7.0, 7, 1.5),
        ("bigint", 2**53 + 1, str(2**53 + 1), 2**63),
        ("string", "a/b ü", "a/b ü", "x\x00"),
        ("text", 7, "7", "x" * 2601),
    ],
)
async def test_a_key_that_is_not_generated_is_the_clients_to_give(client, type, given, stored, bad):
    await client.define(keyed(type))
    for missing in ({}, {"code": None}, {"code": ""}):
        assert_refused(await client.post("thing", {"name": "x", **missing}), required("code"))
    assert_refused(await client.post("thing", {"code": bad}), invalid("code", type))
    assert await total(client, "thing") == 0
    made = await client.create("thing", {"code": given, "name": "x"})
    assert made == {"code": stored, "name": "x"}
    for same in (given, stored):
        assert_conflict(await client.post("thing", {"code": same, "name": "y"}), "code")
    assert (await client.get("thing")).data == [made]


async def test_the_key_of_a_deleted_row_stays_in_use(client):
    await client.define(keyed("string", soft_delete=True))
    await client.create("thing", {"code": "a"})
    (await client.delete("thing/a")).require(200)
    assert_conflict(await client.post("thing", {"code": "a"}), "code")
    assert await total(client, "thing") == 0


def keyed(type, *, generated=False, soft_delete=False):
    options = {"primary_key": {"field": "code", "type": type, "generated": generated}, "soft_delete": soft_delete}
    return entity("thing", options, code=type, name="string")


DEFAULTS = entity(
    "preset",
    name={"type": "string", "required": True, "default": "unnamed"},
    empty={"type": "string", "default": ""},
    price={"type": "decimal", "precision": 2, "default": "0"},
    stock={"type": "int", "default": 0},
    big={"type": "bigint", "default": 5},
    on={"type": "boolean", "default": False},
    day={"type": "date", "default": "2020-02-29"},
    seen={"type": "timestamp", "default": "2020-02-29T10:00:00+01:00"},
    more={"type": "json", "default": {"b": 1, "a": []}},
    state={"type": "string", "enum": ["new", "old"], "default": "new"},
    optional={"type": "string", "required": True, "nullable": True},
)


async def test_defaults_stand_in_for_absent_keys(client):
    await client.define(DEFAULTS)
    made = await client.create("preset", {})
    assert made == {
        "id": made["id"],
        "name": "unnamed",
        "empty": "",
        "price": "0.00",
        "stock": 0,
        "big": "5",
        "on": False,
        "day": "2020-02-29",
        "seen": "2020-02-29T09:00:00.000Z",
        "more": {"a": [], "b": 1},
        "state": "new",
        "optional": None,
    }
    # Defaults are for creation only.
    cleared = (await client.put(f"preset/{made['id']}", {"price": None, "state": None})).require(200).data
    assert cleared == {**made, "price": None, "state": None}


async def test_an_explicit_null_stays_null(client):
    await client.define(DEFAULTS)
    nulls = dict.fromkeys(field["name"] for field in DEFAULTS["fields"] if field["name"] not in ("id", "name"))
    made = await client.create("preset", nulls)
    assert made == {"id": made["id"], "name": "unnamed", **nulls}
    assert_refused(await client.post("preset", {**nulls, "name": None}), required("name"))
    assert await total(client, "preset") == 1


async def test_automatic_fields_go_by_one_instant_of_the_request(client, clock):
    order = entity(
        "order", created="timestamp auto=create", changed="timestamp auto=update", first_day="date auto=create",
        last_day="date auto=update", name="string",
    )  # fmt: skip
    line = entity("line", order_id="uuid", created="timestamp auto=create", changed="timestamp auto=update")
    await client.define(order, line)
    await client.relate(one_to_many("lines", "order", "line"))
    made = await client.create("order", {"name": "a", "lines": [{}]})
    day = NOW[:10]
    assert [made[name] for name in ("created", "changed", "first_day", "last_day")] == [NOW, NOW, day, day]
    (child,) = (await client.get("line")).data
    assert (child["created"], child["changed"]) == (NOW, NOW)
    later = "2026-01-05T03:04:05.678Z"
    clock.advance(days=3)
    changed = (await client.patch(f"order/{made['id']}", {"lines": [{"id": child["id"]}]})).require(200).data
    assert changed == {**made, "changed": later, "last_day": later[:10]}
    (touched,) = (await client.get("line")).data
    assert touched == {**child, "changed": later}


async def test_an_empty_update_sets_automatic_fields_only(client, clock):
    await client.define(entity("note", text="string!", changed="timestamp auto=update"), PRODUCT)
    note = await client.create("note", {"text": "x"})
    product = await client.create("product", GOOD)
    clock.advance(hours=1)
    for body in ({}, {"id": "whatever"}):
        assert (await client.put(f"note/{note['id']}", body)).require(200).data == {**note, "changed": LATER}
    assert (await client.request("PUT", f"note/{note['id']}")).require(200).data == {**note, "changed": LATER}
    assert (await client.put(f"product/{product['id']}", {})).require(200).data == product


async def test_everything_wrong_is_told_at_once(client):
    await client.define(PRODUCT)
    body = {"price": "cheap", "state": "lost", "stock": 2.5, "day": "someday", "active": "perhaps"}
    found = (
        required("name"),
        finding("state", "enum", "state must be one of: new, sold"),
        invalid("price", "decimal"),
        invalid("stock", "int"),
        invalid("active", "boolean"),
        invalid("day", "date"),
    )
    assert_refused(await client.post("product", body), *found)
    made = await client.create("product", GOOD)
    # On update only supplied keys are asked for.
    assert_refused(await client.put(f"product/{made['id']}", body), *found[1:])
    assert (await client.get("product")).data == [made]


@pytest.mark.parametrize("value", [None, ""])
async def test_required_on_create_and_on_supplied_keys(client, value):
    await client.define(
        entity("thing", name="string!", code="int!", alias={"type": "string", "required": True, "nullable": True})
    )
    assert_refused(await client.post("thing", {"name": value, "code": value}), required("name"), required("code"))
    assert_refused(await client.post("thing", {}), required("name"), required("code"))
    made = await client.create("thing", {"name": "a", "code": 1, "alias": value})
    assert made["alias"] == value
    assert_refused(await client.put(f"thing/{made['id']}", {"code": value}), required("code"))
    assert (await client.put(f"thing/{made['id']}", {"alias": None})).require(200).data == {**made, "alias": None}


async def test_a_demand_made_later_does_not_lock_older_rows(client):
    await client.define(entity("thing", name="string", state="string"))
    made = await client.create("thing", {"state": "odd"})
    (await client.put("_admin/entities/thing", entity("thing", name="string!", state="string enum=new"))).require(200)
    assert_refused(await client.post("thing", {}), required("name"))
    assert (await client.put(f"thing/{made['id']}", {})).require(200).data == made
    found = finding("state", "enum", "state must be one of: new")
    assert_refused(await client.put(f"thing/{made['id']}", {"state": "odd"}), found)
    fixed = (await client.put(f"thing/{made['id']}", {"name": "x", "state": "new"})).require(200).data
    assert fixed == {**made, "name": "x", "state": "new"}


async def test_an_enum_compares_text_forms_and_lets_null_pass(client):
    choice = entity(
        "choice",
        size={"type": "int", "enum": [1, 20]},
        price={"type": "decimal", "precision": 1, "enum": ["1.5"]},
        word="string enum=a|b",
    )
    await client.define(choice)
    made = await client.create("choice", {"size": "20", "price": 1.50, "word": None})
    assert made == {"id": made["id"], "size": 20, "price": "1.5", "word": None}
    assert_refused(
        await client.post("choice", {"size": 2, "price": 1.6, "word": ""}),
        finding("size", "enum", "size must be one of: 1, 20"),
        finding("price", "enum", "price must be one of: 1.5"),
        finding("word", "enum", "word must be one of: a, b"),
    )
    assert await total(client, "choice") == 1


async def test_empty_text_counts_as_null_except_in_text(client):
    await client.define(PRODUCT)
    empty = ("price", "stock", "big", "weight", "active", "maker", "seen", "day", "more")
    given = {**GOOD, "price": 1, "stock": 1, "more": [], "note": ""}
    made = await client.create("product", given)
    changed = (await client.put(f"product/{made['id']}", dict.fromkeys(empty, ""))).require(200).data
    assert changed == {**made, **dict.fromkeys(empty)}
    assert changed["note"] == ""
    assert (await client.get("product?filter[note]=")).meta["total"] == 1


async def test_values_that_are_not_of_the_type(client):
    await client.define(PRODUCT)
    made = await client.create("product", GOOD)
    for field, type, bad in (
        ("stock", "int", [2**31, -(2**31) - 1, 1.5, "1.5", "x", True, [], " 1"]),
        ("big", "bigint", [2**63, "9223372036854775808", 0.5, False, {}]),
        ("weight", "float", ["x", "1e999", "nan", True, [1]]),
        ("price", "decimal", ["x", "12345678901234567.00", True, {}]),
        ("active", "boolean", ["perhaps", 2, 0.5, []]),
        ("maker", "uuid", ["1234", SOME_ID.replace("-", ""), 5]),
        ("seen", "timestamp", ["yesterday", "2020-13-01", "0000-01-01", 5]),
        ("day", "date", ["2021-02-29", "20210228", 5]),
        ("note", "text", ["a\x00b"]),
        ("more", "json", ["a\x00b", {"a": "\x00"}]),
    ):
        for value in bad:
            assert_refused(await client.post("product", {**GOOD, field: value}), invalid(field, type))
        assert_refused(await client.put(f"product/{made['id']}", {field: bad[0]}), invalid(field, type))
    assert (await client.get("product")).data == [made]


UNIQUE = entity("member", email="string! unique", number="int unique", name="string")


async def test_a_unique_value_is_taken_once(client):
    await client.define(UNIQUE)
    first = await client.create("member", {"email": "a@x", "number": 1})
    second = await client.create("member", {"email": "A@x", "name": "b"})
    await client.create("member", {"email": "c@x"})  # a second null in `number`
    assert_conflict(await client.post("member", {"email": "a@x"}), "email")
    assert_conflict(await client.post("member", {"email": "d@x", "number": "1"}), "number")
    assert_conflict(await client.put(f"member/{second['id']}", {"name": "new", "number": 1}), "number")
    assert (await client.put(f"member/{first['id']}", {"email": "a@x", "number": 1})).require(200).data == first
    assert (await client.get(f"member/{second['id']}")).data == second
    assert await total(client, "member") == 3


async def test_of_two_at_once_one_gets_the_value(client):
    await client.define(UNIQUE)
    answers = await asyncio.gather(*(client.post("member", {"email": "a@x", "name": str(n)}) for n in range(4)))
    assert sorted(answer.status for answer in answers) == [201, 409, 409, 409]
    for answer in answers:
        if answer.status == 409:
            assert_conflict(answer, "email")
    (stored,) = (await client.get("member")).data
    assert stored in [answer.data for answer in answers if answer.status == 201]


def assert_conflict(answer, field):
    assert_error(answer, 409, "CONFLICT", "A record with this value already exists", [taken(field)])


async def test_soft_deletable_records_show_that_they_live(client):
    await client.define(entity("plain", {"soft_delete": True}, name="string"))
    made = await client.create("plain", {"name": "x"})
    assert list(made) == ["id", "name", "deleted_at"]
    assert made["deleted_at"] is None
    changed = (await client.put(f"plain/{made['id']}", {"name": "y"})).require(200).data
    assert changed == {**made, "name": "y"}
    (await client.delete(f"plain/{made['id']}")).require(200)
    answer = await client.put(f"plain/{made['id']}", {"name": "z"})
    assert_error(answer, 404, "NOT_FOUND", f"plain with id {made['id']} not found", [])


async def test_a_record_of_nothing_but_its_key(client):
    await client.define(entity("ticket", id="int"), entity("token", id="uuid"))
    assert await client.create("ticket", {}) == {"id": 1}
    assert (await client.request("POST", "ticket")).require(201).data == {"id": 2}
    assert (await client.put("ticket/2", {})).require(200).data == {"id": 2}
    assert list(await client.create("token", {})) == ["id"]


async def test_names_of_columns_may_be_words_of_sql(client):
    await client.define(entity("select", order="string!", group="int unique", where="json", default="boolean"))
    made = await client.create("select", {"order": "'; DROP TABLE x; --", "group": 1, "where": {"$1": "?"}})
    changed = (await client.put(f"select/{made['id']}", {"default": True, "group": 2})).require(200).data
    assert changed == {**made, "default": True, "group": 2}
    assert_conflict(await client.post("select", {"order": "x", "group": 2}), "group")
