"""Field rules: contract §6.2 and §6.3 item 4."""

from __future__ import annotations

import pytest

from rocket_rules.operators import OPERATORS as OPERATORS_OF_THE_PLUGIN

OPERATORS = [
    # field, operator, value, values that pass, values that fail
    ("number", "min", 3, [3, 4, None], [2, -5]),
    ("number", "max", "3", [3, 2], [4]),
    ("total", "min", 1.5, ["1.50", "2"], ["1.49"]),
    ("net", "max", 0.3, ["0.3", "0.29999999999999999999999999"], ["0.30000000000000000000000001"]),
    ("note", "min", 5, ["5", "7.5", "", "five", None], ["4.9", "-10"]),
    ("note", "max", 5, ["5", "long text"], ["6"]),
    ("meta", "min", 5, [[1], {"a": 1}, True, 5], [4]),
    ("sold", "min", 5, ["2026-03-01"], []),
    ("paid", "max", 0, [True, False], []),
    ("note", "min_length", 3, ["abc", "äöü", "😀😀😀", None], ["ab", "😀😀", ""]),
    ("note", "max_length", 3, ["abc", "😀😀😀", ""], ["abcd"]),
    ("number", "max_length", 1, [12345], []),
    ("note", "pattern", r"^\d{2}-[A-Z]+$", ["12-AB", None], ["12-ab", "x12-AB", "", "12-AB\n"]),
    ("note", "pattern", "b", ["abc"], ["acd"]),
    ("note", "eq", "x", ["x", None], ["X", ""]),
    ("number", "eq", "5", [5], [6]),
    ("total", "eq", 5, ["5.00"], ["5.01"]),
    ("sold", "eq", "2026-03-01", ["2026-03-01"], ["2026-03-02"]),
    ("paid", "eq", True, [True], [False]),
    ("meta", "eq", {"a": [1, "2"]}, [{"a": [1, "2"]}], [{"a": [1]}, {"a": [1, "2"], "b": 1}, []]),
    ("note", "neq", "x", ["y", "", None], ["x"]),
    ("number", "gt", 5, [6], [5]),
    ("number", "gte", 5, [5], [4]),
    ("number", "lt", 5, [4], [5]),
    ("number", "lte", 5, [5], [6]),
    ("number", "gt", "text", [], [6]),
    ("sold", "gte", "2026-03-01", ["2026-03-01"], ["2026-02-28"]),
    ("at", "lt", "2026-03-01T12:00:00Z", ["2026-03-01T11:59:59Z"], ["2026-03-01T12:00:00Z", "2026-03-01T13:00+00:30"]),
    ("note", "gt", "m", ["n"], ["a", "m"]),
    ("state", "in", ["open", "paid"], ["open", None], ["closed", ""]),
    ("state", "enum", ["open", "paid"], ["paid"], ["closed"]),
    ("number", "in", ["1", 2], [1, 2], [3]),
    ("state", "not_in", ["void"], ["open", None], ["void"]),
    ("state", "in", [], [], ["open"]),
    ("note", "required", None, ["x", " "], ["", None]),
    ("meta", "required", None, [[], {}, 0, False], [None]),
    ("meta", "not_empty", None, [[1], {"a": 1}, 0, False], [[], {}, None]),
    ("note", "not_empty", "ignored", ["x"], ["", None]),
]


async def test_operators(shop, field_rule, findings):
    for field, operator, value, passing, failing in OPERATORS:
        rule = await field_rule(field, operator, value)
        finding = {"field": field, "rule": operator, "message": f"field {field} failed {operator} validation"}
        for given in passing:
            assert await findings("POST", "sale", {field: given}) == [], (operator, value, given)
        for given in failing:
            assert await findings("POST", "sale", {field: given}) == [finding], (operator, value, given)
        (await shop.delete(f"_admin/rules/{rule['id']}")).require(200)


def test_every_operator_is_tried_both_ways():
    assert {row[1] for row in OPERATORS if row[3]} == {row[1] for row in OPERATORS if row[4]} == OPERATORS_OF_THE_PLUGIN


async def test_a_message_of_ones_own(field_rule, findings):
    await field_rule("number", "min", 1, definition={"message": "One at least, please"})
    assert await findings("POST", "sale", {"number": 0}) == [
        {"field": "number", "rule": "min", "message": "One at least, please"}
    ]


async def test_on_update_only_what_the_payload_names_is_checked(shop, field_rule, findings):
    sale = await shop.create("sale", {"number": -5})
    await field_rule("number", "min", 1)
    await field_rule("note", "required")
    path = f"sale/{sale['id']}"
    assert await findings("PATCH", path, {"state": "paid"}) == []
    assert [item["field"] for item in await findings("PATCH", path, {"number": -5})] == ["number"]
    assert [item["field"] for item in await findings("PATCH", path, {"note": None})] == ["note"]
    assert [item["field"] for item in await findings("POST", "sale", {"number": 5})] == ["note"]


async def test_defaults_are_checked_on_create(field_rule, findings):
    await field_rule("state", "in", ["paid"])
    assert [item["field"] for item in await findings("POST", "sale", {})] == ["state"]


async def test_an_inactive_rule_does_nothing_until_it_is_switched_on(shop, field_rule, findings):
    rule = await field_rule("number", "min", 1, active=False)
    assert await findings("POST", "sale", {"number": 0}) == []
    (await shop.put(f"_admin/rules/{rule['id']}", {"active": True})).require(200)
    assert len(await findings("POST", "sale", {"number": 0})) == 1
    (await shop.delete(f"_admin/rules/{rule['id']}")).require(200)
    assert await findings("POST", "sale", {"number": 0}) == []


async def test_a_pattern_on_a_megabyte(field_rule, findings):
    await field_rule("note", "pattern", "^(a+)+$")
    assert await findings("POST", "sale", {"note": "a" * 2**20}) == []
    assert len(await findings("POST", "sale", {"note": "a" * 2**20 + "b"})) == 1


async def test_a_text_too_long_for_its_pattern_is_refused(field_rule, findings):
    await field_rule("note", "pattern", "^([a-z]{1,20}[.]){1,20}$")
    assert [item["rule"] for item in await findings("POST", "sale", {"note": "a." * 500_000})] == ["pattern"]


@pytest.mark.parametrize("hook", ["after_write", "before_delete"])
async def test_field_rules_of_other_hooks(hook, shop, field_rule, findings):
    sale = await shop.create("sale", {"state": "open"})
    await field_rule("state", "neq", "open", hook=hook)
    finding = [{"field": "state", "rule": "neq", "message": "field state failed neq validation"}]
    path = f"sale/{sale['id']}"
    assert await findings("DELETE", path) == (finding if hook == "before_delete" else [])
    assert await findings("POST", "sale", {}) == (finding if hook == "after_write" else [])
