from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rocket_kernel.store.builder import decoded, encoded
from rocket_kernel.store.canonical_json import canonical, dumps, dumps_ordered, loads, loads_sorted
from rocket_kernel.store.columns import ColumnType, Storage
from rocket_kernel.store.protocol import Store

texts = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)
numbers = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=20,
)


def same(left: object, right: object) -> bool:
    """Equal in value, in type, and in the order of members."""
    if isinstance(left, dict) and isinstance(right, dict):
        return list(left) == list(right) and all(same(left[name], right[name]) for name in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float) and isinstance(right, float):
        return left == right and math.copysign(1, left) == math.copysign(1, right)
    return type(left) is type(right) and left == right


@given(values)
def test_text_round_trip_is_canonical(value: object) -> None:
    assert same(loads(dumps(value)), canonical(value))
    assert same(loads_sorted(dumps_ordered(value)), canonical(value))


@given(values)
def test_canonical_is_stable(value: object) -> None:
    assert same(canonical(canonical(value)), canonical(value))
    assert dumps(canonical(value)) == dumps(value)


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (1e22, 10**22),
        (-1e16, -(10**16)),
        (1e15, 1e15),
        (-0.0, 0.0),
        (1.0, 1.0),
        (10**40, 10**40),
        (5e-324, 5e-324),
        ({"b": 1, "a": {"d": [], "c": None}}, {"a": {"c": None, "d": []}, "b": 1}),
    ],
)
def test_known_values(value: object, stored: object) -> None:
    assert same(canonical(value), stored)


def test_a_document_keeps_the_order_of_its_members() -> None:
    assert dumps_ordered({"b": 1e20, "a": 2}) == '{"b":100000000000000000000,"a":2}'


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(values.filter(lambda value: value is not None), min_size=1, max_size=50))
async def test_every_database_gives_the_same_value_back(store: Store, batch: list[object]) -> None:
    json, document = ColumnType(Storage.JSON), ColumnType(Storage.DOCUMENT)
    dialect = store.dialect
    types = f"j {dialect.column_type(json)}, d {dialect.column_type(document)}"
    async with store.write() as tx:
        await tx.execute(f"CREATE TABLE t (n INTEGER, {types})")
        text = f"INSERT INTO t VALUES ({', '.join(map(dialect.placeholder, (1, 2, 3)))})"
        rows = [(n, encoded(dialect, value, json), encoded(dialect, value, document)) for n, value in enumerate(batch)]
        await tx.execute_many(text, rows)
        found = await tx.fetch("SELECT j, d FROM t ORDER BY n")
        await tx.execute("DROP TABLE t")
    for value, (stored_json, stored_document) in zip(batch, found, strict=True):
        assert same(decoded(dialect, stored_json, json), canonical(value))
        assert same(decoded(dialect, stored_document, document), loads(dumps_ordered(value)))
