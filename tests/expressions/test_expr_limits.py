"""Limits: contract §7.7, each at its last good and its first bad value."""

from __future__ import annotations

from time import perf_counter

import pytest

from rocket_kernel import ExpressionError, compile_expression, plain, scope

PLACE = scope({"record"})


def evaluate(source, **record):
    return plain(compile_expression(source, PLACE).evaluate({"record": record}))


def refused(source, **record) -> str:
    with pytest.raises(ExpressionError) as caught:
        evaluate(source, **record)
    return caught.value.message


def test_source_bytes():
    assert evaluate("'" + "x" * 4094 + "'") == "x" * 4094
    assert refused("'" + "x" * 4095 + "'") == "expression too long (max 4096 bytes)"
    assert evaluate("'" + "ä" * 2047 + "'") == "ä" * 2047
    assert refused("'" + "ä" * 2048 + "'") == "expression too long (max 4096 bytes)"
    assert refused("1" + " " * 10_000_000) == "expression too long (max 4096 bytes)"


NESTINGS = [
    lambda depth: "(" * depth + "1" + ")" * depth,
    lambda depth: "[" * depth + "1" + "]" * depth,
    lambda depth: "{a:" * depth + "1" + "}" * depth,
    lambda depth: "!" * depth + "1",
    lambda depth: "-" * depth + "1",
    lambda depth: "not " * depth + "1",
    lambda depth: "abs(" * depth + "1" + ")" * depth,
    lambda depth: "record[" * depth + "1" + "]" * depth,
    lambda depth: "1 ? " * depth + "1" + " : 2" * depth,
    lambda depth: "1 - (" * depth + "1" + ")" * depth,
    lambda depth: "1 or 2 and (" * depth + "1" + ")" * depth,
]


@pytest.mark.parametrize("nest", NESTINGS, ids=[nest(1) for nest in NESTINGS])
def test_nesting(nest):
    evaluate(nest(64))
    assert refused(nest(65)) == "nested too deeply (max 64)"
    assert refused(nest(500)) in ("nested too deeply (max 64)", "expression too long (max 4096 bytes)")


def test_levels_that_need_no_brackets_are_bounded_too():
    def levels(brackets: int) -> str:
        return "0 or 1 and 1 + 1 * (" * brackets + "1" + ")" * brackets

    assert evaluate(levels(49)) == 50
    assert refused(levels(51)) == "nested too deeply"


def test_conditionals_in_a_row_are_not_nested():
    assert evaluate("record.x ? 1 : " * 200 + "2") == 2


def test_nodes():
    assert evaluate("+".join(["1"] * 500)) == 500
    assert refused("+".join(["1"] * 501)) == "too many parts (max 1000)"
    assert evaluate(f"len([{','.join('1' * 998)}])") == 998
    assert refused(f"len([{','.join('1' * 999)}])") == "too many parts (max 1000)"
    assert evaluate("record" + ".a" * 999) is None
    assert refused("record" + ".a" * 1000) == "too many parts (max 1000)"


def test_nodes_inside_strings_count():
    def twice(terms: int) -> str:
        body = "+".join(["1"] * terms)
        return f"sum([1], '{body}') + sum([1], '{body}')"

    assert evaluate(twice(245)) == 490
    assert refused(twice(250)) == "too many parts (max 1000)"


def test_steps():
    assert evaluate("sum(record.l, 'item')", l=[1] * 10_000) == 10_000
    assert refused("sum(record.l, 'item + item + item + item + item + item')", l=[1] * 10_000) == (
        "too many steps (max 100000)"
    )
    assert refused("any(record.l, 'any(record.l, \"false\")')", l=[1] * 1000) == "too many steps (max 100000)"
    assert refused("all(record.l, 'item in record.l')", l=list(range(1000))) == "too many steps (max 100000)"
    assert refused("all(record.l, 'record.l == record.l')", l=list(range(1000))) == "too many steps (max 100000)"


def test_text():
    half = "x" * 50_000
    assert len(evaluate("record.t + record.t", t=half)) == 100_000
    assert refused("record.t + record.t + 'y'", t=half) == "text too long (max 100000 characters)"
    assert refused("upper(record.t)", t="ß" * 60_000) == "text too long (max 100000 characters)"
    assert refused("record.t.trim()", t="x" * 100_001) == "text too long (max 100000 characters)"
    assert (
        refused("'' + map(record.l, 'record.t')", t="x" * 1000, l=[1] * 200) == "text too long (max 100000 characters)"
    )


def test_longer_texts_of_a_record_can_be_looked_at():
    text = "x" * 300_000
    assert evaluate("record.t.length > 5 and record.t != 'x' and record.t startsWith 'x'", t=text) is True
    assert evaluate("record.t contains 'xy' or record.t matches 'y$'", t=text) is False


def test_lists():
    assert evaluate("len(map(record.l, 'item'))", l=[1] * 10_000) == 10_000
    assert refused("map(record.l, 'item')", l=[1] * 10_001) == "list too long (max 10000 elements)"
    assert refused("sum(record.l)", l=[1] * 10_001) == "list too long (max 10000 elements)"
    assert evaluate("len(record.l)", l=[1] * 10_001) == 10_001


def test_exponents():
    assert evaluate("1e6000 > 0 and 1e-6000 > 0") is True
    assert refused("1e6001") == "number out of range"
    assert refused("1e-6001") == "number out of range"
    assert refused("1e5000 * 1e5000") == "number out of range"
    assert refused("1e-5000 * 1e-5000") == "number out of range"
    assert refused("number(record.t)", t="9" * 7000) == "number out of range"
    assert refused("record.t > 5", t="9" * 100_000) == "number out of range"
    assert refused("record.n + 1", n=10**7000) == "number out of range"


def test_results_that_share_parts_are_bounded():
    source = "[1]"
    for _ in range(25):
        source = f"map([{source}], '[item, item]')[0]"
    with pytest.raises(ExpressionError, match="too many steps"):
        plain(compile_expression(source, PLACE).evaluate({}))


def test_deep_values_are_bounded():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    for source in ("record.d == record.e", "'' + record.d", "[record.d] == [record.e]"):
        assert refused(source, d=deep, e=[deep[0]]) == "value nested too deeply"
    assert refused("record.d", d=deep) == "value nested too deeply"


def test_ten_operators_take_less_than_30_microseconds():
    source = (
        "record.qty * record.price > 100 and record.kind != 'gift' or record.qty - 3 >= 2 * record.price + 1"
        " and record.note == null and !(record.qty % 5 == 0)"
    )
    expression = compile_expression(source, PLACE)
    values = {"record": {"qty": 12, "price": "2.50", "kind": "loan", "note": None}}
    best = min(_time(lambda: expression.evaluate(values)) for _ in range(20))
    assert best < 30e-6, f"{best * 1e6:.1f} µs"


def _time(call) -> float:
    start = perf_counter()
    for _ in range(200):
        call()
    return (perf_counter() - start) / 200
