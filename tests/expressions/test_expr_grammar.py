"""The grammar of contract §7.1: every spelling, what binds tighter, and what is refused where."""

from __future__ import annotations

import pytest

from rocket_kernel import ExpressionError, compile_expression, scope
from rocket_kernel.expressions.parse import parse
from rocket_kernel.expressions.scope import ALL_NAMES

SAME = [
    # precedence, from the loosest to the tightest
    ("context ? 1 : context ? 2 : 3", "context ? 1 : (context ? 2 : 3)"),
    ("context ? context ? 1 : 2 : 3", "context ? (context ? 1 : 2) : 3"),
    ("1 ?? 2 ? 3 : 4", "(1 ?? 2) ? 3 : 4"),
    ("1 ?? 2 or 3", "1 ?? (2 or 3)"),
    ("1 or 2 and 3", "1 or (2 and 3)"),
    ("1 and not 2 == 3", "1 and (not (2 == 3))"),
    ("not 1 == 2", "not (1 == 2)"),
    ("not not 1", "not (not 1)"),
    ("!1 == 2", "(!1) == 2"),
    ("!!1", "!(!1)"),
    ("not 1 and 2", "(not 1) and 2"),
    ("1 + 2 < 3 * 4", "(1 + 2) < (3 * 4)"),
    ("1 - 2 - 3", "(1 - 2) - 3"),
    ("8 / 4 / 2", "(8 / 4) / 2"),
    ("1 - 2 + 3", "(1 - 2) + 3"),
    ("1 + 2 * 3 % 4", "1 + ((2 * 3) % 4)"),
    ("-1 * -2", "(-1) * (-2)"),
    ("--1", "-(-1)"),
    ("-record.a.b", "-(record.a.b)"),
    ("!record.a.trim()", "!(record.a.trim())"),
    ("1 + 2 in [3]", "(1 + 2) in [3]"),
    ("1 not in [1] and 2", "(1 not in [1]) and 2"),
    ("not 1 not in [1]", "not (1 not in [1])"),
    # spellings
    ("1 === 2", "1 == 2"),
    ("1 !== 2", "1 != 2"),
    ("1 && 2", "1 and 2"),
    ("1 || 2", "1 or 2"),
    ("nil", "null"),
    ("undefined", "null"),
    ("record?.a?.b", "record.a.b"),
    ("'a\"b'", '"a\\"b"'),
    (" 1\n+\t2\r\n", "1+2"),
    ("1e2", "100"),
    ("1E+2", "100"),
    ("15e-1", "1.5"),
    ("007", "7"),
    ('{a: 1, "b c": 2}', '{"a": 1, "b c": 2}'),
    ("{contains: 1}", '{"contains": 1}'),
]


@pytest.mark.parametrize(("source", "other"), SAME, ids=[source for source, _ in SAME])
def test_both_spellings_are_one_tree(source, other):
    assert parse(source)[0] == parse(other)[0]


DIFFERENT = [
    ("1 - (2 - 3)", "1 - 2 - 3"),
    ("8 / (4 / 2)", "8 / 4 / 2"),
    ("(not 1) == 2", "not 1 == 2"),
    ("!(1 == 2)", "!1 == 2"),
    ("(1 or 2) and 3", "1 or 2 and 3"),
    ("'1'", "1"),
    ("record.a", "record['a']"),
]


@pytest.mark.parametrize(("source", "other"), DIFFERENT, ids=[source for source, _ in DIFFERENT])
def test_these_are_two_trees(source, other):
    assert parse(source)[0] != parse(other)[0]


TEXTS = [
    (r"'a\\b'", "a\\b"),
    (r"'\''", "'"),
    (r'"\""', '"'),
    (r"'\n\r\t'", "\n\r\t"),
    (r"'\u00e4'", "ä"),
    (r"'\ud83d\ude00'", "😀"),
    (r"'\d+\.'", "\\d+\\."),
    (r"'\u12'", "\\u12"),
    (r"'\uzzzz'", "\\uzzzz"),
    ("'line\nbreak'", "line\nbreak"),
    ("''", ""),
    ("'😀'", "😀"),
]


@pytest.mark.parametrize(("source", "text"), TEXTS, ids=[repr(text) for _, text in TEXTS])
def test_text(source, text, value_of):
    assert value_of(source) == text


def test_every_word_is_a_member_name_behind_a_dot(value_of):
    record = {"in": 1, "not": {"new": 2}, "true": 3, "contains": 4}
    for source, value in [("record.in", 1), ("record.not.new", 2), ("record?.true", 3), ("record.contains", 4)]:
        assert value_of(source, record=record) == value


def test_operator_words_are_functions_where_an_operand_is_expected(value_of):
    assert value_of("contains('abc', 'b') and startsWith('abc', 'a') and endsWith('abc', 'c')") is True
    assert value_of("matches('abc', 'b.') contains true") is False
    assert value_of("'abc' contains 'b' and 'abc' startsWith 'a' and 'abc' endsWith 'c' and 'abc' matches 'b.'") is True


REFUSED = [
    ("", "expression is empty", 1, 1),
    ("  \n ", "expression is empty", 2, 2),
    ("1 +", "unexpected end", 1, 4),
    ("1 2", "unexpected '2'", 1, 3),
    ("1; 2", "unexpected character ';'", 1, 2),
    ("a = 1", "unexpected character '='", 1, 3),
    ("record.a\n  == 1 == 2", "unexpected '==', comparisons do not chain", 2, 8),
    ("1 < 2 < 3", "unexpected '<', comparisons do not chain", 1, 7),
    ("1 in [1] in [2]", "unexpected 'in', comparisons do not chain", 1, 10),
    ("1 == not 2", "unexpected 'not'", 1, 6),
    ("1 + not 2", "unexpected 'not'", 1, 5),
    ("-not 1", "unexpected 'not'", 1, 2),
    ("(1", "unexpected end, ')' expected", 1, 3),
    ("[1, ]", "unexpected ']'", 1, 5),
    ("{a: 1, }", "unexpected '}'", 1, 8),
    ("{1: 2}", "unexpected '1'", 1, 2),
    ("{true: 2}", "unexpected 'true'", 1, 2),
    ("record.", "unexpected end", 1, 8),
    ("record.1", "unexpected '1'", 1, 8),
    ("record.[0]", "unexpected '['", 1, 8),
    ("record[", "unexpected end", 1, 8),
    ("1 ? 2", "unexpected end, ':' expected", 1, 6),
    ("'abc", "unterminated string", 1, 1),
    ("'\\u", "unterminated string", 1, 1),
    ("'abc\\'", "unterminated string", 1, 1),
    ("'\\ud800'", "unpaired surrogate", 1, 2),
    ("new Foo()", "unexpected 'Foo'", 1, 5),
    ("new", "unexpected end", 1, 4),
    ("in", "unexpected 'in'", 1, 1),
    ("and 1", "unexpected 'and'", 1, 1),
    ("record // comment", "unexpected '/'", 1, 9),
    ("1 # comment", "unexpected character '#'", 1, 3),
    ("a `b`", "unexpected character '`'", 1, 3),
    ("ｒecord.a", "unexpected character 'ｒ'", 1, 1),
    ("１ + 1", "unexpected character '１'", 1, 1),
    ("1\u00a0+ 1", "unexpected character U+00A0", 1, 2),
    ("1\x00", "unexpected character U+0000", 1, 2),
    ("x => x", "unexpected '>'", 1, 4),
    ("1 <> 2", "unexpected '>'", 1, 4),
    ("5 ** 2", "unexpected '*'", 1, 4),
    ("1 ?. 2", "unexpected '2'", 1, 6),
    ("if (1) {}", "unexpected", 1, 8),
    ("1e7000", "number out of range", 1, 1),
    ("1 + 1e-7000", "number out of range", 1, 5),
]


@pytest.mark.parametrize(("source", "message", "line", "column"), REFUSED, ids=[repr(case[0]) for case in REFUSED])
def test_refused(source, message, line, column):
    with pytest.raises(ExpressionError) as caught:
        compile_expression(source, scope(ALL_NAMES))
    error = caught.value
    if source in ("x => x", "a = 1"):
        assert error.message.startswith("unexpected character '='")
        return
    assert (error.message[: len(message)], error.line, error.column) == (message, line, column)
    assert str(error) == f"{error.message} at line {line}, column {column}"
