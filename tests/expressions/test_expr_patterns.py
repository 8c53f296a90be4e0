"""Patterns of users take time that grows with the text, never more."""

from __future__ import annotations

from contextlib import suppress
from random import Random
from time import process_time

import pytest

from rocket_kernel import ExpressionError, PatternError, compile_expression, compile_pattern, scope
from rocket_kernel.expressions.patterns import MAX_SEARCH

MEGABYTE = 2**20
TEXTS = {
    "one letter": "a" * MEGABYTE,
    "two letters": "".join(Random(1).choices("ab", k=MEGABYTE)),
    "words": "lorem.ipsum " * (MEGABYTE // 12),
    "unicode": "".join(Random(2).choices("äöü中文a", k=MEGABYTE // 2)),
}
CATASTROPHIC = [
    "(a+)+$", "(a|a)*b", "(a|aa)+$", "(a*)*b", "(.*)*c", "(x+x+)+y", r"^(\w+\.?)+@x$", "(.*a){5}c", "^(([a-z])+.)+[A-Z]$",
    "(a|b)*a(a|b){8}c", "([a-zA-Z]+)*1", "(a?){7}a{7}c",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("pattern", CATASTROPHIC)
def test_a_catastrophic_pattern_on_a_megabyte_takes_less_than_50_ms(pattern, text):
    compiled = compile_pattern(pattern)
    subject = TEXTS[text]

    def seconds() -> float:
        start = process_time()
        with suppress(PatternError):
            compiled.found_in(subject)
        return process_time() - start

    took = min(seconds() for _ in range(3))
    assert took < 0.05, f"{took * 1000:.1f} ms"


def test_most_of_them_are_searched_and_not_refused():
    assert sum(compile_pattern(pattern).unlimited for pattern in CATASTROPHIC) >= 10
    assert compile_pattern("(a|a)*b").found_in(TEXTS["one letter"]) is False
    assert compile_pattern("(a+)+$").found_in(TEXTS["one letter"]) is True


@pytest.mark.parametrize("pattern", ["(a|b)*a(a|b){20}c", "(?i)(\\w.{50}){5}z", "[^b]*a[^ü]{40}c", "(a?){30}a{30}c"])
@pytest.mark.parametrize("text", TEXTS)
def test_a_pattern_that_can_be_slow_takes_shorter_texts_only(pattern, text):
    compiled, subject = compile_pattern(pattern), TEXTS[text]
    bytes_a_character = len(subject.encode()) / len(subject)
    longest = int(0.95 * MAX_SEARCH * len(subject) / compiled.search_size(subject) / bytes_a_character)
    start = process_time()
    compiled.found_in(subject[:longest])
    assert process_time() - start < 0.1
    with pytest.raises(PatternError, match="text too long for the pattern"):
        compiled.found_in(subject)


def test_large_classes_are_no_reason_to_refuse_a_text():
    assert compile_pattern(r"^[\pL .,-]+$").found_in("Ünïcode, text " * 20_000) is True
    assert compile_pattern(r"^\pL{2,50}$").found_in("Åsa") is True
    assert compile_pattern(r"^\pL{2,50}$").found_in("A5") is False


def test_single_bytes_and_all_others_are_searched_alike():
    for pattern in (r"^[^a]\pL$", "(?i)K$", r"^\W.$", r"^[\x{e4}b]c", r"\p{Greek}?x$", "^..$"):
        for text in ("bx", "bK", "-c", "xx", "ac"):
            wanted = compile_pattern(f"(?:{pattern})|中").found_in(text)  # is searched as UTF-8
            assert compile_pattern(pattern).found_in(text) is wanted, (pattern, text)


def test_in_an_expression_too():
    place = scope({"record"})
    values = {"record": {"t": TEXTS["one letter"]}}
    assert compile_expression("record.t matches '(x+x+)+y'", place).evaluate(values) is False
    many = " or ".join(["record.t matches '(x+x+)+y'"] * 40)
    with pytest.raises(ExpressionError, match="too many steps"):
        compile_expression(many, place).evaluate(values)
    with pytest.raises(ExpressionError, match="too many steps"):
        compile_expression("record.t matches 'a.{50}b'", place).evaluate(values)


REFUSED = [
    ("(", "missing ): ("),
    ("a(?=b)", "invalid perl operator: (?="),
    ("(?<=a)b", "invalid perl operator: (?<="),
    (r"(a)\1", r"invalid escape sequence: \1"),
    ("a{2000}", "invalid repetition size: {2000}"),
    ("a**", "bad repetition operator: **"),
    ("[b-a]", "invalid character class range: b-a"),
    ("\\pL{900}", "pattern too large - compile failed"),
    ("x" * 4097, "longer than 4096 characters"),
    ("\ud800", "not valid text"),
]


@pytest.mark.parametrize(
    ("pattern", "message"), REFUSED, ids=[pattern[:20] for pattern, _ in REFUSED[:-1]] + ["surrogate"]
)
def test_refused(pattern, message):
    with pytest.raises(PatternError) as caught:
        compile_pattern(pattern)
    assert str(caught.value) == message


def test_digits_are_ascii_and_the_end_is_the_end():
    assert compile_pattern(r"^\d+$").found_in("123") is True
    assert compile_pattern(r"^\d+$").found_in("１２３") is False
    assert compile_pattern("a$").found_in("a\n") is False
    assert compile_pattern("^.$").found_in("😀") is True
    assert compile_pattern("(?i)ä").found_in("Ä") is True
