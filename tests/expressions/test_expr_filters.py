"""The filters of URLs, permissions and rules, and the expression language, mean the same by a comparison."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rocket_kernel import compile_expression, record_values, scope
from rocket_kernel.expressions.numbers import is_numeric
from rocket_kernel.expressions.values import as_instant
from rocket_kernel.metadata.entity import parse_entity
from rocket_kernel.metadata.field_types import BUILT_IN
from rocket_kernel.query.filters import Compare
from rocket_kernel.query.memory import holds
from rocket_kernel.testing import entity

THING = parse_entity(
    entity(
        "thing", i="int", b="bigint", f="float", d="decimal", p="decimal:2", y="boolean", u="uuid", t="timestamp",
        a="date", s="string",
    ),
    BUILT_IN,
)  # fmt: skip
OPERATORS = {"eq": "==", "neq": "!=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
PLACE = scope({"record", "other"}, entity=THING)

digits = st.integers(-(10**30), 10**30)
VALUES = {
    "i": st.integers(-(2**31), 2**31 - 1) | st.integers(-3, 3),
    "b": st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3),
    "f": st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.1, 0.2, 0.30000000000000004, -0.0]),
    "d": st.builds(lambda whole, fraction: f"{whole}.{fraction}", digits, st.sampled_from(["0", "00", "5", "50", "1234567"]))
    | st.sampled_from(["12345678901234567890123456789012345678", "12345678901234567890123456789012345679", "-0.0", "0"]),
    "p": st.decimals(-(10**15), 10**15, places=2).map(str) | st.sampled_from(["1.10", "1.1", "-0.00"]),
    "y": st.booleans(),
    "u": st.uuids().map(str),
    "t": st.datetimes().map(lambda moment: moment.isoformat(timespec="milliseconds")),
    "a": st.dates().map(str),
    "s": st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=4)
    | st.sampled_from(["a", "A", "ä", "aa", "ｚ", "😀"]),
}  # fmt: skip


def is_plain(text: object) -> bool:
    """Texts that are numbers or instants compare as such in the language, and as text in a filter (contract §7.2)."""
    return not isinstance(text, str) or (not is_numeric(text) and as_instant(text) is None)


def compiled(name: str) -> dict:
    return {operator: compile_expression(f"record.{name} {sign} other", PLACE) for operator, sign in OPERATORS.items()}


@pytest.mark.parametrize("name", VALUES)
def test_they_agree(name):
    field = THING.fields[name]
    expressions, membership = compiled(name), compile_expression(f"record.{name} in other", PLACE)

    @settings(max_examples=60, deadline=None, database=None)
    @given(st.none() | VALUES[name], VALUES[name], VALUES[name])
    def check(left, right, further):
        own = None if left is None else field.read(left)
        row, several = {name: own}, tuple(field.read(value) for value in (right, further))
        record, others = record_values(THING, row), [record_values(THING, {name: value}).get(name) for value in several]
        if name == "s" and not all(map(is_plain, (left, right, further))):
            return
        for operator in field.type.operators & OPERATORS.keys():
            found = expressions[operator].evaluate({"record": record, "other": others[0]})
            if own is not None or operator != "neq":
                assert found is holds(Compare(field, operator, several[0]), row), operator
        found = membership.evaluate({"record": record, "other": others})
        assert found is holds(Compare(field, "in", several), row)

    check()


@pytest.mark.parametrize("name", ["d", "p", "b", "t", "a"])
def test_they_agree_on_the_text_of_a_value_too(name):
    """As a client writes it: decimals, large integers and instants compared with text."""
    field, expressions = THING.fields[name], compiled(name)

    @settings(max_examples=60, deadline=None, database=None)
    @given(VALUES[name], VALUES[name])
    def check(left, right):
        own, other = field.read(left), str(field.read(right))
        for operator, expression in expressions.items():
            found = expression.evaluate({"record": record_values(THING, {name: own}), "other": other})
            assert found is holds(Compare(field, operator, field.type.read_filter(other, None)), {name: own}), operator

    check()
