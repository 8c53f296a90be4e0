"""Expression and computed rules: contract §6.3."""

from __future__ import annotations

import pytest

from rocket_kernel.testing import StepRecorder, many_to_many

VIOLATED = [{"rule": "expression", "message": "Expression rule violated"}]


async def test_truthy_means_violated(expression_rule, findings):
    await expression_rule("record.number < 0 or record.state == 'void' and record.paid")
    assert await findings("POST", "sale", {"number": 1}) == []
    assert await findings("POST", "sale", {"number": -1}) == VIOLATED
    assert await findings("POST", "sale", {"state": "void", "paid": True}) == VIOLATED
    assert await findings("POST", "sale", {"state": "void", "paid": False}) == []


async def test_fields_enter_by_their_type(shop, expression_rule, findings):
    await expression_rule(
        "not (record.total * 3 == 0.3 and record.sold < '2026-03-02' and record.at - record.sold == 3600000"
        " and record.net == '12345678901234567890.5' and record.meta.a[0].b == 1 and record.paid == true"
        " and record.id.length == 36 and record.note == '0.10')"
    )
    good = {
        "total": "0.1", "sold": "2026-03-01", "at": "2026-03-01T01:00:00Z", "net": "12345678901234567890.50",
        "meta": {"a": [{"b": 1.0}]}, "paid": "yes", "note": "0.10",
    }  # fmt: skip
    assert await findings("POST", "sale", good) == []
    for name in good:
        assert await findings("POST", "sale", {**good, name: None}) == VIOLATED, name


async def test_expression_rules_see_the_merged_record_old_and_changes(shop, expression_rule, findings):
    sale = await shop.create("sale", {"number": 5, "note": "a", "total": "1.00"})
    await expression_rule(
        "action == 'update' and not (record.number == 5 and record.note == 'b' and old.note == 'a'"
        " and changes.note.old == 'a' and changes.note.new == 'b' and changes.number == null and len(changes) == 1"
        " and changes.total == null and user.roles contains 'admin' and now > '2026-01-01')"
    )
    await expression_rule(
        "action == 'create' and not (old == null and changes.state.new == 'open' and changes.note == null)"
    )
    assert await findings("PATCH", f"sale/{sale['id']}", {"note": "b", "total": "1"}) == []
    assert await findings("PATCH", f"sale/{sale['id']}", {"note": "c"}) == VIOLATED
    assert await findings("POST", "sale", {}) == []


async def test_a_runtime_error_is_a_violation(expression_rule, computed_rule, findings):
    await expression_rule("100 / record.number > 5")
    assert await findings("POST", "sale", {"number": 0}) == [
        {"rule": "expression", "message": "rule evaluation error: division by zero"}
    ]
    assert await findings("POST", "sale", {"number": 50}) == []
    await computed_rule("tax", "record.total / (record.number - 50)")
    assert await findings("POST", "sale", {"number": 50, "total": 1}) == [
        {"field": "tax", "rule": "computed", "message": "rule evaluation error: division by zero"}
    ]


async def test_all_failures_are_collected_in_order(shop, field_rule, expression_rule, findings):
    await expression_rule("true", definition={"message": "e5"}, priority=5)
    await expression_rule("true", definition={"message": "e1 older"}, priority=1)
    await expression_rule("true", definition={"message": "e1 younger"}, priority=1)
    await field_rule("number", "min", 1, definition={"message": "f9"}, priority=9)
    await field_rule("note", "required", definition={"message": "f-1"}, priority=-1)
    found = [item["message"] for item in await findings("POST", "sale", {"number": 0})]
    assert found == ["f-1", "f9", "e1 older", "e1 younger", "e5"]


async def test_stop_on_fail_ends_the_stage(shop, field_rule, expression_rule, findings):
    await field_rule("number", "min", 1, priority=1)
    await field_rule("number", "min", 2, priority=2, definition={"stop_on_fail": True, "message": "stop"})
    await field_rule("number", "min", 3, priority=3)
    await expression_rule("true")
    assert [item["message"] for item in await findings("POST", "sale", {"number": 0})] == [
        "field number failed min validation",
        "stop",
    ]
    nested = {"number": 0, "lines": [{"qty": 1}, {"qty": -1}]}
    await field_rule("qty", "min", 0, entity="line", definition={"stop_on_fail": True, "message": "no"})
    assert await findings("POST", "sale", nested) == [{"field": "lines[1].qty", "rule": "min", "message": "no"}]


async def test_stop_on_fail_of_an_expression(expression_rule, findings):
    await expression_rule("record.number < 0", definition={"stop_on_fail": True, "message": "stop"})
    await expression_rule("true", definition={"message": "always"})
    assert [item["message"] for item in await findings("POST", "sale", {"number": -1})] == ["stop"]
    assert [item["message"] for item in await findings("POST", "sale", {"number": 1})] == ["always"]


async def test_computed_fields_replace_the_value_of_the_client(shop, computed_rule):
    await computed_rule("tax", "round(record.total * 0.19, 2)")
    created = await shop.create("sale", {"total": "10.55", "tax": "99"})
    assert created["tax"] == "2.00"
    changed = (await shop.patch(f"sale/{created['id']}", {"total": 100, "tax": 1})).data
    assert changed["tax"] == "19.00"
    emptied = (await shop.patch(f"sale/{created['id']}", {"total": None})).data
    assert emptied["tax"] is None


async def test_computed_fields_run_in_the_order_of_what_they_read(shop, computed_rule):
    await computed_rule("net", "record.total - record.tax", priority=0)
    await computed_rule("total", "record.number * 10", priority=9)
    await computed_rule("tax", "record.total * 0.2", priority=5)
    created = await shop.create("sale", {"number": 3})
    assert (created["total"], created["tax"], created["net"]) == ("30.00", "6.00", "24")


async def test_several_rules_for_one_field_run_by_priority(shop, computed_rule):
    await computed_rule("note", "record.note + ' b'", priority=2)
    await computed_rule("note", "'a ' + record.note", priority=1)
    await computed_rule("state", "record.note", priority=0)
    assert (await shop.create("sale", {"note": "x"}))["state"] == "a x b"


async def test_computed_values_are_converted_and_checked(shop, computed_rule, findings):
    await shop.define(
        {
            "name": "badge",
            "primary_key": {"field": "id", "type": "int", "generated": True},
            "fields": [
                {"name": "id", "type": "int"},
                {"name": "source", "type": "json"},
                {"name": "level", "type": "string", "enum": ["1", "2"]},
                {"name": "count", "type": "int"},
                {"name": "day", "type": "date"},
                {"name": "at", "type": "timestamp"},
                {"name": "data", "type": "json"},
                {"name": "exact", "type": "decimal"},
                {"name": "big", "type": "bigint"},
            ],
        }
    )
    for name in ("level", "count", "day", "at", "data", "exact", "big"):
        await computed_rule(name, f"record.source.{name}", entity="badge")
    values = {"level": 2, "count": "7", "day": "2026-03-01T10:00:00Z", "at": "2026-03-01", "data": {"a": [1.5, None]},
              "exact": 0.1, "big": 9007199254740993}  # fmt: skip
    stored = await shop.create("badge", {"source": values})
    assert {name: stored[name] for name in values} == {
        "level": "2", "count": 7, "day": "2026-03-01", "at": "2026-03-01T00:00:00.000Z", "data": {"a": [1.5, None]},
        "exact": "0.1", "big": "9007199254740993",
    }  # fmt: skip
    wrong = {"level": 3, "count": 1.5, "day": "soon", "at": True, "exact": "x", "big": 2**70}
    found = await findings("POST", "badge", {"source": wrong})
    assert [(item["field"], item["rule"]) for item in found] == [
        ("level", "enum"), ("count", "type"), ("day", "type"), ("at", "type"), ("exact", "type"), ("big", "type"),
    ]  # fmt: skip


async def test_an_instant_that_is_computed(shop, computed_rule):
    await computed_rule("sold", "today() + 86400000")
    await computed_rule("at", "now")
    created = await shop.create("sale", {})
    assert (created["sold"], created["at"]) == ("2026-01-03", "2026-01-02T03:04:05.678Z")


async def test_nothing_is_computed_when_a_rule_has_failed(expression_rule, computed_rule, findings):
    await expression_rule("record.number < 0")
    await computed_rule("tax", "1 / 0")
    assert await findings("POST", "sale", {"number": -1}) == VIOLATED
    assert (await findings("POST", "sale", {"number": 1}))[0]["rule"] == "computed"


async def test_nothing_is_computed_when_an_item_has_failed(field_rule, computed_rule, findings):
    await field_rule("qty", "min", 1, entity="line")
    await computed_rule("amount", "1 / (record.qty - 5)", entity="line")
    await computed_rule("tax", "1 / 0")
    body = {"lines": [{"qty": 5}, {"qty": 0}, {"qty": 5}]}
    assert [(item["field"], item["rule"]) for item in await findings("POST", "sale", body)] == [
        ("lines[0].amount", "computed"),
        ("lines[1].qty", "min"),
    ]


async def test_a_required_field_may_be_computed(shop, findings):
    body = {
        "name": "bill",
        "primary_key": {"field": "id", "type": "uuid", "generated": True},
        "fields": [
            {"name": "id", "type": "uuid"},
            {"name": "net", "type": "decimal"},
            {"name": "gross", "type": "decimal", "required": True},
        ],
    }
    await shop.define(body)
    rule = {"entity": "bill", "hook": "before_write", "type": "computed",
            "definition": {"field": "gross", "expression": "record.net * 2"}}  # fmt: skip
    stored = await shop.create("_admin/rules", rule)
    assert (await shop.create("bill", {"net": 2}))["gross"] == "4"
    required = [{"field": "gross", "rule": "required", "message": "gross is required"}]
    assert await findings("POST", "bill", {}) == required
    (await shop.put(f"_admin/rules/{stored['id']}", {"active": False})).require(200)
    assert await findings("POST", "bill", {"net": 2}) == required


async def test_before_delete_sees_the_row_twice(shop, expression_rule, findings):
    sale = await shop.create("sale", {"state": "paid", "lines": [{"qty": 1}]})
    await expression_rule(
        "action == 'delete' and record.state == 'paid' and old.state == record.state and len(changes) == 0"
        " and len(related.lines) == 1",
        hook="before_delete",
    )
    assert await findings("DELETE", f"sale/{sale['id']}") == VIOLATED
    (await shop.patch(f"sale/{sale['id']}", {"state": "open"})).require(200)
    assert await findings("DELETE", f"sale/{sale['id']}") == []


async def test_before_delete_holds_for_rows_that_are_taken_along(shop, expression_rule, findings):
    sale = await shop.create("sale", {"lines": [{"sku": "keep"}, {"sku": "go"}]})
    await expression_rule("record.sku == 'keep'", entity="line", hook="before_delete")
    assert await findings("DELETE", f"sale/{sale['id']}") == VIOLATED
    line = next(line for line in (await shop.get("line")).data if line["sku"] == "go")
    assert await findings("PATCH", f"sale/{sale['id']}", {"lines": [{"id": line["id"], "_delete": True}]}) == []
    assert (await shop.get("line")).meta["total"] == 1


async def test_before_delete_comes_before_relations_that_restrict(shop, expression_rule, findings):
    await shop.relate(many_to_many("kept", "sale", "tag", "sale_kept", on_delete="restrict"))
    sale = await shop.create("sale", {"state": "paid", "kept": [{"name": "keep"}]})
    await expression_rule("record.state == 'paid'", hook="before_delete")
    assert await findings("DELETE", f"sale/{sale['id']}") == VIOLATED
    (await shop.patch(f"sale/{sale['id']}", {"state": "open"})).require(200)
    refused = await shop.delete(f"sale/{sale['id']}")
    assert (refused.status, refused.error["message"]) == (409, "Cannot delete: 1 related tag records exist")
    assert ((await shop.get("sale")).meta["total"], (await shop.get("tag")).meta["total"]) == (1, 1)


async def test_after_write_sees_stored_rows_and_can_still_reject(shop, expression_rule, findings):
    await expression_rule(
        "record.id == null or len(related.lines) != 2 or related.lines[0].id == null", hook="after_write"
    )
    assert await findings("POST", "sale", {"lines": [{"qty": 1}]}) == VIOLATED
    assert (await shop.get("sale")).meta["total"] == 0
    assert (await shop.get("line")).meta["total"] == 0
    assert await findings("POST", "sale", {"lines": [{"qty": 1}, {"qty": 2}]}) == []


async def test_rules_hold_for_nested_items_with_their_paths(shop, field_rule, expression_rule, computed_rule, findings):
    await field_rule("qty", "min", 1, entity="line")
    await expression_rule("record.price < 0", entity="line", definition={"message": "negative"})
    await computed_rule("amount", "record.qty * record.price", entity="line")
    await computed_rule("total", "sum(related.lines, 'amount')")
    created = await shop.create("sale", {"lines": [{"qty": 2, "price": "1.50"}, {"qty": 1, "price": 7}]})
    assert created["total"] == "10.00"
    found = await findings("POST", "sale", {"lines": [{"qty": 0, "price": -1}, {"qty": 1, "price": -2}]})
    assert found == [
        {"field": "lines[0].qty", "rule": "min", "message": "field qty failed min validation"},
        {"field": "lines[0]", "rule": "expression", "message": "negative"},
        {"field": "lines[1]", "rule": "expression", "message": "negative"},
    ]


async def test_an_entity_without_rules_has_no_steps(shop, expression_rule):
    await expression_rule("record.number < 0")
    await expression_rule("record.number < 0", hook="before_delete")
    async with StepRecorder(shop) as recorder:
        sale = await shop.create("sale", {"number": 1})
        await shop.create("customer", {})
        (await shop.delete(f"sale/{sale['id']}")).require(200)
    assert list(recorder.names) == ["rules:before_write", "rules:before_delete"]


@pytest.mark.parametrize("hook", ["before_write", "after_write", "before_delete"])
async def test_explain_names_what_failed(hook, shop, expression_rule):
    sale = await shop.create("sale", {"number": 1})
    await expression_rule("record.number == 1", hook=hook, definition={"message": "no ones"})
    method = "DELETE" if hook == "before_delete" else "PATCH"
    explained = (await shop.request(method, f"sale/{sale['id']}?explain=true", {})).require(200).data
    assert explained["would"] == "reject"
    step = next(step for step in explained["steps"] if step["plugin"] == "rules")
    assert (step["name"], step["outcome"], step["detail"]) == (f"rules:{hook}", "rejected", "no ones")
    assert explained["errors"] == [
        {"code": "VALIDATION_FAILED", "status": 422, "message": "no ones", "rule": "expression"}
    ]
