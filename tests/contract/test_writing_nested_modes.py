"""The forms of a nested payload and every cell of the table of modes: contract §5.4 and §5.5."""

import pytest

from rocket_kernel.testing import assert_error, entity, one_to_many

SOME_ID = "12345678-90ab-4cde-8f01-234567890abc"
ORDER = entity("order", name="string")
LINE = entity("line", order_id="uuid", sku="string", qty="int")
SOFT_LINE = entity("line", {"soft_delete": True}, order_id="uuid", sku="string unique", qty="int")
LINES = one_to_many("lines", "order", "line")


class Shop:
    """An order with the lines a, b and c, and another order with the line z."""

    def __init__(self, client):
        self.client = client

    async def fill(self, line=LINE, **relation):
        await self.client.define(ORDER, line)
        await self.client.relate({**LINES, **relation})
        skus = [{"sku": sku, "qty": number} for number, sku in enumerate("abc", 1)]
        self.order = await self.client.create("order", {"name": "own", "lines": skus})
        self.other = await self.client.create("order", {"name": "other", "lines": [{"sku": "z", "qty": 9}]})
        self.ids = {row["sku"]: row["id"] for row in (await self.client.get("line")).data}
        self.before = await self.lines()
        return self

    async def put(self, mode, *items):
        envelope = {"_write_mode": mode, "data": list(items)} if mode else list(items)
        return await self.client.put(f"order/{self.order['id']}", {"lines": envelope})

    async def lines(self):
        """What every line of every order holds."""
        rows = (await self.client.get("line?per_page=200&include=order")).data
        return {row["sku"]: (row["order"]["name"], row["qty"]) for row in rows}

    async def refused(self, answer, *details):
        assert_error(answer, 422, "VALIDATION_FAILED", "Validation failed", details)
        assert await self.lines() == self.before


@pytest.fixture
async def shop(client):
    return await Shop(client).fill()


OWN = {"a": ("own", 1), "b": ("own", 2), "c": ("own", 3)}
OTHER = {"z": ("other", 9)}
MODES = ("diff", "replace", "append")


@pytest.mark.parametrize(
    ("mode", "left"),
    [
        ("diff", {"a": ("own", 1), "b": ("own", 20), "c": ("own", 3), "new": ("own", 7)}),
        ("replace", {"b": ("own", 20), "new": ("own", 7)}),
        ("append", {"a": ("own", 1), "b": ("own", 2), "c": ("own", 3), "new": ("own", 7)}),
    ],
)
async def test_items_with_and_without_key_and_children_not_mentioned(shop, mode, left):
    answer = await shop.put(mode, {"id": shop.ids["b"], "qty": 20}, {"sku": "new", "qty": 7})
    assert answer.require(200).data == shop.order
    assert await shop.lines() == {**left, **OTHER}
    assert (await shop.client.get(f"line/{shop.ids['b']}")).data["sku"] == "b"


@pytest.mark.parametrize(
    ("mode", "left"),
    [
        ("diff", {"a": ("own", 1), "c": ("own", 3)}),
        ("replace", {"b": ("own", 20)}),  # the flag is ignored
        ("append", OWN),
    ],
)
async def test_the_flag_to_delete(shop, mode, left):
    (await shop.put(mode, {"id": shop.ids["b"], "qty": 20, "_delete": True})).require(200)
    assert await shop.lines() == {**left, **OTHER}


async def test_only_true_is_the_flag(shop):
    for qty, flag in enumerate([False, None, 1, "true"], 20):
        (await shop.put("diff", {"id": shop.ids["b"], "qty": qty, "_delete": flag})).require(200)
        assert await shop.lines() == {**OWN, "b": ("own", qty), **OTHER}


async def test_the_flag_without_a_key_does_nothing(shop):
    for key in ({}, {"id": None}, {"id": ""}):
        (await shop.put("diff", {"sku": "new", "qty": 1, "_delete": True, **key})).require(200)
    assert await shop.lines() == shop.before


@pytest.mark.parametrize("mode", MODES)
async def test_a_key_that_is_no_child_is_refused(shop, mode):
    for id in (SOME_ID, shop.ids["z"], "no-uuid", 17):
        detail = {"field": "lines[1].id", "rule": "not_found", "message": f"line with id {id} not found"}
        await shop.refused(await shop.put(mode, {"sku": "new"}, {"id": id, "qty": 5}), detail)
        await shop.refused(await shop.put(mode, {"sku": "new"}, {"id": id, "_delete": True}), detail)


@pytest.mark.parametrize("mode", MODES)
async def test_a_record_being_created_has_no_children(shop, mode):
    for id in (SOME_ID, shop.ids["a"]):
        detail = {"field": "lines[0].id", "rule": "not_found", "message": f"line with id {id} not found"}
        body = {"name": "third", "lines": {"_write_mode": mode, "data": [{"id": id}]}}
        await shop.refused(await shop.client.post("order", body), detail)
    made = await shop.client.create("order", {"name": "third", "lines": {"_write_mode": mode, "data": [{"sku": "t"}]}})
    assert "lines" not in made
    assert await shop.lines() == {**shop.before, "t": ("third", None)}
    assert (await shop.client.get("order")).meta["total"] == 3


@pytest.mark.parametrize("mode", MODES)
async def test_no_items(shop, mode):
    (await shop.put(mode)).require(200)
    assert await shop.lines() == (OTHER if mode == "replace" else shop.before)


@pytest.mark.parametrize("mode", MODES)
async def test_softly_deleted_children_do_not_exist(client, mode):
    shop = await Shop(client).fill(SOFT_LINE)
    (await client.delete(f"line/{shop.ids['c']}")).require(200)
    detail = {"field": "lines[0].id", "rule": "not_found", "message": f"line with id {shop.ids['c']} not found"}
    assert_error(await shop.put(mode, {"id": shop.ids["c"]}), 422, "VALIDATION_FAILED", None, [detail])
    # Its unique value is free, and so is that of a row which goes in the same request.
    (await shop.put(mode, {"sku": "c", "qty": 8}, {"id": shop.ids["a"], "_delete": True})).require(200)
    left = {"diff": {"b": ("own", 2)}, "replace": {"a": ("own", 1)}, "append": {"a": ("own", 1), "b": ("own", 2)}}
    assert await shop.lines() == {**left[mode], "c": ("own", 8), **OTHER}


async def test_deletions_come_first_then_items_in_order(client):
    line = entity("line", id="int", order_id="uuid", sku="string unique", qty="int")
    shop = await Shop(client).fill(line)
    # The values of b and c change hands, and the new rows are numbered as they stand in the body.
    (
        await shop.put(
            "diff",
            {"sku": "b"},
            {"sku": "new"},
            {"id": shop.ids["b"], "_delete": True},
            {"id": shop.ids["c"], "sku": "d"},
            {"sku": "c"},
        )
    ).require(200)
    rows = {row["sku"]: row["id"] for row in (await client.get("line")).data}
    assert set(rows) == {"a", "b", "new", "d", "c", "z"}
    assert rows["d"] == shop.ids["c"]
    assert shop.ids["z"] < rows["b"] < rows["new"] < rows["c"]


async def test_the_mode_of_the_request_goes_before_that_of_the_relation(client):
    shop = await Shop(client).fill(write_mode="append")
    item = {"id": shop.ids["a"], "qty": 10}
    for payload in ([item], {"data": [item]}, {"_write_mode": None, "data": [item]}):
        (await client.put(f"order/{shop.order['id']}", {"lines": payload})).require(200)
    assert await shop.lines() == shop.before
    (await shop.put("diff", item)).require(200)
    assert await shop.lines() == {**OWN, "a": ("own", 10), **OTHER}
    (await shop.put("replace")).require(200)
    assert await shop.lines() == OTHER


async def test_diff_is_the_mode_of_a_relation_that_names_none(shop):
    for payload in ([{"id": shop.ids["a"], "qty": 10}], {"data": [{"id": shop.ids["a"], "qty": 11}]}):
        (await shop.client.put(f"order/{shop.order['id']}", {"lines": payload})).require(200)
    assert await shop.lines() == {**OWN, "a": ("own", 11), **OTHER}


async def test_other_values_make_the_key_unknown(shop):
    detail = {"field": "lines", "rule": "unknown", "message": "Unknown field or relation: lines"}
    scalars = (None, "x", 5, True)
    objects = ({}, {"sku": "x"}, {"data": None}, {"data": "x"}, {"data": {"sku": "x"}}, {"_write_mode": "diff"})
    for payload in (*scalars, *objects, {"_write_mode": "diff", "data": {"sku": "x"}}, {"_write_mode": "wrong"}):
        await shop.refused(await shop.client.put(f"order/{shop.order['id']}", {"lines": payload}), detail)
        await shop.refused(await shop.client.post("order", {"lines": payload, "name": "new"}), detail)
    assert (await shop.client.get("order")).meta["total"] == 2


async def test_another_mode_is_refused(shop):
    detail = {
        "field": "lines._write_mode",
        "rule": "enum",
        "message": "_write_mode must be one of: diff, replace, append",
    }
    for mode in ("merge", "", "DIFF", 5, True, ["diff"], {}):
        body = {"lines": {"_write_mode": mode, "data": [{"sku": "new"}]}}
        await shop.refused(await shop.client.put(f"order/{shop.order['id']}", body), detail)


@pytest.mark.parametrize("mode", MODES)
async def test_items_must_be_objects(shop, mode):
    details = [
        {"field": f"lines[{position}]", "rule": "type", "message": f"lines[{position}] must be an object"}
        for position in (1, 2, 3, 4, 5)
    ]
    await shop.refused(await shop.put(mode, {"sku": "new"}, shop.ids["a"], 5, None, [], True), *details)


async def test_a_key_names_a_relation_by_its_name_its_target_or_both(client):
    await client.define(ORDER, LINE, entity("note", order_id="uuid", text="string"))
    await client.relate(LINES, one_to_many("order_remarks", "order", "note"))
    order = await client.create("order", {"line": [{"sku": "by target"}], "remarks": [{"text": "by both"}]})
    (await client.put(f"order/{order['id']}", {"lines": [{"sku": "by name"}], "note": [{"text": "n"}]})).require(200)
    shown = (await client.get(f"order/{order['id']}?include=lines,remarks")).data
    assert sorted(line["sku"] for line in shown["lines"]) == ["by name", "by target"]
    assert sorted(note["text"] for note in shown["remarks"]) == ["by both", "n"]


async def test_a_relation_is_written_from_its_source_only(client):
    await client.define(ORDER, LINE)
    await client.relate(LINES)
    for key in ("order", "lines", "line_order"):
        for payload in ([{"name": "new"}], {"data": [{"name": "new"}]}, {"name": "new"}):
            detail = {"field": key, "rule": "unknown", "message": f"Unknown field or relation: {key}"}
            assert_error(await client.post("line", {key: payload}), 422, "VALIDATION_FAILED", None, [detail])
    assert (await client.get("order")).meta["total"] == (await client.get("line")).meta["total"] == 0


async def test_a_field_goes_before_a_relation_of_its_name(client):
    await client.define(entity("order", lines="json"), LINE)
    await client.relate(LINES)
    made = await client.create("order", {"lines": [{"sku": "a"}]})
    assert made["lines"] == [{"sku": "a"}]
    assert (await client.get("line")).meta["total"] == 0
    (await client.put(f"order/{made['id']}", {"line": [{"sku": "a"}]})).require(200)
    assert (await client.get("line")).meta["total"] == 1
