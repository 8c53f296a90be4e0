from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocket_kernel.store.case_fold import simple_lower


@pytest.mark.parametrize(
    ("text", "lower"),
    [
        ("ABC", "abc"),
        ("\u0391\u03a3", "\u03b1\u03c3"),
        ("İstanbul", "istanbul"),
        ("ẞ", "ß"),
        ("ÉÀ", "éà"),
        ("\u2126", "ω"),
        ("𐐀", "𐐨"),
        ("", ""),
    ],
)
def test_known_letters(text: str, lower: str) -> None:
    assert simple_lower(text) == lower


@given(st.text())
def test_one_character_becomes_one(text: str) -> None:
    lower = simple_lower(text)
    assert len(lower) == len(text)
    assert lower == "".join(map(simple_lower, text))
    assert simple_lower(lower) == lower


def test_all_of_unicode_is_mapped_to_single_characters() -> None:
    for code in range(0x110000):
        character = chr(code)
        if unicodedata.category(character) == "Lu":
            assert len(simple_lower(character)) == 1
