"""Nested writes of one_to_many relations: contract §5.5 and §5.7."""

import pytest

from rocket_kernel.testing import assert_error, entity, one_to_many

ORDER = entity("order", name="string!", changed="timestamp auto=update")
LINE = entity("line", order_id="uuid!", sku="string!", qty="int", made="timestamp auto=create")
PART = entity("part", line_id="uuid", sku="string unique", kind="string enum=a|b")
LINES = one_to_many("lines", "order", "line")
PARTS = one_to_many("parts", "line", "part")


def unknown(path):
    key = path.rpartition(".")[2]
    return {"field": path, "rule": "unknown", "message": f"Unknown field or relation: {key}"}


def required(path):
    return {"field": path, "rule": "required", "message": f"{path.rpartition('.')[2]} is required"}


def limit(path, message):
    return {"field": path, "rule": "limit", "message": message}


def assert_refused(answer, *details):
    assert_error(answer, 422, "VALIDATION_FAILED", "Validation failed", details)


async def counts(client, *names):
    return [(await client.get(name)).meta["total"] for name in names]


@pytest.fixture
async def shop(client):
    await client.define(ORDER, LINE, PART)
    await client.relate(LINES, PARTS)
    return client


async def order_as_read(client, id):
    return (await client.get(f"order/{id}?include=lines.parts")).data


async def test_a_tree_is_stored_under_its_root(shop):
    parts = [{"sku": "p1", "kind": "a"}, {"sku": "p2"}]
    made = await shop.create(
        "order", {"name": "x", "lines": [{"sku": "l1", "parts": parts}, {"sku": "l2", "parts": []}]}
    )
    assert list(made) == ["id", "name", "changed"]
    read = await order_as_read(shop, made["id"])
    lines = {line["sku"]: line for line in read["lines"]}
    assert set(lines) == {"l1", "l2"}
    assert {part["sku"]: part["kind"] for part in lines["l1"]["parts"]} == {"p1": "a", "p2": None}
    assert lines["l2"]["parts"] == []


async def test_the_key_to_the_parent_is_forced(shop):
    other = await shop.create("order", {"name": "other"})
    made = await shop.create("order", {"name": "x", "lines": [{"sku": "a", "order_id": other["id"]}]})
    (line,) = (await order_as_read(shop, made["id"]))["lines"]
    for key in (other["id"], None, "junk", ["x"]):
        body = {"lines": [{"id": line["id"], "order_id": key}, {"sku": "b", "order_id": key}]}
        (await shop.put(f"order/{made['id']}", body)).require(200)
    assert (await order_as_read(shop, other["id"]))["lines"] == []
    assert sorted(row["sku"] for row in (await order_as_read(shop, made["id"]))["lines"]) == ["a", "b", "b", "b", "b"]


@pytest.mark.parametrize("mode", ["diff", "replace"])
async def test_what_was_read_is_written_back_as_it_is(client, clock, mode):
    await client.define(ORDER, {**LINE, "soft_delete": True}, PART)
    await client.relate(LINES, PARTS)
    parts = [{"sku": "p1", "kind": "a"}, {"sku": "p2"}]
    made = await client.create("order", {"name": "x", "lines": [{"sku": "l1", "parts": parts}, {"sku": "l2"}]})
    before = await order_as_read(client, made["id"])
    # What other reads show of a line is tolerated too.
    lines = [{**line, "deleted_at": None, "_delete": False} for line in before["lines"]]
    clock.advance(hours=1)
    body = {**before, "lines": {"_write_mode": mode, "data": lines}}
    (await client.put(f"order/{made['id']}", body)).require(200)
    assert await order_as_read(client, made["id"]) == {**before, "changed": "2026-01-02T04:04:05.678Z"}


async def test_foreign_children_stay_as_they_are(shop):
    mine = await shop.create("order", {"name": "mine", "lines": [{"sku": "a"}]})
    theirs = await shop.create("order", {"name": "theirs", "lines": [{"sku": "b", "qty": 1}]})
    before = await order_as_read(shop, theirs["id"])
    foreign = before["lines"][0]["id"]
    for item in ({"id": foreign, "qty": 5}, {"id": foreign, "_delete": True}, {"id": foreign, "nonsense": 1}):
        answer = await shop.put(f"order/{mine['id']}", {"lines": [item]})
        detail = {"field": "lines[0].id", "rule": "not_found", "message": f"line with id {foreign} not found"}
        assert_refused(answer, detail)
    (await shop.put(f"order/{mine['id']}", {"lines": {"_write_mode": "replace", "data": []}})).require(200)
    assert await order_as_read(shop, theirs["id"]) == before
    assert (await order_as_read(shop, mine["id"]))["lines"] == []


async def test_findings_have_paths_and_stand_in_the_order_of_the_body(shop):
    body = {
        "lines": [
            {"parts": [{"kind": "a"}, {"kind": "c"}], "qty": "x"},
            {"sku": "fine"},
            {"qty": 1.5, "parts": [{"kind": "d"}]},
        ],
        "name": "",
    }
    enum = {"rule": "enum", "message": "kind must be one of: a, b"}
    integer = {"rule": "type", "message": "qty must be a valid int"}
    assert_refused(
        await shop.post("order", body),
        required("name"),
        required("lines[0].sku"),
        {"field": "lines[0].qty", **integer},
        {"field": "lines[0].parts[1].kind", **enum},
        required("lines[2].sku"),
        {"field": "lines[2].qty", **integer},
        {"field": "lines[2].parts[0].kind", **enum},
    )
    assert await counts(shop, "order", "line", "part") == [0, 0, 0]


async def test_unknown_keys_of_the_whole_tree_are_told_and_nothing_else_is_checked(shop):
    made = await shop.create("order", {"name": "x"})
    body = {
        "lines": [
            {"qty": "x", "nope": 1},
            {"id": made["id"], "sku": ""},
            {"parts": [{"kind": "c"}, {"sku": "p", "order": 1}], "skus": []},
            "text",
        ],
        "nonsense": None,
        "parts": [],
    }
    assert_refused(
        await shop.put(f"order/{made['id']}", body),
        unknown("nonsense"),
        unknown("parts"),
        unknown("lines[0].nope"),
        {"field": "lines[1].id", "rule": "not_found", "message": f"line with id {made['id']} not found"},
        unknown("lines[2].skus"),
        unknown("lines[2].parts[1].order"),
        {"field": "lines[3]", "rule": "type", "message": "lines[3] must be an object"},
    )
    assert await counts(shop, "order", "line", "part") == [1, 0, 0]


async def test_a_child_is_named_once(shop):
    made = await shop.create("order", {"name": "x", "lines": [{"sku": "a"}]})
    (line,) = (await order_as_read(shop, made["id"]))["lines"]
    for mode in ("diff", "replace", "append"):
        items = [{"id": line["id"], "qty": 1}, {"id": line["id"].upper(), "qty": 2}]
        answer = await shop.put(f"order/{made['id']}", {"lines": {"_write_mode": mode, "data": items}})
        message = "lines[1] names a record that was named before"
        assert_refused(answer, {"field": "lines[1]", "rule": "cardinality", "message": message})
    assert (await order_as_read(shop, made["id"]))["lines"] == [line | {"parts": []}]


async def test_one_failure_undoes_the_whole_tree(shop):
    kept = await shop.create(
        "order", {"name": "x", "lines": [{"sku": "l", "parts": [{"sku": "taken"}, {"sku": "free"}]}]}
    )
    before = await order_as_read(shop, kept["id"])
    (line,) = before["lines"]
    taken = {"field": "lines[1].parts[1].sku", "rule": "unique", "message": "sku already exists"}
    body = {"name": "new", "lines": [{"sku": "1"}, {"sku": "2", "parts": [{"sku": "n"}, {"sku": "taken"}]}]}
    conflict = (409, "CONFLICT", "A record with this value already exists")
    assert_error(await shop.post("order", body), *conflict, [taken])
    gone = [{"id": part["id"], "_delete": True} for part in line["parts"] if part["sku"] == "free"]
    items = [{"id": line["id"], "qty": 5, "parts": gone}, {"sku": "2", "parts": [{"sku": "n"}, {"sku": "taken"}]}]
    assert_error(await shop.put(f"order/{kept['id']}", {"name": "y", "lines": items}), *conflict, [taken])
    replaced = {"_write_mode": "replace", "data": [{"sku": "1"}, {"sku": "2", "parts": [{"sku": "n"}, {"sku": "n"}]}]}
    assert_error(await shop.put(f"order/{kept['id']}", {"name": "y", "lines": replaced}), *conflict, [taken])
    assert_refused(
        await shop.put(f"order/{kept['id']}", {"name": "y", "lines": [{"sku": "1", "parts": [{"kind": "c"}]}]}),
        {"field": "lines[0].parts[0].kind", "rule": "enum", "message": "kind must be one of: a, b"},
    )
    assert await counts(shop, "order", "line", "part") == [1, 1, 2]
    assert await order_as_read(shop, kept["id"]) == before


@pytest.mark.parametrize(("type", "numbers"), [("int", [1, 2]), ("bigint", ["1", "2"])])
async def test_generated_numbers_reach_the_children(client, type, numbers):
    await client.define(entity("order", id=type), entity("line", id=type, order_id=f"{type}!", qty="int!"))
    await client.relate(LINES)
    await client.create("order", {})
    await client.create("order", {"lines": [{"qty": 1}, {"qty": 2, "order_id": 1}]})
    rows = (await client.get("line")).data
    assert rows == [
        {"id": number, "order_id": numbers[1], "qty": qty} for number, qty in zip(numbers, (1, 2), strict=True)
    ]
    assert_refused(await client.post("line", {"qty": 1}), required("order_id"))


async def test_a_key_of_the_clients_choice(client):
    options = {"primary_key": {"field": "code", "type": "string"}, "soft_delete": True}
    await client.define(ORDER, entity("line", options, code="string", order_id="uuid", qty="int"))
    await client.relate(LINES)
    mine = await client.create("order", {"name": "mine", "lines": [{"code": "a", "qty": 1}, {"code": "gone"}]})
    await client.create("order", {"name": "theirs", "lines": [{"code": "z", "qty": 9}]})
    (await client.delete("line/gone")).require(200)
    (await client.put(f"order/{mine['id']}", {"lines": [{"code": "a", "qty": 2}, {"code": "b"}]})).require(200)
    for code in ("z", "gone"):
        detail = {"field": "lines[1].code", "rule": "not_found", "message": f"line with id {code} not found"}
        for method, path in (("PUT", f"order/{mine['id']}"), ("POST", "order")):
            body = {"name": "x", "lines": [{"code": "new"}, {"code": code, "qty": 1}]}
            assert_refused(await client.request(method, path, body), detail)
    for key in ({}, {"code": None}, {"code": ""}):
        answer = await client.put(f"order/{mine['id']}", {"lines": [{"qty": 1, **key}]})
        assert_refused(answer, required("lines[0].code"))
    twice = await client.put(f"order/{mine['id']}", {"lines": [{"code": "new"}, {"code": "new"}]})
    taken = {"field": "lines[1].code", "rule": "unique", "message": "code already exists"}
    assert_error(twice, 409, "CONFLICT", "A record with this value already exists", [taken])
    rows = {row["code"]: (row["order_id"] == mine["id"], row["qty"]) for row in (await client.get("line")).data}
    assert rows == {"a": (True, 2), "b": (True, None), "z": (False, 9)}


async def test_a_relation_over_another_unique_field(client):
    order = entity("order", number="int unique", name="string")
    await client.define(order, entity("line", order_number="int", sku="string"))
    await client.relate(one_to_many("lines", "order", "line", "order_number", source_key="number"))
    made = await client.create("order", {"number": 7, "lines": [{"sku": "a"}, {"sku": "b", "order_number": 8}]})
    read = (await client.get(f"order/{made['id']}?include=lines")).data
    assert sorted(line["sku"] for line in read["lines"]) == ["a", "b"]
    # Children are found by the old value and get the new one; those not mentioned keep theirs.
    line = next(line for line in read["lines"] if line["sku"] == "a")
    (await client.put(f"order/{made['id']}", {"number": 70, "lines": [{"id": line["id"]}, {"sku": "c"}]})).require(200)
    rows = {row["sku"]: row["order_number"] for row in (await client.get("line")).data}
    assert rows == {"a": 70, "b": 7, "c": 70}
    # Without a value no row refers to the parent.
    await client.create("line", {"sku": "stray"})
    empty = await client.create("order", {"name": "no number"})
    replaced = {"lines": {"_write_mode": "replace", "data": []}}
    (await client.put(f"order/{empty['id']}", replaced)).require(200)
    assert (await client.get("line")).meta["total"] == 4


async def test_a_relation_of_an_entity_with_itself(client):
    await client.define(entity("category", name="string!", parent_id="uuid"))
    await client.relate(one_to_many("children", "category", "category", "parent_id"))
    root = await client.create(
        "category", {"name": "root", "children": [{"name": "left", "category": [{"name": "leaf"}]}, {"name": "right"}]}
    )
    assert root["parent_id"] is None
    rows = (await client.get("category?include=parent")).data
    parents = {row["name"]: row["parent"] and row["parent"]["name"] for row in rows}
    assert parents == {"root": None, "left": "root", "right": "root", "leaf": "left"}
    replaced = {"name": "root", "children": {"_write_mode": "replace", "data": [{"name": "only"}]}}
    (await client.put(f"category/{root['id']}", replaced)).require(200)
    # The relation has no on_delete, so the leaf of a deleted category stays.
    assert sorted(row["name"] for row in (await client.get("category")).data) == ["leaf", "only", "root"]
    own = await client.put(f"category/{root['id']}", {"children": [{"id": root["id"]}]})
    message = f"category with id {root['id']} not found"
    assert_refused(own, {"field": "children[0].id", "rule": "not_found", "message": message})


def chain(depth):
    """A record with `depth` records nested in each other."""
    body = {"name": f"level {depth}"}
    for level in range(depth - 1, -1, -1):
        body = {"name": f"level {level}", "children": [body]}
    return body


async def test_items_nest_to_a_depth_of_eight(client):
    await client.define(entity("node", name="string!", parent_id="uuid"))
    await client.relate(one_to_many("children", "node", "node", "parent_id"))
    root = await client.create("node", chain(8))
    assert await counts(client, "node") == [9]
    path = ".".join(["children[0]"] * 8) + ".children"
    too_deep = limit(path, "Nested write too deep (max 8)")
    assert_refused(await client.post("node", chain(9)), too_deep)
    assert_refused(await client.put(f"node/{root['id']}", chain(9)), too_deep)
    assert await counts(client, "node") == [9]


async def test_a_request_holds_a_thousand_records(client):
    await client.define(
        entity("order", id="int"), entity("line", id="int", order_id="int"), entity("part", id="int", line_id="int")
    )
    await client.relate(LINES, PARTS)
    await client.create("order", {"lines": [{} for _ in range(999)]})
    too_many = "Too many records in one request (max 1000)"
    assert_refused(await client.post("order", {"lines": [{} for _ in range(1000)]}), limit("lines", too_many))
    spread = {"lines": [{"parts": [{} for _ in range(99)]} for _ in range(10)]}
    assert_refused(await client.post("order", spread), limit("lines[9].parts", too_many))
    assert await counts(client, "order", "line", "part") == [1, 999, 0]


async def test_the_limits_are_configurable(start_kernel):
    running = await start_kernel(config={"limits.nested_depth": 2, "limits.nested_records": 4})
    client = await running.client.app("shop")
    await client.define(entity("node", name="string!", parent_id="uuid"))
    await client.relate(one_to_many("children", "node", "node", "parent_id"))
    await client.create("node", chain(2))
    deep = limit("children[0].children[0].children", "Nested write too deep (max 2)")
    assert_refused(await client.post("node", chain(3)), deep)
    await client.create("node", {"name": "x", "children": [{"name": "y"}] * 3})
    many = limit("children", "Too many records in one request (max 4)")
    assert_refused(await client.post("node", {"name": "x", "children": [{"name": "y"}] * 4}), many)
    assert await counts(client, "node") == [7]
