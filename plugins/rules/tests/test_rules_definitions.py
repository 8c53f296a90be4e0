"""Admin API and checks of definitions: contract §6.1, in its order."""

from __future__ import annotations

from rocket_kernel.actor import Actor
from rocket_kernel.testing import Actors, assert_error, entity
from rocket_rules import RulesPlugin

FIELD = {"entity": "sale", "hook": "before_write", "type": "field"}
EXPRESSION = {"entity": "sale", "hook": "before_write", "type": "expression"}
COMPUTED = {"entity": "sale", "hook": "before_write", "type": "computed"}


def field(**definition):
    return {**FIELD, "definition": definition}


def expression(source, **more):
    return {**EXPRESSION, "definition": {"expression": source, **more}}


def computed(name, source, **more):
    return {**COMPUTED, "definition": {"field": name, "expression": source}, **more}


async def test_a_rule_is_stored_with_its_defaults(shop, clock):
    stored = await shop.create("_admin/rules", field(field="number", operator="min", value=1, extra={"kept": True}))
    assert list(stored) == [
        "id", "entity", "hook", "type", "definition", "priority", "active", "created_at", "updated_at",
    ]  # fmt: skip
    assert stored["definition"] == {"field": "number", "operator": "min", "value": 1, "extra": {"kept": True}}
    assert (stored["priority"], stored["active"]) == (0, True)
    assert (await shop.get(f"_admin/rules/{stored['id']}")).data == stored
    clock.advance(seconds=1)
    changed = (await shop.put(f"_admin/rules/{stored['id']}", {"priority": 5})).require(200).data
    assert changed == {**stored, "priority": 5, "updated_at": "2026-01-02T03:04:06.678Z"}
    gone = (await shop.delete(f"_admin/rules/{stored['id']}")).require(200).data
    assert gone == {"id": stored["id"], "deleted": True}
    assert_error(await shop.get(f"_admin/rules/{stored['id']}"), 404, "NOT_FOUND", f"Rule not found: {stored['id']}")


async def test_the_list_is_ordered_by_entity_priority_and_age(shop):
    order = [("sale", 5, 1), ("line", 0, 2), ("sale", 0, 3), ("sale", 0, 4), ("sale", -1, 5), ("sale", 0, 6)]
    for name, priority, number in order:
        definition = {"field": "id", "operator": "required", "number": number}
        body = {"entity": name, "hook": "before_write", "type": "field", "definition": definition, "priority": priority}
        await shop.create("_admin/rules", body)
    listed = (await shop.get("_admin/rules")).data
    assert [row["definition"]["number"] for row in listed] == [2, 5, 3, 4, 6, 1]
    (await shop.put(f"_admin/rules/{listed[2]['id']}", {"active": False})).require(200)  # a row that moves in its table
    assert [row["id"] for row in (await shop.get("_admin/rules")).data] == [row["id"] for row in listed]
    (await shop.delete(f"_admin/rules/{listed[0]['id']}")).require(200)
    await shop.create("_admin/rules", field(field="id", operator="required"))
    stored = (await shop.kernel.apps.app("shop")).registry.model.of("rules").values()
    assert sorted(item.row["ordinal"] for item in stored) == [1, 3, 4, 5, 6, 7]


REFUSED = [
    ({}, "entity is required"),
    ({"entity": ""}, "entity is required"),
    ({"entity": "nothing", "hook": "x"}, "entity not found: nothing"),
    ({"entity": 5}, "entity not found: a value that is not text"),
    ({"entity": "sale"}, "invalid hook:  (must be before_write, after_write, or before_delete)"),
    (
        {"entity": "sale", "hook": "before_read", "type": "x"},
        "invalid hook: before_read (must be before_write, after_write, or before_delete)",
    ),
    (
        {"entity": "sale", "hook": "before_write", "type": "check"},
        "invalid rule type: check (must be field, expression, or computed)",
    ),
    ({**FIELD}, "definition is required"),
    ({**FIELD, "definition": {}}, "definition is required"),
    ({**FIELD, "definition": "text"}, "definition is required"),
    ({**COMPUTED, "hook": "after_write", "definition": {"field": "x"}}, "computed rules must use hook before_write"),
    ({**COMPUTED, "hook": "before_delete", "definition": {"field": "x"}}, "computed rules must use hook before_write"),
    (field(field="nothing", operator="x"), "unknown field: nothing"),
    (field(operator="min"), "unknown field: "),
    (field(field=["a"], operator="min"), "unknown field: a value that is not text"),
    (computed("nothing", "1 +"), "unknown field: nothing"),
    (field(field="number", operator="between", value=1), "unknown operator: between"),
    (field(field="number"), "unknown operator: "),
    (field(field="number", operator={}), "unknown operator: a value that is not text"),
    (field(field="number", operator="min", value="x"), "invalid value for operator min"),
    (field(field="number", operator="min"), "invalid value for operator min"),
    (field(field="number", operator="max", value=True), "invalid value for operator max"),
    (field(field="note", operator="min_length", value=-1), "invalid value for operator min_length"),
    (field(field="note", operator="max_length", value=1.5), "invalid value for operator max_length"),
    (field(field="note", operator="pattern", value=5), "invalid value for operator pattern"),
    (field(field="note", operator="eq"), "invalid value for operator eq"),
    (field(field="note", operator="gt", value=[1]), "invalid value for operator gt"),
    (field(field="note", operator="in", value="a,b"), "invalid value for operator in"),
    (field(field="note", operator="not_in", value={"a": 1}), "invalid value for operator not_in"),
    (field(field="note", operator="pattern", value="("), "invalid pattern: missing ): ("),
    (field(field="note", operator="pattern", value="a(?=b)"), "invalid pattern: invalid perl operator: (?="),
    (expression("record.number >"), "invalid expression: unexpected end at line 1, column 16"),
    (expression("true\nor recrod.number"), "invalid expression: unknown name: recrod at line 2, column 4"),
    (expression("record.nmber"), "invalid expression: unknown field: nmber at line 1, column 8"),
    (expression("related.lnes"), "invalid expression: unknown relation: lnes at line 1, column 9"),
    (expression("context.a"), "invalid expression: unknown name: context at line 1, column 1"),
    (expression(None), "invalid expression: expression is empty at line 1, column 1"),
    (expression(5), "invalid expression: expression is empty at line 1, column 1"),
    (expression("x" * 5000), "invalid expression: expression too long (max 4096 bytes) at line 1, column 1"),
    (computed("total", "1 +"), "invalid expression: unexpected end at line 1, column 4"),
    (expression("true", related_load=[{"relation": "lnes"}]), "unknown relation: lnes"),
    (expression("true", related_load=[{}]), "relation is required"),
    (expression("true", related_load="lines"), "related_load must be an array"),
    (expression("true", related_load=[{"relation": "lines", "filter": []}]), "filter must be an object"),
    (
        expression("true", related_load=[{"relation": "lines", "filter": {"qti": 1}}]),
        "Unknown filter field: qti",
    ),
    (
        expression("true", related_load=[{"relation": "lines", "filter": {"qty": "many"}}]),
        "Invalid filter value for qty: many",
    ),
    (expression("true", message=5), "message must be a string"),
    (expression("true", stop_on_fail="yes"), "stop_on_fail must be true or false"),
    ({**expression("true"), "priority": "high"}, "priority must be an integer"),
    ({**expression("true"), "priority": 1.5}, "priority must be an integer"),
    ({**expression("true"), "priority": 10**12}, "priority is out of range"),
    ({**expression("true"), "active": "yes"}, "active must be true or false"),
]


async def test_refused(shop):
    for body, message in REFUSED:
        assert_error(await shop.post("_admin/rules", body), 422, "VALIDATION_FAILED", message)
    assert (await shop.get("_admin/rules")).data == []


async def test_the_place_of_a_fault_stands_in_the_details(shop):
    answer = await shop.post("_admin/rules", expression("record.number > 5 and\n  record.nmber < 7"))
    assert answer.error["details"] == [
        {
            "field": "definition.expression",
            "rule": "expression",
            "message": "invalid expression: unknown field: nmber at line 2, column 10",
            "line": 2,
            "column": 10,
        }
    ]
    answer = await shop.post("_admin/rules", expression("1", related_load=[{"relation": "tags"}, {"relation": "x"}]))
    assert answer.error["details"][0]["field"] == "definition.related_load[1].relation"


async def test_put_is_checked_as_a_whole(shop, expression_rule):
    rule = await expression_rule("record.number < 0")
    path = f"_admin/rules/{rule['id']}"
    assert_error(await shop.put(path, {"type": "field"}), 422, "VALIDATION_FAILED", "unknown field: ")
    assert_error(await shop.put(path, {"entity": "line"}), 422, "VALIDATION_FAILED")
    assert (await shop.get(path)).data == rule


CYCLES = [
    ([("total", "record.tax"), ("tax", "record.total * 2")], "total -> tax -> total"),
    ([("total", "record.tax"), ("tax", "record.net"), ("net", "changes.total.new")], "total -> tax -> net -> total"),
    ([("number", "1"), ("total", "record.tax"), ("tax", "record.total + record.number")], "total -> tax -> total"),
    ([("customer_id", "record.note"), ("note", "related.customer.name")], "customer_id -> note -> customer_id"),
]


async def test_computed_fields_that_wait_for_each_other_are_refused(shop, computed_rule):
    for rules, path in CYCLES:
        *earlier, (name, source) = rules
        stored = [await computed_rule(*rule) for rule in earlier]
        refused = f"computed fields depend on each other: {path}"
        assert_error(await shop.post("_admin/rules", computed(name, source)), 422, "VALIDATION_FAILED", refused)
        stored.append(await shop.create("_admin/rules", computed(name, source, active=False)))
        answer = await shop.put(f"_admin/rules/{stored[-1]['id']}", {"active": True})
        assert_error(answer, 422, "VALIDATION_FAILED", refused)
        for rule in stored:
            (await shop.delete(f"_admin/rules/{rule['id']}")).require(200)


async def test_a_field_may_be_computed_from_itself(shop, computed_rule):
    await computed_rule("note", "record.note.trim().toLowerCase()")
    await computed_rule("state", "record.state ?? 'new'")
    created = await shop.create("sale", {"note": "  Hello ", "state": None})
    assert (created["note"], created["state"]) == ("hello", "new")


async def test_rules_go_with_their_entity(shop, expression_rule):
    await expression_rule("record.qty < 0", entity="line")
    await expression_rule("record.number < 0")
    (await shop.delete("_admin/entities/line")).require(200)
    assert [row["entity"] for row in (await shop.get("_admin/rules")).data] == ["sale"]


async def test_what_a_rule_names_may_go(start_kernel, shop, field_rule, expression_rule, computed_rule):
    """A field that is removed later reads as null: at once, and for a process that loads the rule anew."""
    await field_rule("note", "required")
    await expression_rule("record.note == null and related.customer == null and record.number == 1")
    await computed_rule("tax", "record.total * 0.1")
    load = {"related_load": [{"relation": "sales", "filter": {"note": "x"}}]}
    await expression_rule("record.rating == 5", entity="customer", definition=load)
    sale = next(row for row in (await shop.get("_admin/entities")).data if row["name"] == "sale")["definition"]
    kept = [each for each in sale["fields"] if each["name"] not in ("note", "tax")]
    (await shop.put("_admin/entities/sale", {**sale, "fields": kept})).require(200)
    (await shop.delete("_admin/relations/sales")).require(200)
    for client in (shop, (await start_kernel([RulesPlugin])).client.in_app("shop")):
        (await client.post("sale", {"total": 5})).require(201)
        details = (await client.post("sale", {"number": 1})).require(422).error["details"]
        assert details == [{"rule": "expression", "message": "Expression rule violated"}]
        details = (await client.post("customer", {})).require(422).error["details"]
        assert details == [{"rule": "expression", "message": "rule evaluation error: unknown relation: sales"}]
        assert len((await client.get("_admin/rules")).data) == 4


async def test_only_administrators_see_rules(start_kernel):
    client = await (await start_kernel([RulesPlugin, Actors])).client.app("shop")
    await client.define(entity("sale", number="int"))
    clerk = client.as_actor(Actor(id="7", email=None, roles=frozenset({"clerk"})))
    for method, path in [
        ("GET", "rules"),
        ("POST", "rules"),
        ("GET", "rules/x"),
        ("PUT", "rules/x"),
        ("DELETE", "rules/x"),
    ]:
        body = {} if method in ("POST", "PUT") else None
        assert_error(await clerk.request(method, f"_admin/{path}", body), 403, "FORBIDDEN", "Admin access required")
