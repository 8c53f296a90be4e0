"""Export, import and plan of rules: contract §14."""

from __future__ import annotations

from copy import deepcopy

from rocket_kernel.testing import entity


async def define_some(field_rule, expression_rule, computed_rule):
    await computed_rule("tax", "record.total * 0.1", priority=3)
    await expression_rule(
        "record.number < 0", definition={"message": "negative", "related_load": [{"relation": "lines"}]}
    )
    await field_rule("number", "min", 1, active=False)
    await expression_rule("record.qty < 0", entity="line", hook="before_delete")


async def test_export_import_export_is_the_same(running, shop, field_rule, expression_rule, computed_rule):
    await define_some(field_rule, expression_rule, computed_rule)
    document = (await shop.get("_admin/export")).data
    assert [list(rule) for rule in document["rules"]] == [
        ["entity", "hook", "type", "definition", "priority", "active"]
    ] * 4
    other = await running.client.app("other")
    imported = (await other.post("_admin/import", document)).require(200).data
    assert imported["summary"]["rules"] == 4
    assert "errors" not in imported
    again = (await other.get("_admin/export")).data
    assert {**again, "exported_at": ""} == {**document, "exported_at": ""}
    assert (await other.post("_admin/import", document)).data["summary"]["rules"] == 0


async def test_one_item_for_one_stored_row(shop, expression_rule):
    await expression_rule("record.number < 0")
    rule = (await shop.get("_admin/export")).data["rules"][0]
    assert (await shop.post("_admin/import", {"rules": [rule, rule]})).data["summary"]["rules"] == 1
    assert len((await shop.get("_admin/rules")).data) == 2


async def test_defaults_and_order_of_members_do_not_matter(shop, expression_rule, field_rule):
    await expression_rule("record.number < 0")
    await field_rule("number", "required")
    same = [
        {"type": "expression", "definition": {"stop_on_fail": False, "message": "Expression rule violated",
         "related_load": [], "expression": "record.number < 0"}, "hook": "before_write", "entity": "sale"},
        {"entity": "sale", "hook": "before_write", "type": "field", "priority": 0, "active": True,
         "definition": {"operator": "required", "field": "number"}},
    ]  # fmt: skip
    answer = (await shop.post("_admin/import", {"rules": same})).data
    assert answer["summary"]["rules"] == 0
    assert "errors" not in answer


async def test_a_stored_rule_that_differs_stays(shop, expression_rule):
    await expression_rule("record.number < 0", priority=1)
    rule = deepcopy((await shop.get("_admin/export")).data["rules"][0])
    rule["priority"] = 2
    plan = (await shop.post("_admin/import?mode=plan", {"rules": [rule]})).data
    assert plan == {"changes": [{"action": "skip", "kind": "rule", "key": "sale/expression"}], "records": {}}
    assert (await shop.post("_admin/import", {"rules": [rule]})).data["summary"]["rules"] == 0
    assert (await shop.get("_admin/rules")).data[0]["priority"] == 1


async def test_faulty_rules_are_reported_and_the_rest_goes_on(shop):
    good = {"entity": "sale", "hook": "before_write", "type": "expression", "definition": {"expression": "false"}}
    bad = {**good, "definition": {"expression": "record.nmber"}}
    answer = (await shop.post("_admin/import", {"rules": [bad, good, 5, {"entity": "x"}]})).require(200).data
    assert answer["summary"]["rules"] == 1
    assert answer["errors"] == [
        "rule sale/expression: invalid expression: unknown field: nmber at line 1, column 8",
        "rule: object expected",
        "rule x/: entity not found: x",
    ]


async def test_rules_come_with_the_entities_they_name(running):
    client = await running.client.app("fresh")
    document = {
        "entities": [entity("sale", number="int")],
        "rules": [
            {
                "entity": "sale",
                "hook": "before_write",
                "type": "expression",
                "definition": {"expression": "record.number < 0"},
            }
        ],
        "sample_data": {"sale": [{"id": "00000000-0000-4000-8000-000000000001", "number": -5}]},
    }
    plan = (await client.post("_admin/import?mode=plan", document)).data
    assert [(change["action"], change["kind"], change["key"]) for change in plan["changes"]] == [
        ("create", "entity", "sale"),
        ("create", "rule", "sale/expression"),
    ]
    summary = (await client.post("_admin/import", document)).data["summary"]
    assert (summary["rules"], summary["records"]) == (1, 1)  # sample data is not judged
    assert (await client.post("sale", {"number": -5})).status == 422


async def test_without_the_plugin_rules_are_refused_by_its_name(start_kernel):
    client = await (await start_kernel([])).client.app("bare")
    answer = (await client.post("_admin/import", {"rules": [{"entity": "x"}]})).data
    assert answer["errors"] == ["rules: plugin 'rules' is not enabled"]
    assert (await client.get("_admin/rules")).status == 404
