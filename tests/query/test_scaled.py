"""Decimals compared as integers answer as decimals do."""

from __future__ import annotations

import operator
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocket_kernel.query.scaled import scaled_bound

ORDERINGS = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}


def column_values(precision: int) -> st.SearchStrategy[Decimal]:
    limit = 10**18 - 1
    return st.integers(-limit, limit).map(lambda digits: Decimal(digits).scaleb(-precision))


operands = st.decimals(allow_nan=False, allow_infinity=False, places=20, min_value=-(10**17), max_value=10**17)


@given(data=st.data(), precision=st.integers(0, 18), operand=operands, name=st.sampled_from(sorted(ORDERINGS)))
def test_orderings_agree_with_decimals(data: st.DataObject, precision: int, operand: Decimal, name: str) -> None:
    near = operand.quantize(Decimal(1).scaleb(-precision)) if abs(operand.scaleb(precision)) < 10**17 else None
    values = column_values(precision)
    value = data.draw(values if near is None else values | st.just(near))
    bound = scaled_bound(name, format(operand, "f"), precision)
    assert bound is not None
    assert ORDERINGS[name](int(value.scaleb(precision)), bound) is ORDERINGS[name](value, operand)


@pytest.mark.parametrize(
    ("operand", "precision", "bound"),
    [
        ("1.50", 2, 150),
        ("1.5", 2, 150),
        ("1.505", 2, None),
        ("0", 0, 0),
        ("-3", 0, -3),
        ("99999999999999999999999999999999999999", 2, None),
    ],
)
def test_equality_finds_only_what_the_column_can_hold(operand: str, precision: int, bound: int | None) -> None:
    assert scaled_bound("eq", operand, precision) == bound


@pytest.mark.parametrize(("name", "holds"), [("gt", False), ("lt", True)])
def test_a_bound_beyond_every_value(name: str, *, holds: bool) -> None:
    bound = scaled_bound(name, "9" * 38, 2)
    assert bound is not None
    assert -(2**63) <= bound < 2**63
    assert all(ORDERINGS[name](value, bound) is holds for value in (-(10**18) + 1, 0, 10**18 - 1))
