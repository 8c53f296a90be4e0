"""Permissions as metadata: what is refused, what is stored, what happens to them when entities change."""

import pytest

from rocket_auth.permissions.testing import PLUGINS
from rocket_kernel.testing import assert_error, entity, one_to_many

BOOK = entity(
    "book",
    title="string",
    pages="int",
    price="decimal:2",
    sold="boolean",
    at="timestamp",
    on="date",
    big="bigint",
    weight="float",
    meta="json",
    owner_id="uuid",
)
SOUND = {"entity": "book", "action": "read", "roles": ["clerk"]}


def when(field="title", operator="eq", value="x", **more):
    return {"conditions": [{"field": field, "operator": operator, "value": value, **more}]}


@pytest.fixture
async def books(office):
    await office.admin.define(BOOK, entity("shelf", name="string"))
    return office


# In the order in which the checks run: each body would fail all later ones too.
REFUSED = [
    ({"action": "fly", "roles": 1}, "entity is required", None),
    ({"entity": "", "action": "fly"}, "entity is required", None),
    ({"entity": None, "action": "fly"}, "entity is required", None),
    ({"entity": "nope", "roles": 1}, "action is required", None),
    ({"entity": "nope", "action": ""}, "action is required", None),
    ({"entity": "nope", "action": "fly", "roles": 1}, "action must be read, create, update, or delete", None),
    ({"entity": "nope", "action": ["read"]}, "action must be read, create, update, or delete", None),
    ({"entity": "nope", "action": "READ"}, "action must be read, create, update, or delete", None),
    ({"entity": "nope", "action": "read", "roles": 1}, "entity not found: nope", None),
    ({"entity": 7, "action": "read"}, "entity not found: 7", None),
    ({"entity": ["book"], "action": "read"}, 'entity not found: ["book"]', None),
    ({"entity": "book", "action": "read", "conditions": 1}, "roles must be a list of strings", None),
    *[
        ({**SOUND, "roles": roles, "conditions": 1}, "roles must be a list of strings", None)
        for roles in (None, "clerk", {"clerk": True}, 7, [7], [""], ["clerk", None], [["clerk"]])
    ],
    *[
        ({**SOUND, "conditions": conditions, "fields": 1}, "conditions must be a list", "conditions")
        for conditions in ("x", 0, {}, {"field": "title"}, False)
    ],
    ({**SOUND, "conditions": ["x"] * 51}, "too many conditions (max 50)", "conditions"),
    ({**SOUND, "conditions": ["x"]}, "condition must be an object", "conditions[0]"),
    ({**SOUND, "conditions": [None]}, "condition must be an object", "conditions[0]"),
    ({**SOUND, "conditions": [{}]}, "field is required", "conditions[0].field"),
    ({**SOUND, **when(field="")}, "field is required", "conditions[0].field"),
    ({**SOUND, **when(field="nope", operator="nope")}, "unknown field: nope", "conditions[0].field"),
    ({**SOUND, **when(field="deleted_at")}, "unknown field: deleted_at", "conditions[0].field"),
    ({**SOUND, **when(field="shelf.name")}, "unknown field: shelf.name", "conditions[0].field"),
    ({**SOUND, **when(field=["title"])}, 'unknown field: ["title"]', "conditions[0].field"),
    ({**SOUND, "conditions": [*when()["conditions"], *when(field="nope")["conditions"]]}, "unknown field: nope", "conditions[1].field"),
    *[
        ({**SOUND, **when(field=field, operator=operator, value=[])}, f"unknown operator: {shown}", "conditions[0].operator")
        for field, operator, shown in (
            ("title", "==", "=="),
            ("title", "", ""),
            ("title", None, "null"),
            ("title", ["eq"], '["eq"]'),
            ("title", "EQ", "EQ"),
            ("title", "or", "or"),
            ("pages", "like", "like"),
            ("pages", "contains", "contains"),
            ("sold", "gt", "gt"),
            ("meta", "eq", "eq"),
            ("owner_id", "starts_with", "starts_with"),
        )
    ],
    *[
        ({**SOUND, **when(field, operator, value), "fields": 1}, f"invalid value for operator {operator}", "conditions[0].value")
        for field, operator, value in (
            ("title", "eq", None),
            ("title", "eq", 5),
            ("title", "eq", True),
            ("title", "eq", ["x"]),
            ("title", "eq", {"x": 1}),
            ("title", "like", 5),
            ("title", "eq", "\ufdd0"),
            ("title", "eq", "x" * 8193),
            ("pages", "eq", "many"),
            ("pages", "eq", ""),
            ("pages", "eq", 1.5),
            ("pages", "eq", True),
            ("pages", "gt", 2**31),
            ("pages", "gt", 1e300),
            ("pages", "gt", None),
            ("big", "eq", 2**63),
            ("weight", "lt", "1_0"),
            ("price", "eq", "1,5"),
            ("sold", "eq", "yes"),
            ("sold", "eq", 2),
            ("at", "eq", "soon"),
            ("at", "eq", 7),
            ("on", "eq", "2026-02-30"),
            ("owner_id", "eq", "ann"),
            ("owner_id", "eq", "{{user.email}}"),
            ("pages", "eq", "{{user.email}}"),
            ("sold", "eq", "{{user.id}}"),
            ("on", "eq", "{{user.id}}"),
            ("meta", "is_null", "{{user.id}}"),
            ("meta", "is_null", "maybe"),
            ("meta", "is_null", None),
            ("meta", "is_null", []),
            ("title", "in", 5),
            ("title", "in", None),
            ("title", "in", {"a": 1}),
            ("pages", "in", "1,x"),
            ("pages", "in", "{{user.roles}}"),
            ("pages", "between", "1"),
            ("pages", "between", [1]),
            ("pages", "between", [1, 2, 3]),
            ("pages", "between", 5),
            ("pages", "between", "1,2,3"),
        )
    ],
    ({**SOUND, **when("pages", "in", [1, "x", 2])}, "invalid value for operator in", "conditions[0].value[1]"),
    ({**SOUND, **when("pages", "not_in", [1, [2]])}, "invalid value for operator not_in", "conditions[0].value[1]"),
    ({**SOUND, **when("title", "in", ["x"] * 1001)}, "too many values for operator in (max 1000)", "conditions[0].value"),
    *[
        ({**SOUND, **when("title", operator, value)}, f"unknown template: {shown}", path)
        for operator, value, shown, path in (
            ("eq", "{{user.name}}", "{{user.name}}", "conditions[0].value"),
            ("eq", "{{user}}", "{{user}}", "conditions[0].value"),
            ("eq", "{{}}", "{{}}", "conditions[0].value"),
            ("eq", "a {{ record.x }} b", "{{ record.x }}", "conditions[0].value"),
            ("eq", "{{user.ID}}", "{{user.ID}}", "conditions[0].value"),
            ("eq", "{{user.roles}}", "{{user.roles}}", "conditions[0].value"),
            ("contains", "{{user.roles}}", "{{user.roles}}", "conditions[0].value"),
            ("in", ["{{user.roles}}"], "{{user.roles}}", "conditions[0].value[0]"),
            ("in", "x,{{user.roles}}", "{{user.roles}}", "conditions[0].value"),
            ("in", ["x", "{{env.HOME}}"], "{{env.HOME}}", "conditions[0].value[1]"),
        )
    ],
    *[
        ({**SOUND, "fields": fields}, "fields must be an object with include or exclude", "fields")
        for fields in ("title", ["title"], 1, {}, {"only": ["title"]}, True)
    ],
    (
        {**SOUND, "fields": {"include": ["title"], "exclude": ["pages"]}},
        "fields must have either include or exclude, not both",
        "fields",
    ),
    ({**SOUND, "fields": {"include": "title"}}, "fields.include must be a list of field names", "fields.include"),
    ({**SOUND, "fields": {"exclude": None}}, "fields.exclude must be a list of field names", "fields.exclude"),
    ({**SOUND, "fields": {"include": ["title", "nope"]}}, "unknown field: nope", "fields.include[1]"),
    ({**SOUND, "fields": {"exclude": [7]}}, "unknown field: 7", "fields.exclude[0]"),
    ({**SOUND, "action": "delete", "fields": {"include": ["title"]}}, "fields cannot be used with action delete", "fields"),
]  # fmt: skip


async def test_what_is_refused(books):
    for body, message, path in REFUSED:
        details = [] if path is None else [{"field": path, "message": message}]
        assert_error(await books.admin.post("_admin/permissions", body), 422, "VALIDATION_FAILED", message, details)
    assert_error(await books.admin.post("_admin/permissions", {**SOUND, **when(value="a\x00")}), 400, "INVALID_PAYLOAD")
    assert (await books.admin.get("_admin/permissions")).data == []


ACCEPTED = [
    when("title", "eq", ""),
    when("title", "like", "a%_\\%"),
    when("title", "in", []),
    when("title", "in", ""),
    when("title", "not_in", "a, b"),
    when("title", "in", "{{ user.roles }}"),
    when("title", "in", ["{{user.id}}", "x-{{user.email}}"]),
    when("title", "starts_with", "{{user.email}}/{{user.id}}"),
    when("title", "eq", "{{ never closed"),
    when("title", "between", ["{{user.id}}", "z"]),
    when("pages", "between", "1, 2"),
    when("pages", "eq", "{{user.id}}"),
    when("pages", "eq", 7.0),
    when("big", "in", [1, "2", 9007199254740993]),
    when("price", "gte", 1.25),
    when("sold", "eq", True),
    when("sold", "in", [0, "true"]),
    when("at", "lt", "2026-01-01"),
    when("owner_id", "eq", "{{user.id}}"),
    when("meta", "is_null", False),
    when("title", "is_null", "1"),
    when(note="kept"),
    {"fields": {"include": []}},
    {"fields": {"exclude": ["id", "title"], "why": "kept"}},
    {"roles": []},
    {"conditions": None, "fields": None},
]


async def test_what_is_accepted_is_returned_as_it_was_given(books):
    for more in ACCEPTED:
        body = {**SOUND, **more}
        made = await books.admin.create("_admin/permissions", body)
        wanted = {
            "conditions": [],
            "fields": None,
            **{name: value for name, value in body.items() if value is not None},
        }
        assert {name: made[name] for name in wanted} == wanted, more
        assert list(made) == ["id", "entity", "action", "roles", "conditions", "fields", "created_at", "updated_at"]
        assert (await books.admin.get(f"_admin/permissions/{made['id']}")).data == made


async def test_the_admin_collection(books):
    admin, missing = books.admin, "12345678-90ab-4cde-8f01-234567890abc"
    shelf = await books.allow("shelf", "create", "b")
    late = await books.allow("book", "update", "a")
    early = await books.allow("book", "read", "Clerk", when=[("pages", "lt", 5)], include=["title"])
    assert [row["id"] for row in (await admin.get("_admin/permissions")).data] == [
        row["id"] for row in (early, late, shelf)
    ]
    changed = (await admin.put(f"_admin/permissions/{early['id']}", {"roles": ["Boss"]})).require(200).data
    assert changed == {**early, "roles": ["Boss"], "updated_at": changed["updated_at"]}
    cleared = (await admin.put(f"_admin/permissions/{early['id']}", {"conditions": [], "fields": None})).data
    assert (cleared["conditions"], cleared["fields"]) == ([], None)
    refused = await admin.put(
        f"_admin/permissions/{late['id']}", {"action": "delete", "fields": {"exclude": ["title"]}}
    )
    assert_error(refused, 422, "VALIDATION_FAILED", "fields cannot be used with action delete")
    for id in (missing, "7", "not-an-id"):
        for method, body in (("GET", None), ("PUT", {}), ("DELETE", None)):
            answer = await admin.request(method, f"_admin/permissions/{id}", *([] if body is None else [body]))
            assert_error(answer, 404, "NOT_FOUND", f"Permission not found: {id}", [])
    gone = await admin.delete(f"_admin/permissions/{shelf['id']}")
    assert gone.data == {"id": shelf["id"], "deleted": True}
    for method in ("GET", "POST"):
        refused = await books.caller("boss").request(method, "_admin/permissions")
        assert_error(refused, 403, "FORBIDDEN", "Admin access required", [])


async def test_export_import_and_plan(books, start_kernel):
    await books.allow("book", "read", "a", "B", when=[("pages", "lt", 5)], exclude=["price"])
    await books.allow("book", "read", "a")
    await books.allow("book", "read", "a")
    exported = (await books.admin.get("_admin/export")).data
    assert [list(row) for row in exported["permissions"]] == [["entity", "action", "roles", "conditions", "fields"]] * 3
    other = await books.running.client.app("mall")
    document = {name: exported[name] for name in ("version", "entities", "permissions")}
    assert (await other.post("_admin/import", document)).data["summary"]["permissions"] == 3
    again = (await other.get("_admin/export")).data
    assert again["permissions"] == exported["permissions"]
    # Roles are a set, and what is left out has its default.
    same = [
        {"entity": "book", "action": "read", "roles": ["b", "A"], "fields": {"exclude": ["price"]},
         "conditions": [{"value": 5, "operator": "lt", "field": "pages"}]},
        {"entity": "book", "action": "read", "roles": ["A"]},
        {"entity": "book", "action": "read", "roles": ["a", "a"], "conditions": []},
    ]  # fmt: skip
    assert (await other.post("_admin/import", {"permissions": same})).data["summary"]["permissions"] == 0
    # One stored row answers for one item.
    more = {"permissions": [same[1]] * 3 + [{"entity": "book", "action": "fly"}, {"action": {}}, 7]}
    planned = (await other.post("_admin/import?mode=plan", more)).data
    assert planned["changes"] == [{"action": "create", "kind": "permission", "key": "book/read"}]
    imported = (await other.post("_admin/import", more)).data
    assert imported["summary"]["permissions"] == 1
    assert imported["errors"] == [
        "permission book/fly: action must be read, create, update, or delete",
        "permission /{}: entity is required",
        "permission: object expected",
    ]


async def test_they_go_with_their_entity(books):
    await books.allow("book", "read", "a")
    shelf = await books.allow("shelf", "read", "a")
    (await books.admin.delete("_admin/entities/book")).require(200)
    assert [row["id"] for row in (await books.admin.get("_admin/permissions")).data] == [shelf["id"]]
    await books.admin.define(BOOK)
    refused = await books.caller("a").get("book")
    assert_error(refused, 403, "FORBIDDEN", "No permission for read on book", [])


async def test_a_condition_on_a_field_that_is_gone_denies(books):
    for field in ("pages", "title"):
        await books.admin.create("book", {"title": "x", "pages": 1, "price": "1"})
        await books.allow("book", "read", field, when=[(field, "is_null", False)], include=["price", "on"])
        await books.allow("book", "create", field, when=[(field, "is_null", False)], exclude=["on"])
        await books.allow("book", "delete", field, when=[("id", "is_null", False), (field, "is_null", False)])
    clerk, other = books.caller("pages"), books.caller("title")
    assert (await clerk.get("book")).meta["total"] == 2
    without = {**BOOK, "fields": [field for field in BOOK["fields"] if field["name"] not in ("pages", "on")]}
    (await books.admin.put("_admin/entities/book", without)).require(200)
    assert (await clerk.get("book")).data == []
    assert_error(await clerk.post("book", {}), 403, "FORBIDDEN", "Permission denied for create on book")
    (book, _) = (await books.admin.get("book")).data
    assert (await clerk.delete(f"book/{book['id']}")).status == 404
    # Other rows go on, and so do field lists that named the field.
    assert list((await other.get("book")).data[0]) == ["id", "price"]
    assert (await other.post("book", {"title": "x"})).status == 201
    # When the field is back, so is the permission.
    (await books.admin.put("_admin/entities/book", BOOK)).require(200)
    assert (await clerk.get("book")).meta["total"] == 2
    stored = (await books.admin.get("_admin/permissions")).data
    changed = {**BOOK, "fields": [field for field in BOOK["fields"] if field["name"] != "pages"]}
    (await books.admin.put("_admin/entities/book", changed)).require(200)
    untouched = next(row for row in stored if row["roles"] == ["pages"] and row["action"] == "read")
    refused = await books.admin.put(f"_admin/permissions/{untouched['id']}", {"roles": ["x"]})
    assert_error(refused, 422, "VALIDATION_FAILED", "unknown field: pages")


async def test_definitions_show_what_may_be_touched(books):
    await books.admin.define(entity("page", book_id="uuid"))
    await books.admin.relate(
        one_to_many("book_pages", "book", "page"), one_to_many("stock", "shelf", "page", "book_id")
    )
    await books.allow("book", "delete", "Clerk", when=[("pages", "lt", 0)])
    await books.allow("page", "create", "clerk", "other", include=[])
    clerk, nobody = books.caller("clerk"), books.caller()
    for kind, names in (("entities", ["book", "page"]), ("relations", ["book_pages"])):
        everything = (await books.admin.get(f"_admin/{kind}")).data
        assert (await clerk.get(f"_admin/{kind}")).data == [row for row in everything if row["name"] in names]
        assert (await nobody.get(f"_admin/{kind}")).data == []
        noun = {"entities": "Entity", "relations": "Relation"}[kind]
        for row in everything:
            path = f"_admin/{kind}/{row['name']}"
            one = await clerk.get(path)
            if row["name"] in names:
                assert one.data == row
            else:
                assert_error(one, 404, "NOT_FOUND", f"{noun} not found: {row['name']}", [])
            assert (await nobody.get(path)).status == 404
            assert (await books.admin.get(path)).data == row
    assert [row["name"] for row in (await books.caller("other").get("_admin/entities")).data] == ["page"]


async def test_a_change_counts_from_the_next_request_on_everywhere(books, start_kernel):
    other = (await start_kernel(PLUGINS)).client.in_app("shop")
    clerk = books.caller("clerk")
    elsewhere = other.with_headers(clerk.headers)
    for _ in range(3):
        assert [(await client.get("book")).status for client in (clerk, elsewhere)] == [403, 403]
        made = await books.allow("book", "read", "clerk")
        assert [(await client.get("book")).status for client in (clerk, elsewhere)] == [200, 200]
        (await other.put(f"_admin/permissions/{made['id']}", {"roles": ["boss"]})).require(200)
        assert [(await client.get("book")).status for client in (clerk, elsewhere)] == [403, 403]
        (await other.delete(f"_admin/permissions/{made['id']}")).require(200)
