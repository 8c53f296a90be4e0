"""`related` in rules: contract §6.4."""

from __future__ import annotations

import pytest

from rocket_kernel import NEVER, Plugin, ReadGrant, Stage, Step, hookimpl
from rocket_kernel.actor import Actor
from rocket_kernel.testing import Actors, entity, one_to_many
from rocket_rules import RulesPlugin


def lines(*quantities):
    return [{"qty": quantity} for quantity in quantities]


@pytest.fixture
def seen(shop):
    """A function: what a rule of `sale` finds for an expression during a write, as text."""

    async def look(source, method, path, body=None):
        computed = {"entity": "sale", "hook": "before_write", "type": "computed",
                    "definition": {"field": "note", "expression": f"string({source})"}}  # fmt: skip
        added = await shop.create("_admin/rules", computed)
        answer = (await shop.request(method, f"{path}?explain=true", body)).require(200).data
        (await shop.delete(f"_admin/rules/{added['id']}")).require(200)
        assert answer["errors"] == []
        return answer["record"]["note"]

    return look


async def test_to_many_is_a_list_and_to_one_a_map_or_null(shop, seen):
    customer = await shop.create("customer", {"name": "Ada", "rating": 5})
    body = {"customer_id": customer["id"], "lines": lines(1, 2), "seal": {"code": "s1"}, "tags": [{"name": "new"}]}
    assert await seen("related.customer.name + related.customer.rating", "POST", "sale", body) == "Ada5"
    assert await seen("map(related.lines, 'qty')", "POST", "sale", body) == "[1,2]"
    assert await seen("related.seal.code", "POST", "sale", body) == "s1"
    assert await seen("map(related.tags, 'name')", "POST", "sale", body) == '["new"]'
    assert await seen("[related.customer, related.lines, related.seal, related.tags]", "POST", "sale", {}) == (
        "[null,[],null,[]]"
    )


async def test_stored_rows_are_seen_with_the_items_of_the_request_over_them(shop, seen):
    sale = await shop.create("sale", {"lines": lines(1, 2, 3), "seal": {"code": "old"}})
    stored = {line["qty"]: line["id"] for line in (await shop.get("line")).data}
    path, source = f"sale/{sale['id']}", "sum(related.lines, 'qty') + '/' + len(related.lines)"
    assert await seen(source, "PATCH", path, {}) == "6/3"
    assert await seen(source, "PATCH", path, {"lines": [{"qty": 10}]}) == "16/4"
    assert await seen(source, "PATCH", path, {"lines": [{"id": stored[1], "qty": 50}]}) == "55/3"
    assert await seen(source, "PATCH", path, {"lines": [{"id": stored[3], "_delete": True}]}) == "3/2"
    replace = {"lines": {"_write_mode": "replace", "data": [{"id": stored[2], "price": 5}, {"qty": 7}]}}
    assert await seen(source, "PATCH", path, replace) == "9/2"
    append = {"lines": {"_write_mode": "append", "data": [{"id": stored[2], "qty": 100}, {"qty": 7}]}}
    assert await seen(source, "PATCH", path, append) == "13/4"
    assert await seen("related.seal.code", "PATCH", path, {"seal": {"code": "new"}}) == "new"
    assert await seen("related.seal.code", "PATCH", path, {"seal": {"_write_mode": "replace", "data": {}}}) is None


async def test_many_to_many_with_links_of_the_request(shop, seen):
    tags = [await shop.create("tag", {"name": name}) for name in "abcd"]
    sale = await shop.create("sale", {"tags": [tags[0]["id"], tags[1]["id"]]})
    path = f"sale/{sale['id']}"
    names = "'#' + len(related.tags) + any(related.tags, 'name == \"a\"') + any(related.tags, 'name == \"c\"')"
    assert await seen(names, "PATCH", path, {}) == "#2truefalse"
    assert await seen(names, "PATCH", path, {"tags": [tags[2]["id"]]}) == "#3truetrue"
    assert await seen(names, "PATCH", path, {"tags": [{"id": tags[0]["id"], "_delete": True}]}) == "#1falsefalse"
    replace = {"tags": {"_write_mode": "replace", "data": [tags[2]["id"], {"name": "new"}]}}
    assert await seen(names, "PATCH", path, replace) == "#2falsetrue"


async def test_an_item_sees_the_record_it_is_nested_in(shop, expression_rule, findings):
    await expression_rule("related.sale.number > 5 or related.sale == null", entity="line")
    assert await findings("POST", "sale", {"number": 3, "lines": lines(1)}) == []
    found = await findings("POST", "sale", {"number": 6, "lines": lines(1, 2)})
    assert [item["field"] for item in found] == ["lines[0]", "lines[1]"]
    sale = (await shop.get("sale")).data[0]
    line = (await shop.get("line")).data[0]
    assert await findings("PATCH", f"sale/{sale['id']}", {"number": 9}) == []
    assert len(await findings("PATCH", f"line/{line['id']}", {"qty": 3})) == 1
    assert await findings("PATCH", f"sale/{sale['id']}", {"number": 1, "lines": [{"id": line["id"], "qty": 3}]}) == []


async def test_the_key_of_the_request_counts(shop, seen):
    first, second = [await shop.create("customer", {"name": name}) for name in ("one", "two")]
    sale = await shop.create("sale", {"customer_id": first["id"]})
    path = f"sale/{sale['id']}"
    assert await seen("related.customer.name", "PATCH", path, {"customer_id": second["id"]}) == "two"
    assert await seen("related.customer.name", "PATCH", path, {"customer_id": None}) is None


async def test_one_query_a_relation_and_none_for_what_is_not_reached(shop, expression_rule):
    sale = await shop.create("sale", {"number": 1, "lines": lines(1, 2)})
    for number in range(5):
        await expression_rule(f"record.number == 99 and len(related.tags) > {number}")
        await expression_rule(
            f"any(related.lines, 'qty == {90 + number} or len(related.lines) > 50') and related.lines == 1"
        )
    explained = (await shop.patch(f"sale/{sale['id']}?explain=true", {"state": "paid"})).require(200).data
    asked = [statement["sql"] for statement in explained["statements"] if '"line"' in statement["sql"]]
    assert len(asked) == 1
    assert not any('"tag"' in statement["sql"] for statement in explained["statements"])


async def test_related_load_narrows_by_a_filter(shop, expression_rule, findings):
    await expression_rule(
        "len(related.lines) > 1",
        definition={"related_load": [{"relation": "lines", "filter": {"sku": "a", "qty.gt": 5}}], "message": "many"},
    )
    wanted = {"sku": "a", "qty": 6}
    others = [{"sku": "a", "qty": 5}, {"sku": "b", "qty": 9}]
    sale = await shop.create("sale", {"lines": [wanted, *others]})
    path = f"sale/{sale['id']}"
    assert await findings("PATCH", path, {"lines": others}) == []
    assert len(await findings("PATCH", path, {"lines": [wanted]})) == 1
    stored = {line["qty"]: line["id"] for line in (await shop.get("line")).data}
    assert len(await findings("PATCH", path, {"lines": [{"id": stored[5], "qty": 7}]})) == 1
    both = [{"id": stored[5], "qty": 7}, {"id": stored[6], "qty": 1}]
    assert await findings("PATCH", path, {"lines": both}) == []


FILTERS = [
    ({"qty.in": [1, 2]}, 2),
    ({"qty.between": "2,3"}, 2),
    ({"sku.is_null": True}, 3),
    ({"qty": 3}, 1),
    ({"price": 1.5}, 1),
    ({"sale.number": 7}, 3),
    ({"sale.number": 8}, 0),
    ({"sale.customer.name": "Ada"}, 3),
]


async def test_filters_of_related_load(shop, expression_rule, findings):
    """For rows that are stored, and for items of a request that are not, the same."""
    customer = await shop.create("customer", {"name": "Ada"})
    body = {"number": 7, "customer_id": customer["id"], "lines": [{"qty": 1}, {"qty": 2}, {"qty": 3, "price": "1.50"}]}
    sale = await shop.create("sale", body)
    for filter, count in FILTERS:
        load = {"related_load": [{"relation": "lines", "filter": filter}]}
        rule = await expression_rule(f"len(related.lines) != {count}", definition=load)
        assert await findings("PATCH", f"sale/{sale['id']}", {"state": "paid"}) == [], filter
        if "sale" not in str(filter):  # a new line belongs to no stored sale yet
            assert await findings("POST", "sale", body) == [], filter
        (await shop.delete(f"_admin/rules/{rule['id']}")).require(200)


async def test_more_than_1000_rows_are_a_runtime_error(shop, expression_rule, findings):
    customer = await shop.create("customer", {})
    entities = [row["definition"] for row in (await shop.get("_admin/entities")).data if row["name"] == "sale"]
    rows = [{"id": f"00000000-0000-4000-8000-{n:012x}", "customer_id": customer["id"]} for n in range(1000)]
    (await shop.post("_admin/import", {"entities": entities, "sample_data": {"sale": rows}})).require(200)
    await expression_rule("len(related.sales) != 1000", entity="customer", definition={"message": "not 1000"})
    path = f"customer/{customer['id']}"
    assert await findings("PATCH", path, {}) == []
    await shop.create("sale", {"customer_id": customer["id"]})
    assert await findings("PATCH", path, {}) == [
        {"rule": "expression", "message": "rule evaluation error: related.sales has more than 1000 records"}
    ]


async def test_softly_deleted_rows_are_not_there(shop, expression_rule, findings):
    await shop.define(entity("note", {"soft_delete": True}, sale_id="uuid", text="string"))
    await shop.relate(one_to_many("notes", "sale", "note", "sale_id"))
    sale = await shop.create("sale", {"notes": [{"text": "a"}, {"text": "b"}]})
    await expression_rule("len(related.notes) != 1")
    assert len(await findings("PATCH", f"sale/{sale['id']}", {})) == 1
    (await shop.delete(f"note/{(await shop.get('note')).data[0]['id']}")).require(200)
    assert await findings("PATCH", f"sale/{sale['id']}", {}) == []


class Curtain(Plugin):
    """Clerks see no line."""

    name = "curtain"

    @hookimpl
    def compile_read_policy(self, entity):
        return self if entity.name == "line" else None

    def grant(self, actor):
        return ReadGrant(condition=None if actor.is_admin else NEVER)


async def test_the_permissions_of_the_caller_do_not_limit_it(start_kernel):
    running = await start_kernel([RulesPlugin, Actors, Curtain])
    client = await running.client.app("shop")
    await client.define(entity("sale", number="int"), entity("line", sale_id="uuid", qty="int"))
    await client.relate(one_to_many("lines", "sale", "line"))
    sale = await client.create("sale", {"lines": [{"qty": 1}]})
    rule = {"entity": "sale", "hook": "before_write", "type": "expression",
            "definition": {"expression": "len(related.lines) == 1"}}  # fmt: skip
    await client.create("_admin/rules", rule)
    clerk = client.as_actor(Actor(id="7", email=None, roles=frozenset({"clerk"})))
    assert (await clerk.get("line")).meta["total"] == 0
    assert (await clerk.patch(f"sale/{sale['id']}", {})).status == 422


class Writer(Plugin):
    """Writes a line beside each sale, before its rules are asked a second time."""

    name = "writer"
    before = ("rules",)

    @hookimpl
    def compile_write_steps(self, entity):
        if entity.name != "sale":
            return []
        return [Step(Stage.AFTER_RULES, "writer:line", self.write)]

    async def write(self, write):
        await write.run.create("line", {"sale_id": write.key, "qty": 99})


async def test_what_steps_write_beside_the_record_is_seen(start_kernel):
    running = await start_kernel([RulesPlugin, Writer])
    client = await running.client.app("shop")
    await client.define(entity("sale", number="int"), entity("line", sale_id="uuid", qty="int"))
    await client.relate(one_to_many("lines", "sale", "line"))
    for hook, source in [("before_write", "len(related.lines) != 0"), ("after_write", "len(related.lines) != 1")]:
        rule = {"entity": "sale", "hook": hook, "type": "expression", "definition": {"expression": source}}
        await client.create("_admin/rules", rule)
    (await client.post("sale", {})).require(201)
