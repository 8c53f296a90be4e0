from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rocket_kernel.store.decimal_key import decimal_key

digits = st.text("0123456789", min_size=1, max_size=40)
decimals = st.builds(
    lambda sign, whole, fraction: f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}",
    st.sampled_from(["", "-"]),
    digits,
    st.one_of(st.just(""), digits),
)


@given(decimals, decimals)
@example("-12.5", "-12")
@example("0", "-0.00")
@example("0.09", "0.1")
@example("99999999999999999999999999999999999999", "99999999999999999999999999999999999998")
def test_keys_compare_as_the_numbers_do(left: str, right: str) -> None:
    left_key, right_key = decimal_key(left).encode(), decimal_key(right).encode()
    left_number, right_number = Decimal(left), Decimal(right)
    assert (left_key < right_key) == (left_number < right_number)
    assert (left_key == right_key) == (left_number == right_number)


@given(decimals)
def test_trailing_zeros_make_no_difference(text: str) -> None:
    longer = f"{text}000" if "." in text else f"{text}.000"
    assert decimal_key(longer) == decimal_key(text)


@pytest.mark.parametrize("text", ["", "-", ".", "abc", "1e5", "²", "٣", "1.2.3"])
def test_other_text_sorts_behind_all_numbers(text: str) -> None:
    assert decimal_key(text) > decimal_key("9" * 60)
