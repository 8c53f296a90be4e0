"""docs/expressions.md: its tables are compared with the code, its examples are evaluated."""

from __future__ import annotations

import json
import re

import pytest

from rocket_kernel import compile_expression, plain, scope
from rocket_kernel.expressions import limits
from rocket_kernel.expressions.functions import FORMS, MATH, METHODS, NATIVE
from rocket_kernel.expressions.parse import parse
from rocket_kernel.expressions.patterns import MAX_SEARCH, compile_pattern
from rocket_kernel.expressions.related import MAX_RELATED
from rocket_kernel.expressions.sample import sample_changes
from rocket_kernel.expressions.scope import ALL_NAMES, WRITE_NAMES

PAGE = "docs/expressions.md"
LIMITS = {
    "bytes of a source": limits.MAX_SOURCE_BYTES,
    "nesting": limits.MAX_NESTING,
    "parts of an expression": limits.MAX_NODES,
    "steps of one evaluation": limits.MAX_STEPS,
    "characters of a text that is made": limits.MAX_TEXT,
    "elements of a list that is made or walked through": limits.MAX_LIST,
    "exponent of a number, either way": limits.MAX_EXPONENT,
    "records behind one relation": MAX_RELATED,
}


def code(cell: str) -> list[str]:
    return [text.replace("\\|", "|") for text in re.findall(r"`([^`]+)`", cell)]


def test_every_function_and_no_other_is_listed(page):
    rows = page(PAGE).table("## Functions")
    listed = {call.partition("(")[0] for row in rows for call in code(row[0])}
    assert listed == NATIVE.keys() | FORMS
    section = page(PAGE).section("## Functions")
    assert {f"`.{name}({'x' if count else ''})`" for name, (_, count) in METHODS.items()} <= set(
        re.findall(r"`\.[^`]+\)`", section)
    )
    called_of_math = re.search(r"are names there.*?(`abs`.*?) may be called", section, re.DOTALL)
    assert called_of_math is not None
    assert set(re.findall(r"`(\w+)`", called_of_math[1])) - {"item"} >= MATH


def test_every_call_that_is_listed_compiles(page):
    place = scope({"x", "s", "l", "a", "b", "p", "n", "now"})
    for row in page(PAGE).table("## Functions"):
        for call in code(row[0]):
            source = call.replace(", e)", ", 'item')")
            assert compile_expression(source, place).source == source


def test_operators_parse(page):
    for row in page(PAGE).table("## Operators"):
        for operator in code(row[0]):
            if operator in ("a ? b : c", "not", "!", ".", "?.", "[…]"):
                continue
            assert parse(f"a {operator} b")[1] >= 2


def test_names_of_each_place(page):
    rows = page(PAGE).table("## Names")
    assert set(code(rows[0][1])) == WRITE_NAMES
    assert set(code(rows[0][1]) + code(rows[3][1]) + code(rows[4][1])) == ALL_NAMES


def test_limits(page):
    rows = page(PAGE).table("## Limits")
    assert {row[0]: int(row[1]) for row in rows} == LIMITS


def test_patterns_search_texts_as_long_as_the_page_says():
    for pattern in (r"^(\w+\.?)+@x$", r"^[\pL .,]+$"):
        assert compile_pattern(pattern).unlimited
    limited = compile_pattern("a.{30}b")
    assert limited.search_size("a" * 200_000) < MAX_SEARCH < limited.search_size("a" * 1_000_000)


def test_examples(page):
    section = page(PAGE).section("## Examples")
    values = json.loads(re.search(r"```json\n(.*?)```", section, re.DOTALL)[1])
    values |= {"action": "update", "changes": sample_changes("update", values["old"], values["record"])}
    rows = page(PAGE).table("## Examples")
    assert len(rows) > 10
    for source, expected in rows:
        (text,), (value,) = code(source), code(expected)
        assert plain(compile_expression(text, scope(ALL_NAMES)).evaluate(values)) == json.loads(value), text


@pytest.mark.parametrize("number", range(3))
def test_the_first_examples_compile(number, page):
    block = re.search(r"```js\n(.*?)```", page(PAGE).text, re.DOTALL)
    assert block is not None
    source = block[1].splitlines()[number]
    assert compile_expression(source, scope(WRITE_NAMES)).source == source
