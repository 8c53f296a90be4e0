"""Functions, properties and methods: contract §7.3 and §7.4."""

from __future__ import annotations

import pytest

from rocket_kernel import ExpressionError, Function, compile_expression, plain, scope

VALUES = [
    ("len('äbc') + length([1, 2]) + count({a: 1})", 6),
    ("len(null) + length(null) + count(null)", 0),
    ("sum([1, '2', null, 3.5])", 6.5),
    ("sum([])", 0),
    ("sum(null)", 0),
    ("sum(related.lines, 'qty')", 3),
    ("avg([1, 2, null, 6])", 3),
    ("avg([])", None),
    ("avg(null)", None),
    ("avg(related.lines, 'price')", 6.75),
    ("min(3, 1, 2)", 1),
    ("max(3, '10', 2)", 10),
    ("min(null, 5, null)", 5),
    ("max(null, null)", None),
    ("min([3, 1, 2])", 1),
    ("max(context.numbers)", 3),
    ("min([])", None),
    ("max(null)", None),
    ("max([null])", None),
    ("min(related.lines, 'price')", 4),
    ("max(related.lines, 'qty * price')", 9.5),
    ("max('b', 'abc')", "b"),
    ("min(date('2026-03-02'), '2026-03-01')", "2026-03-01"),
    ("max(1, '2')", 2),
    ("any([1, 2], 'item > 1')", True),
    ("any([], 'true')", False),
    ("any(null, 'true')", False),
    ("all([1, 2], 'item > 1')", False),
    ("all([], 'false')", True),
    ("all(null, 'false')", True),
    ("filter([1, null, 3], 'item')", [1, 3]),
    ("filter(null, 'true')", []),
    ("map([1, 2], 'item * 2')", [2, 4]),
    ("map(null, 'item')", []),
    ("map(related.lines, '{q: qty, p: item.price}')", [{"q": 2, "p": "4.00"}, {"q": 1, "p": "9.50"}]),
    ("map([1], 'record.sku')", ["AB-204"]),
    ("map([{record: {sku: 'inner'}}], 'record.sku')", ["inner"]),
    ("map([{a: 1}], 'b')", [None]),
    ("map([[1, 2], [3]], 'sum(item, \"item * 10\")')", [30, 30]),
    ("map([{a: [1]}], \"map(a, 'item + len(record.sku)')\")", [[7]]),
    ("map([{a: 1, l: [{b: 2}]}], 'map(l, \"a + b\")')", [[3]]),
    ("map([{item: 5}], 'item.item')", [5]),
    ("abs(-2.5) + abs('3')", 5.5),
    ("abs(null)", None),
    ("floor(-1.5)", -2),
    ("ceil(-1.5)", -1),
    ("floor(null)", None),
    ("round(2.5)", 3),
    ("round(-2.5)", -3),
    ("round(0.5) + round(1.5)", 3),
    ("round(2.675, 2)", 2.68),
    ("round(1234, -2)", 1200),
    ("round(4, -1)", 0),
    ("round(1e30, 5)", 10**30),
    ("round(null, 2)", None),
    ("round(5, null)", None),
    ("Math.abs(-1) + Math.min(1, 2) + Math.max(1, 2) + Math.round(1.5) + Math.floor(1.5) + Math.ceil(1.5)", 9),
    ("lower('ÄB') + upper('äß') + trim('  x\t')", "äbÄSSx"),
    ("lower(null) == null and upper(null) == null and trim(null) == null", True),
    ("contains([1], 1) and startsWith('ab', 'a') and endsWith('ab', 'b') and matches('ab', 'a.')", True),
    ("contains(null, 1) or startsWith(null, 'a') or endsWith(null, 'a') or matches(null, 'a')", False),
    ("now", "2026-03-04T05:06:07.089Z"),
    ("now() == now", True),
    ("today()", "2026-03-04T00:00:00.000Z"),
    ("new Date()", "2026-03-04T05:06:07.089Z"),
    ("date('2026-03-01T10:00+02:00')", "2026-03-01T08:00:00.000Z"),
    ("date(now) == now", True),
    ("date(86400000)", "1970-01-02T00:00:00.000Z"),
    ("new Date('1000')", "1970-01-01T00:00:01.000Z"),
    ("date('soon')", None),
    ("date('2026-02-30')", None),
    ("date(null)", None),
    ("date(1e20)", None),
    ("date([])", None),
    ("days_between('2026-03-01', '2026-03-02T23:59:59Z')", 1),
    ("days_between('2026-03-02T23:59:59Z', '2026-03-01')", -1),
    ("days_between('2026-03-01', '2026-03-01T23:00:00Z')", 0),
    ("days_between('2026-03-01T23:00:00Z', '2026-03-01')", 0),
    ("days_between(null, now)", None),
    ("days_between(now, null)", None),
    ("string(1.50) + string(true) + string('a') + string([1]) + string(now)", "1.5truea[1]2026-03-04T05:06:07.089Z"),
    ("string(null)", None),
    ("number('1.50')", 1.5),
    ("number('x') ?? number(' 1') ?? number([]) ?? number(null)", None),
    ("number(true) + number(false)", 1),
    ("number(date(5))", 5),
    ("float('2.5')", 2.5),
    ("int('-2.9')", -2),
    ("int(2.9)", 2),
    ("int('x')", None),
    ("record.sku.length", 6),
    ("record.sku.includes('-') and record.sku.contains('B-') and record.tags.includes('new')", True),
    ("record.sku.startsWith('AB') and record.sku.endsWith('04')", True),
    ("record.sku.toLowerCase() + record.sku.toUpperCase() + ' x '.trim()", "ab-204AB-204x"),
    ("date(5).getTime()", 5),
    ("record.starts_on.getTime()", 1772323200000),
    ("[null.includes('a'), null.startsWith('a'), null.endsWith('a'), null.contains(1)]", [None] * 4),
    ("[null.toLowerCase(), null.toUpperCase(), null.trim(), null.getTime()]", [None] * 4),
]


@pytest.mark.parametrize(("source", "value"), VALUES, ids=[source for source, _ in VALUES])
def test_value(source, value, value_of):
    assert value_of(source) == value


FAULTS = [
    ("len(5)", "a number has no length"),
    ("sum([1, 'a'])", "sum needs numbers, not a text"),
    ("sum('abc')", "sum needs a list, not a text"),
    ("avg([true])", "avg needs numbers, not a boolean"),
    ("any(5, 'true')", "any needs a list, not a number"),
    ("map({a: 1}, 'item')", "map needs a list, not a map"),
    ("max([1, 'a'])", "max cannot compare a text and a number"),
    ("min([true])", "min cannot compare a boolean and a boolean"),
    ("abs('a')", "abs needs a number, not a text"),
    ("round(1, 0.5)", "round needs a whole number of digits"),
    ("lower([1])", "lower needs a text, not a list"),
    ("days_between('soon', now)", "days_between needs an instant, not a text"),
    ("(5).getTime()", "getTime needs an instant, not a number"),
    ("[1].trim()", "trim needs a text, not a list"),
    ("matches('a', '(' + '')", "invalid pattern: missing ): ("),
    ("any([1], '1 / (item - 1)')", "division by zero"),
]


@pytest.mark.parametrize(("source", "message"), FAULTS, ids=[source for source, _ in FAULTS])
def test_fault_at_run_time(source, message, value_of):
    with pytest.raises(ExpressionError) as caught:
        value_of(source)
    assert caught.value.message == message


def test_the_place_of_a_fault_inside_a_string_is_that_of_the_source(value_of):
    with pytest.raises(ExpressionError) as caught:
        value_of("true and\n  any([0], '\\u0031 / item')")
    assert (caught.value.line, caught.value.column) == (2, 20)


INITIALS = Function(name="initials", call=lambda text: "".join(word[0] for word in text.split()), least=1, most=1)


def with_function(function: Function, source: str) -> object:
    expression = compile_expression(source, scope({"record"}), {function.name: function})
    return plain(expression.evaluate({"record": {"tags": [1, {"a": [2]}], "name": "ada lovelace"}}))


def test_a_plugin_adds_a_function():
    assert with_function(INITIALS, "initials(record.name) + '!'") == "al!"


def test_a_plugin_gets_frozen_values():
    seen = []

    def look(*given):
        seen.extend(given)
        return {"n": 1, "l": [2.5]}

    function = Function(name="look", call=look, least=0)
    assert with_function(function, "look(record.tags, {a: 1}, 1.5, null)") == {"n": 1, "l": [2.5]}
    tags, mapping, number, nothing = seen
    assert (tags[0], number, nothing) == (1, with_number("1.5"), None)
    assert isinstance(tags, tuple)
    assert tags[1]["a"] == (2,)
    with pytest.raises(TypeError):
        mapping["b"] = 2


def with_number(text: str) -> object:
    return compile_expression(text, scope(())).evaluate({})


def test_what_a_plugin_raises_is_a_fault_of_the_expression():
    def refuse(text):
        raise ValueError("not today")

    def break_down(text):
        raise KeyError(text)

    for call, message in [(refuse, "f: not today"), (break_down, "f failed")]:
        with pytest.raises(ExpressionError) as caught:
            with_function(Function(name="f", call=call, least=1, most=1), "1 + f('a')")
        assert (caught.value.message, caught.value.column) == (message, 5)
