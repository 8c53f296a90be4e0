"""Filters on an entity's own fields: every operator on every type, contract §3.2 and §3.3."""

import math
import random
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import pairwise

import pytest

from rocket_kernel.testing import assert_error, entity

COMPARE = {
    "eq": lambda own, other: own == other,
    "neq": lambda own, other: own != other,
    "gt": lambda own, other: own > other,
    "gte": lambda own, other: own >= other,
    "lt": lambda own, other: own < other,
    "lte": lambda own, other: own <= other,
}
U1 = "00000000-0000-4000-8000-00000000000a"
U2 = "00000000-0000-4000-8000-00000000000b"
U3 = "f0000000-0000-4000-8000-000000000000"


def moment(text):
    text = text.replace(" ", "T").replace("Z", "+00:00")
    instant = datetime.fromisoformat(text if len(text) > 10 else f"{text}T00:00:00")
    return (
        instant if instant.tzinfo else instant.replace(tzinfo=datetime.fromisoformat("2000-01-01T00:00+00:00").tzinfo)
    )


@dataclass
class Kind:
    """`key` turns a value, and the text of a filter, into what Python compares as the type should."""

    type: str
    values: list
    texts: list
    key: object
    refused: list


KINDS = [
    Kind(
        "string",
        ["", " ", "10", "9", "A", "Z", "a", "ab", "b", "ä", "a\u0308", "ﬀ", "😀", "a'b", 'a"b', "null"],
        ["", "10", "9", "A", "a", "ab", "ä", "ﬀ", "😀", "a'b", "null", "zz", "NULL", "\ud7ff"],
        str,
        [],
    ),
    Kind("text", ["b", "B", "ß", "ss"], ["B", "ß"], str, []),
    Kind(
        "int",
        [-(2**31), -10, -9, 0, 9, 10, 2**31 - 1],
        ["-2147483648", "-9", "0", "10", "007", "-0", "2147483647"],
        int,
        ["2147483648", "-2147483649", "1.0", "1e2", "", " ", "+1", "1 ", "0x1", "true", "null", "１", "9" * 400, "1,2", "a"],
    ),
    Kind("integer", [3, 20], ["3", "20"], int, ["three"]),
    Kind(
        "bigint",
        [-(2**63), 0, 9, 10, 2**53, 2**53 + 1, 2**63 - 1],
        ["-9223372036854775808", "9", "10", "9007199254740992", "9007199254740993", "9223372036854775807"],
        int,
        ["9223372036854775808", "-9223372036854775809", "1.5", "9e3", "", "a"],
    ),
    Kind(
        "float",
        [-1.5, 0, 5e-324, 0.1, 0.3, 0.1 + 0.2, 1e300, 2.0**53, 2.0**53 + 2, 1.7976931348623157e308],
        ["-1.5", "0", "-0.0", "0.1", "0.3", "0.30000000000000004", "1e300", "5e-324", "9007199254740992", "+.5", "2."],
        float,
        ["1e999", "nan", "inf", "Infinity", "", "1_0", " 1", "0x1p3", "one", "١"],
    ),
    Kind(
        "decimal",
        [
            "-10", "-9.99", "-9.9", "0", "0.1", "0.10", "0.1000000000000000000000000000000000001", "9", "10",
            "12345678901234567890123456789012345677", "12345678901234567890123456789012345678", "1e-30", "1e30",
        ],
        ["-10.0", "-9.99", "-0", "0.1", ".1", "1e-1", "0.1000000000000000000000000000000000001", "9", "10.", "1e30",
         "12345678901234567890123456789012345678", "0.3000000000000000000000000000000000000"],
        Decimal,
        ["", "1,5", "nan", "-inf", "1_0", "1e99", "abc", "٣", "0." + "1" * 39, " 1"],
    ),
    Kind(
        "decimal:2",
        ["-0.01", "0", "1.1", "1.10", "1.11", "9.99", "10", "9999999999999999.99", "-9999999999999999.99"],
        # A filter is not rounded: 1.105 lies between two values.
        ["-0.01", "1.1", "1.105", "9.99", "10", "9999999999999999.99", "9999999999999999.990", "0.001"],
        Decimal,
        ["", "x", "1e40"],
    ),
    Kind("uuid", [U1, U2.upper(), U3], [U1, U1.upper(), U2, U3], str.lower, ["", "1", U1[:-1], U1.replace("-", ""), f"{{{U1}}}"]),
    Kind(
        "timestamp",
        ["2024-01-01T00:00:00Z", "2024-01-01T00:00:00.001Z", "2023-12-31T23:00:00-01:00", "2024-01-01T12:00:00+12:00",
         "0001-01-01", "9999-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z", "2024-02-29"],
        ["2024-01-01", "2024-01-01T00:00", "2024-01-01 01:00+01", "2024-01-01T00:00:00.001Z", "0001-01-01T00:00:00Z",
         "9999-12-31T23:59:59.999Z", "1970-01-01"],
        moment,
        ["", "now", "2024", "2024-13-01", "2023-02-29", "2024-01-01T25:00", "0000-01-01", "0001-01-01T00:00+01:00", "1704067200"],
    ),
    Kind(
        "date",
        ["2024-01-01", "2024-02-29", "0001-01-01", "9999-12-31", "2024-01-01T23:30:00-05:00"],
        ["2024-01-01", "2024-02-29", "0001-01-01", "2024-01-01T23:59+12:00"],
        lambda text: date.fromisoformat(text[:10]),
        ["", "today", "2024-1-1", "20240101", "2023-02-29", "01.02.2024", "2024-01-01T99:00"],
    ),
]  # fmt: skip


async def fill(client, type, values):
    """One row a value, numbered from 1, and one row without."""
    await client.define(entity("row", id="int", v=type))
    for value in [*values, None]:
        await client.create("row", {"v": value})


async def found(client, key, text):
    answer = await client.get("row", params={f"filter[{key}]": text, "per_page": 200, "fields": "id"})
    data = answer.require(200).data
    assert answer.meta["total"] == len(data)
    return [row["id"] for row in data]


def numbers(kind, holds):
    return [at for at, value in enumerate(kind.values, 1) if holds(kind.key(value))]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.type)
async def test_comparisons(client, kind):
    await fill(client, kind.type, kind.values)
    for text in kind.texts:
        other = kind.key(text)
        for operator, holds in COMPARE.items():
            expected = numbers(kind, lambda own, holds=holds, other=other: holds(own, other))
            assert await found(client, f"v.{operator}", text) == expected, (operator, text)
        assert await found(client, "v", text) == numbers(kind, lambda own, other=other: own == other), text


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.type)
async def test_lists_and_ranges(client, kind):
    await fill(client, kind.type, kind.values)
    everything = list(range(1, len(kind.values) + 1))
    for low, high in pairwise(kind.texts):
        keys = {kind.key(low), kind.key(high)}
        inside = numbers(kind, lambda own, keys=keys: own in keys)
        for text in (f"{low},{high}", f" {high} , {low} ", f"{low},{high},{low}"):
            assert await found(client, "v.in", text) == inside, text
            assert await found(client, "v.not_in", text) == [at for at in everything if at not in inside], text
        between = numbers(kind, lambda own, low=low, high=high: kind.key(low) <= own <= kind.key(high))
        assert await found(client, "v.between", f"{low}, {high}") == between, (low, high)
    assert await found(client, "v.in", "") == await found(client, "v.in", " ") == []
    assert await found(client, "v.not_in", "") == everything


@pytest.mark.parametrize("kind", [*KINDS, Kind("boolean", [True, False], [], bool, []), Kind("json", [[], 0], [], id, [])],
                         ids=lambda kind: kind.type)  # fmt: skip
async def test_null_is_nothing_but_null(client, kind):
    await fill(client, kind.type, kind.values)
    everything = list(range(1, len(kind.values) + 1))
    for text in ("true", "1"):
        assert await found(client, "v.is_null", text) == [len(everything) + 1]
    for text in ("false", "0"):
        assert await found(client, "v.is_null", text) == everything
    for text in ("", "TRUE", "yes", "null", "2", " 1", "1 "):
        answer = await client.get("row", params={"filter[v.is_null]": text})
        assert_error(answer, 400, "INVALID_PAYLOAD", f"Invalid filter value for v: {text}", [])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.type)
async def test_values_that_are_refused(client, kind):
    await fill(client, kind.type, [])
    good = kind.texts[0]
    cases = [(operator, text) for text in kind.refused for operator in (*COMPARE, "in", "not_in") if "," not in text]
    cases = [case for case in cases if not (case[0] in ("in", "not_in") and case[1].strip() in ("", "1"))]
    cases += [("between", f"{good},{text}") for text in kind.refused if "," not in text and text.strip() != "1"]
    cases += [("between", text) for text in ("", good.replace(",", ""), f"{good},{good},{good}")]
    for operator, text in cases:
        answer = await client.get("row", params={f"filter[v.{operator}]": text})
        assert_error(answer, 400, "INVALID_PAYLOAD", f"Invalid filter value for v: {text}", [])


async def test_booleans(client):
    await fill(client, "boolean", [True, False])
    for text, own, other in (("true", [1], [2]), ("1", [1], [2]), ("false", [2], [1]), ("0", [2], [1])):
        assert await found(client, "v", text) == await found(client, "v.eq", text) == own
        assert await found(client, "v.neq", text) == await found(client, "v.not_in", text) == other
        assert await found(client, "v.in", text) == own
    assert await found(client, "v.in", "true,0") == [1, 2]
    for text in ("", "TRUE", "yes", "t", "on", "2", "null", "True"):
        answer = await client.get("row", params={"filter[v]": text})
        assert_error(answer, 400, "INVALID_PAYLOAD", f"Invalid filter value for v: {text}", [])


async def test_operators_know_their_types(client):
    texts = ["string", "text"]
    ordered = ["int", "integer", "bigint", "float", "decimal", "uuid", "timestamp", "date"]
    equal, order = ["eq", "neq", "in", "not_in"], ["gt", "gte", "lt", "lte", "between"]
    match = ["like", "ilike", "contains", "starts_with", "ends_with"]
    await client.define(entity("row", **{f"x_{type}": type for type in [*texts, *ordered, "boolean", "json"]}))
    refused = [(type, operator) for type in ordered for operator in match]
    refused += [("boolean", operator) for operator in [*order, *match]]
    refused += [("json", operator) for operator in [*equal, *order, *match]]
    refused += [(type, operator) for type in texts for operator in ("EQ", "regex", "ne", "", "not", "exists", "isnull")]
    for type, operator in refused:
        for value in ("", "1", "true"):
            answer = await client.get("row", params={f"filter[x_{type}.{operator}]": value})
            assert_error(answer, 400, "INVALID_PAYLOAD", f"Unknown filter operator: {operator}", [])
    # json has no equality, written or not.
    assert_error(await client.get("row?filter[x_json]=1"), 400, "INVALID_PAYLOAD", "Unknown filter operator: eq")


PATTERN_ROWS = ["apple", "Apple pie", "50%", "50 percent", "a_b", "axb", "a\\b", "x\ny", "*?[a]", "[a-z]", "^", "", "aaa", "ÄPFEL",
                "straße", "ΣΑΣ", "İx", "\u212a", "😀b", "e\u0301"]  # fmt: skip


async def test_patterns(client):
    await fill(client, "text", PATTERN_ROWS)
    cases = [
        # Without a wildcard: contains.
        ("like", "pple", ["apple", "Apple pie"]),
        ("like", "APPLE", []),
        ("like", "", PATTERN_ROWS),
        ("like", "\n", ["x\ny"]),
        ("like", "*", ["*?[a]"]),
        ("like", "[a", ["*?[a]", "[a-z]"]),
        ("like", "^", ["^"]),
        ("like", "\\\\", ["a\\b"]),
        ("like", "\\a\\p", ["apple"]),
        # With one: the whole text.
        ("like", "apple%", ["apple"]),
        ("like", "%pple", ["apple"]),
        ("like", "%pple%", ["apple", "Apple pie"]),
        ("like", "a_b", ["a_b", "axb", "a\\b"]),
        ("like", "a\\_b", ["a_b"]),
        ("like", "50\\%", ["50%"]),
        ("like", "%\\%%", ["50%"]),
        ("like", "a\\\\_", ["a\\b"]),
        ("like", "_", ["^", "\u212a"]),
        ("like", "_b", ["😀b"]),
        ("like", "__", ["😀b", "İx", "e\u0301"]),
        ("like", "x_y", ["x\ny"]),
        ("like", "x%", ["x\ny"]),
        ("like", "%", PATTERN_ROWS),
        ("like", "%%", PATTERN_ROWS),
        ("like", "a%a%a", ["aaa"]),
        ("like", "*%", ["*?[a]"]),
        ("like", "[a-z]%", ["[a-z]"]),
        ("like", "a%\\", []),
        ("like", "a_b\\", []),
        ("like", "%b\\", []),
        ("ilike", "APPLE", ["apple", "Apple pie"]),
        ("ilike", "aPPLE", ["apple", "Apple pie"]),
        ("ilike", "apple_PIE", ["Apple pie"]),
        ("ilike", "äpfel", ["ÄPFEL"]),
        ("ilike", "%PF%", ["ÄPFEL"]),
        ("ilike", "STRASSE", []),
        ("ilike", "STRAßE", ["straße"]),
        ("ilike", "σασ", ["ΣΑΣ"]),
        ("ilike", "i_", ["İx"]),
        ("ilike", "k", ["\u212a"]),
        ("ilike", "É", []),
        ("contains", "%", ["50%"]),
        ("contains", "_", ["a_b"]),
        ("contains", "\\", ["a\\b"]),
        ("contains", "?[", ["*?[a]"]),
        ("contains", "P", ["ÄPFEL"]),
        ("contains", "", PATTERN_ROWS),
        ("starts_with", "a", ["apple", "a_b", "axb", "a\\b", "aaa"]),
        ("starts_with", "A", ["Apple pie"]),
        ("starts_with", "a_", ["a_b"]),
        ("starts_with", "[", ["[a-z]"]),
        ("starts_with", "", PATTERN_ROWS),
        ("ends_with", "]", ["*?[a]", "[a-z]"]),
        ("ends_with", "%", ["50%"]),
        ("ends_with", "ß", []),
        ("ends_with", "\u0301", ["e\u0301"]),
        ("eq", "50%", ["50%"]),
        ("in", "50%,a_b", ["50%", "a_b"]),
    ]
    for operator, text, expected in cases:
        shown = [PATTERN_ROWS[at - 1] for at in await found(client, f"v.{operator}", text)]
        assert sorted(shown) == sorted(expected), (operator, text)


async def test_a_pattern_of_many_wildcards_costs_little(client):
    await fill(client, "text", ["a" * 2000 + "b"])
    assert await found(client, "v.like", "%a" * 60 + "c") == []
    assert await found(client, "v.ilike", "%_" * 60 + "c") == []


async def test_floats_are_found_to_the_last_bit(client):
    choose = random.Random(7)
    values = [choose.random() * 10.0 ** choose.randint(-300, 300) for _ in range(200)]
    await fill(client, "float", values)
    assert await found(client, "v.in", ",".join(map(repr, values))) == list(range(1, 201))
    for at in (0, 50, 100, 199):
        assert await found(client, "v.eq", repr(values[at])) == [at + 1]
        assert await found(client, "v.in", repr(math.nextafter(values[at], math.inf))) == []


async def test_filters_are_all_to_hold(client):
    await client.define(entity("row", id="int", a="int", b="string"))
    for a, b in ((1, "x"), (1, "y"), (2, "x"), (None, "x")):
        await client.create("row", {"a": a, "b": b})
    cases = {
        "filter[a]=1&filter[b]=x": [1],
        "filter[a.gte]=1&filter[a.lt]=2": [1, 2],
        "filter[a]=1&filter[a.neq]=1": [],
        "filter[a][gt]=0&filter[a][lt]=3&filter[b][neq]=y": [1, 3],
        "filter[a.is_null]=1&filter[b]=x": [4],
        "filter[id.in]=1,4&filter[b]=x": [1, 4],
        "filter[ a ]=1&filter[ b . eq ]=y": [2],
    }
    for query, expected in cases.items():
        assert [row["id"] for row in (await client.get(f"row?{query}")).require(200).data] == expected, query


async def test_keys_that_name_nothing(client):
    await client.define(entity("row", a="int"))
    cases = {
        "b": "Unknown filter field: b",
        "A": "Unknown filter field: A",
        "": "Unknown filter field: ",
        ".": "Unknown filter field: .",
        "a.b.c": "Unknown filter field: a.b.c",
        "a.eq.eq": "Unknown filter field: a.eq.eq",
        "b.eq": "Unknown filter field: b.eq",
        "row.a": "Unknown filter field: row.a",
        "a'; drop table row; --": "Unknown filter field: a'; drop table row; --",
        '"a"': 'Unknown filter field: "a"',
    }
    for key, message in cases.items():
        answer = await client.get("row", params={f"filter[{key}]": "1"})
        assert_error(answer, 400, "UNKNOWN_FIELD", message, [])
    for operator in ("b", "", "a", "EQ", "eq'"):
        answer = await client.get("row", params={f"filter[a.{operator}]": "1"})
        assert_error(answer, 400, "INVALID_PAYLOAD", f"Unknown filter operator: {operator}", [])
    await client.create("row", {})
