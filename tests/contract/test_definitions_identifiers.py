"""Names that try to be more than names, and what fields are defined with: contract §4.1 to §4.4."""

from rocket_kernel.testing import assert_error, entity, many_to_many, one_to_many

LONG = "a" * 63
KEYWORDS = [
    "select", "table", "order", "group", "from", "where", "index", "user", "values", "key", "primary", "references",
    "null", "default", "check", "limit", "offset", "desc", "as", "join", "on", "in", "all", "analyze", "returning",
    "excluded", "rowid", "oid", "t1", "t2", "value", "json_each", "public", "current_user", "between", "end",
]  # fmt: skip
ID = "12345678-90ab-4cde-8f01-234567890abc"


async def raw(client, statement):
    """Run a statement on the app's own database."""
    app = await client.kernel.apps.app(client.app_name)
    async with app.store.write() as tx:
        await tx.execute(statement)


async def test_keywords_are_names_like_any_other(client):
    fields = dict.fromkeys(KEYWORDS, "string")
    await client.define(entity("select", {"table": "order", "soft_delete": True}, **{**fields, "key": "string unique"}))
    made = await client.create("select", {name: f'{name}\'s "value"' for name in KEYWORDS})
    await client.create("select", {"key": "other"})
    assert list(made) == ["id", *KEYWORDS, "deleted_at"]
    for name in KEYWORDS:
        filtered = await client.get("select", params={f"filter[{name}.like]": f"{name}'s%", "sort": f"-{name}"})
        assert filtered.require(200).data == [made]
        assert (await client.get(f"select?sort={name}&fields={name}")).require(200).meta["total"] == 2
    changed = (await client.put(f"select/{made['id']}", {"from": "x", "rowid": None})).require(200).data
    assert changed == {**made, "from": "x", "rowid": None}
    (await client.delete(f"select/{made['id']}")).require(200)
    assert (await client.get("select")).meta["total"] == 1


async def test_keywords_name_entities_tables_and_relations(client):
    names = KEYWORDS[:10]
    await client.define(*[entity(name, group="uuid", where="string") for name in names])
    await client.relate(*[one_to_many(f"{name}_in", name, "table", "group") for name in names if name != "table"])
    await client.relate(many_to_many("join", "select", "order", "union", source_join_key="from", target_join_key="on"))
    for name in names:
        made = await client.create(name, {"where": name})
        assert (await client.get(f"{name}/{made['id']}")).data == made
    one = (await client.get("order")).data[0]
    answer = (await client.post("select", {"where": "x", "join": [one["id"]]})).require(201)
    shown = (await client.get(f"select/{answer.data['id']}?include=join,select_in.group")).require(200).data
    assert shown["join"] == [one]
    assert shown["select_in"] == []


async def test_names_of_63_characters_work_and_stay_apart(client):
    """Derived names are longer than a database keeps; cut off they would meet."""
    twins = [f"{LONG[:62]}{end}" for end in "xy"]
    await client.define(
        *[entity(name, {"soft_delete": True}, **dict.fromkeys(twins, "string unique"), up="uuid") for name in twins]
    )
    await client.relate(one_to_many(f"r{LONG[:62]}", twins[0], twins[1], "up"))
    await client.relate(
        many_to_many(f"s{LONG[:62]}", *twins, f"j{LONG[:62]}", source_join_key=twins[0], target_join_key=twins[1])
    )
    for name in twins:
        made = await client.create(name, {twins[0]: "a", twins[1]: "b"})
        for field in twins:
            refused = await client.post(name, {field: made[field]})
            detail = {"field": field, "rule": "unique", "message": f"{field} already exists"}
            assert_error(refused, 409, "CONFLICT", "A record with this value already exists", [detail])
        await client.delete(f"{name}/{made['id']}")
        await client.create(name, {twins[0]: "a", twins[1]: "b"})


async def test_the_names_of_join_columns_are_checked_when_they_are_derived(client):
    name = "b" * 62
    await client.define(entity(name), entity("c"))
    refused = await client.post("_admin/relations", many_to_many("r", name, "c"))
    assert_error(refused, 422, "VALIDATION_FAILED", f"invalid join_table: {name}_c")
    refused = await client.post("_admin/relations", many_to_many("r", name, "c", "j"))
    assert_error(refused, 422, "VALIDATION_FAILED", f"invalid source_join_key: {name}_id")
    refused = await client.post("_admin/relations", many_to_many("r", "c", name, "j"))
    assert_error(refused, 422, "VALIDATION_FAILED", f"invalid target_join_key: {name}_id")
    assert (await client.get("_admin/relations")).data == []


async def test_defaults_of_every_type_are_given_to_records(client):
    defaults = [
        ("string", 'it\'s "quoted"; --', 'it\'s "quoted"; --'),
        ("text", "\\'); DROP TABLE x; --", "\\'); DROP TABLE x; --"),
        ("string", 7, "7"),
        ("string", "", ""),
        ("string", "ünï 🦊 $1 ? :a %s {x}", "ünï 🦊 $1 ? :a %s {x}"),
        ("int", "-2147483648", -2147483648),
        ("integer", 7.0, 7),
        ("int", 0, 0),
        ("bigint", 9223372036854775807, "9223372036854775807"),
        ("float", "1e-7", 1e-7),
        ("float", 0, 0.0),
        ("decimal", 1.5, "1.5"),
        ("decimal", "-99999999999999999999999999999999999999", "-99999999999999999999999999999999999999"),
        ("boolean", False, False),
        ("boolean", "yes", True),
        ("uuid", ID.upper(), ID),
        ("timestamp", "2024-02-29 12:00+02", "2024-02-29T10:00:00.000Z"),
        ("date", "2024-02-29T23:00Z", "2024-02-29"),
        ("json", {"it's": ['"', None, 1.5]}, {"it's": ['"', None, 1.5]}),
        ("json", [], []),
        ("json", "'", "'"),
        ("json", False, False),
    ]
    fields = {f"f{at}": {"type": type, "default": given} for at, (type, given, _) in enumerate(defaults)}
    fields["p"] = {"type": "decimal", "precision": 2, "default": "2.345"}
    fields["e"] = {"type": "string", "enum": ["a'b", 1], "default": 1}
    await client.define(entity("thing", **fields))
    expected = [*(value for _, _, value in defaults), "2.35", "1"]
    made = await client.create("thing", {})
    assert list(made.values())[1:] == expected
    assert (await client.get("thing")).data == [made]
    nulls = await client.create("thing", dict.fromkeys(fields))
    assert set(list(nulls.values())[1:]) == {None}
    # The same values stand in the table itself, for rows that others write.
    await raw(client, f"""INSERT INTO "thing" ("id") VALUES ('{ID}')""")
    assert list((await client.get(f"thing/{ID}")).data.values())[1:] == expected


async def test_a_default_satisfies_required_and_nullable_switches_it_off(client):
    await client.define(
        entity(
            "thing",
            a={"type": "string", "required": True, "default": "x"},
            b={"type": "string", "required": True, "nullable": True},
            c={"type": "string", "required": True},
        )
    )
    made = await client.create("thing", {"c": "y"})
    assert (made["a"], made["b"], made["c"]) == ("x", None, "y")
    details = [{"field": name, "rule": "required", "message": f"{name} is required"} for name in ("a", "c")]
    refused = await client.post("thing", {"a": None, "b": None})
    assert_error(refused, 422, "VALIDATION_FAILED", "Validation failed", details)


async def test_enums_compare_the_text_form(client):
    await client.define(
        entity(
            "thing",
            n={"type": "int", "enum": [1, "2"]},
            d={"type": "decimal", "precision": 1, "enum": ["1", 2.5]},
            b={"type": "boolean", "enum": [True]},
            t={"type": "date", "enum": ["2024-01-01T10:00Z"]},
        )
    )
    made = await client.create("thing", {"n": 2.0, "d": 1, "b": "yes", "t": "2024-01-01"})
    assert {key: made[key] for key in "ndbt"} == {"n": 2, "d": "1.0", "b": True, "t": "2024-01-01"}
    await client.create("thing", dict.fromkeys("ndbt"))
    wrong = {"n": 3, "d": "2", "b": False, "t": "2024-01-02"}
    allowed = {"n": "1, 2", "d": "1.0, 2.5", "b": "true", "t": "2024-01-01"}
    details = [{"field": key, "rule": "enum", "message": f"{key} must be one of: {allowed[key]}"} for key in "ndbt"]
    assert_error(await client.post("thing", wrong), 422, "VALIDATION_FAILED", "Validation failed", details)


async def test_precision_is_from_0_to_18(client):
    await client.define(
        entity("thing", a={"type": "decimal", "precision": 0}, b={"type": "decimal", "precision": 18.0}),
        # It says nothing about other types.
        entity("other", a={"type": "int", "precision": 2}),
    )
    made = await client.create("thing", {"a": "1.5", "b": "0.1"})
    assert (made["a"], made["b"]) == ("2", "0.100000000000000000")
    assert (await client.create("other", {"a": 5}))["a"] == 5


async def test_every_type_of_key_is_accepted(client):
    for at, (type, given) in enumerate(
        [
            ("uuid", None),
            ("int", "integer"),
            ("integer", "int"),
            ("bigint", None),
            ("string", "text"),
            ("text", "string"),
        ]
    ):
        key = {"field": "k", "generated": True} if given is None else {"field": "k", "type": given, "generated": True}
        definition = {"name": f"e{at}", "primary_key": key, "fields": [{"name": "k", "type": type}]}
        await client.define(definition)
        made = await client.create(f"e{at}", {})
        assert (await client.get(f"e{at}/{made['k']}")).data == made


async def test_a_declared_deleted_at_is_a_timestamp_where_deletes_are_soft(client):
    wrong = entity("thing", {"soft_delete": True}, deleted_at="string")
    refused = await client.post("_admin/entities", wrong)
    assert_error(refused, 422, "VALIDATION_FAILED", "invalid field type: string for field deleted_at")
    await client.define(entity("thing", {"soft_delete": True}, deleted_at="timestamp", n="int"))
    assert list(await client.create("thing", {})) == ["id", "deleted_at", "n"]
    # Without soft delete it is a field like any other.
    await client.define(entity("plain", deleted_at="string"))
    assert (await client.create("plain", {"deleted_at": "x"}))["deleted_at"] == "x"


async def test_names_that_databases_derive_are_free(client):
    """Keys, counters and constraints have names too, and some databases keep them where they keep tables."""
    derived = ["a_pkey", "a_id_seq", "a_id_key", "a_id_not_null", "a_id_seq1", "a_pkey1", "key", "counter", "a_key"]
    before, after = derived[::2], derived[1::2]
    await client.define(*[entity(name, id="int", text="string") for name in before])
    await client.define(entity("a", id="int", text="string! unique"))
    await client.define(*[entity(name, id="int", text="string") for name in after])
    await client.relate(many_to_many("links", "a", "a_pkey", "a_a_pkey"))
    await client.define(entity("a_a_pkey_pkey", id="bigint"))
    for name in ("a", *derived):
        assert await client.create(name, {"text": name}) == {"id": 1, "text": name}
    assert await client.create("a_a_pkey_pkey", {}) == {"id": "1"}
    answer = (await client.post("a", {"id": 7, "text": "b", "links": ["1"]})).require(201)
    assert (await client.get(f"a/{answer.data['id']}?include=links")).data["links"] == [{"id": 1, "text": "a_pkey"}]


async def test_a_name_of_a_key_that_is_not_ours_is_told_apart(client):
    """A table that was there before has its own idea of how its key is called."""
    await raw(client, "CREATE TABLE old (id INTEGER NOT NULL PRIMARY KEY, n INTEGER)")
    definition = entity("old", id="int", n="int")
    definition["primary_key"]["generated"] = False
    await client.define(definition)
    await client.create("old", {"id": 1, "n": 1})
    finding = {"field": "id", "rule": "unique", "message": "id already exists"}
    message = "A record with this value already exists"
    assert_error(await client.post("old", {"id": 1, "n": 1}), 409, "CONFLICT", message, [finding])
