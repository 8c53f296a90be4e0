"""What each type accepts, refuses and answers: contract §3.3."""

import json

import pytest

from rocket_kernel.testing import assert_error, entity

JSON = {"Content-Type": "application/json"}
ID = "12345678-90ab-4cde-8f01-234567890abc"
LONG = "x" * 100_000

# What is written -> what is answered, both as JSON text.
ACCEPTED = {
    "string": [
        ('"x"', '"x"'),
        ('""', '""'),
        ('" "', '" "'),
        ("7", '"7"'),
        ("-7.10", '"-7.10"'),
        ("1E5", '"1E5"'),
        ("123456789012345678901234567890", '"123456789012345678901234567890"'),
        ("true", '"true"'),
        ("false", '"false"'),
        ('{"a": [1.5, null, "ü"], "b": {}}', r'"{\"a\":[1.5,null,\"ü\"],\"b\":{}}"'),
        ("[ ]", '"[]"'),
        (r'"\ud83e\udd8a \u00e9 \t\u0001\u007f"', '"🦊 é \\t\\u0001\x7f"'),
        (r'"\uffff\ufeff"', '"\uffff\ufeff"'),
        (f'"{LONG}"', f'"{LONG}"'),
    ],
    "text": [('"a\\nb"', '"a\\nb"'), ("0", '"0"')],
    "int": [
        ("7", "7"),
        ("7.0", "7"),
        ("7e0", "7"),
        ("70e-1", "7"),
        ('"7"', "7"),
        ('"-007"', "-7"),
        ('"-0"', "0"),
        ("-0.0", "0"),
        ("2147483647", "2147483647"),
        ("-2147483648", "-2147483648"),
        ('"2147483647"', "2147483647"),
        ("2.147483647e9", "2147483647"),
    ],
    "integer": [("1", "1")],
    "bigint": [
        ("7", '"7"'),
        ("7.0", '"7"'),
        ("9007199254740993", '"9007199254740993"'),
        ("9.007199254740993e15", '"9007199254740993"'),
        ("9223372036854775807", '"9223372036854775807"'),
        ('"-9223372036854775808"', '"-9223372036854775808"'),
        ('"000000000000000000000000000001"', '"1"'),
    ],
    "float": [
        ("0.1", "0.1"),
        ("1.10", "1.1"),
        ('"1.5"', "1.5"),
        ('"-2e-3"', "-0.002"),
        ("0.30000000000000004", "0.30000000000000004"),
        ("1.7976931348623157e308", "1.7976931348623157e308"),
        ("5e-324", "5e-324"),
        ("123456789012345678901234567890", "1.2345678901234568e29"),
    ],
    "decimal": [
        ("12.5", '"12.5"'),
        ("12.50", '"12.50"'),
        ('"12.50"', '"12.50"'),
        ("12", '"12"'),
        ("0.1", '"0.1"'),
        ("0.10000000000000000000000000000000000001", '"0.10000000000000000000000000000000000001"'),
        ("1e3", '"1000"'),
        ("1.50e1", '"15.0"'),
        ('"1e-3"', '"0.001"'),
        ('"+.5"', '"0.5"'),
        ('"007.0"', '"7.0"'),
        ("-0", '"0"'),
        ("-0.00", '"0.00"'),
        ("9" * 38, f'"{"9" * 38}"'),
        (f"-0.{'9' * 38}", f'"-0.{"9" * 38}"'),
    ],
    "decimal:2": [
        ("12.3", '"12.30"'),
        ("12", '"12.00"'),
        ("2.345", '"2.35"'),
        ('"-2.345"', '"-2.35"'),
        ("2.3449999999999999999999999999999999999", '"2.34"'),
        ("1.005", '"1.01"'),
        ("-0.005", '"-0.01"'),
        ("-0.004", '"0.00"'),
        ("9999999999999999.99", '"9999999999999999.99"'),
        ("9999999999999999.994", '"9999999999999999.99"'),
    ],
    "decimal:0": [("0.5", '"1"'), ("1.5", '"2"'), ("2.5", '"3"'), ("-0.5", '"-1"'), ("0.4", '"0"'), ("9" * 18, f'"{"9" * 18}"')],
    "decimal:18": [("0.5", f'"0.5{"0" * 17}"'), (f"-0.{'9' * 18}", f'"-0.{"9" * 18}"')],
    "boolean": [
        *[(text, "true") for text in ("true", "1", '"true"', '"TRUE"', '"1"', '"T"', '"y"', '"Yes"', '"ON"')],
        *[(text, "false") for text in ("false", "0", '"false"', '"False"', '"0"', '"f"', '"N"', '"no"', '"oFF"')],
    ],
    "uuid": [(f'"{ID}"', f'"{ID}"'), (f'"{ID.upper()}"', f'"{ID}"'), (f'"{"0" * 8}{ID[8:]}"', f'"{"0" * 8}{ID[8:]}"')],
    "timestamp": [
        ('"2024-02-29"', '"2024-02-29T00:00:00.000Z"'),
        ('"2024-01-01T10:20"', '"2024-01-01T10:20:00.000Z"'),
        ('"2024-01-01 10:20:30"', '"2024-01-01T10:20:30.000Z"'),
        ('"2024-01-01T10:20:30Z"', '"2024-01-01T10:20:30.000Z"'),
        ('"2024-01-01T10:20:30.1"', '"2024-01-01T10:20:30.100Z"'),
        ('"2024-01-01T10:20:30.1239999999"', '"2024-01-01T10:20:30.123Z"'),
        ('"2024-01-01T10:20:30+02:00"', '"2024-01-01T08:20:30.000Z"'),
        ('"2024-01-01T10:20-0530"', '"2024-01-01T15:50:00.000Z"'),
        ('"2024-01-01 00:00:00.999+14"', '"2023-12-31T10:00:00.999Z"'),
        ('"0001-01-01T00:00:00Z"', '"0001-01-01T00:00:00.000Z"'),
        ('"9999-12-31T23:59:59.999999Z"', '"9999-12-31T23:59:59.999Z"'),
        ('"1969-12-31T23:59:59.999Z"', '"1969-12-31T23:59:59.999Z"'),
    ],
    "date": [
        ('"2024-02-29"', '"2024-02-29"'),
        ('"2024-01-01T23:59:59-12:00"', '"2024-01-01"'),
        ('"2024-01-01 00:00+14:00"', '"2024-01-01"'),
        ('"0001-01-01"', '"0001-01-01"'),
        ('"9999-12-31"', '"9999-12-31"'),
    ],
    "json": [
        ('{"b":1,"a":{"d":[],"c":{}},"B":2,"ä":3,"\\ud83e\\udd8a":4,"ﬀ":5}', '{"B":2,"a":{"c":{},"d":[]},"b":1,"ä":3,"ﬀ":5,"🦊":4}'),
        ('[3,"x",null,true,[{}]]', '[3,"x",null,true,[{}]]'),
        ('"text"', '"text"'),
        ("0", "0"),
        ("false", "false"),
        ("[]", "[]"),
        ("{}", "{}"),
        ("1.50", "1.5"),
        ("1e2", "100.0"),
        ("1e22", "10000000000000000000000"),
        ("-0.0", "0.0"),
        ("0.1", "0.1"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        (r'"{\"b\": 1, \"a\": [1.0]}"', '{"a":[1.0],"b":1}'),
        (r'" [1, 2] "', "[1,2]"),
        ('"[1"', '"[1"'),
        ('"{oops}"', '"{oops}"'),
        ('"7"', '"7"'),
        ('"null"', '"null"'),
        ('{"a":"{\\"b\\":1}"}', '{"a":"{\\"b\\":1}"}'),
        ('{"a":1,"a":2}', '{"a":2}'),
        ('{"":{"_delete":true}}', '{"":{"_delete":true}}'),
    ],
}  # fmt: skip

REFUSED = {
    "string": [r'"a\u0000b"', r'{"a":"\u0000"}', r'["\u0000"]'],
    "int": ["7.5", '"7.0"', '"+7"', '" 7"', '"7 "', '"0x7"', '"7e0"', "true", "false", "[]", "{}", "[7]", "2147483648",
            "-2147483649", '"2147483648"', "1e10", "1e400", "9" * 4000, '"seven"', '"٧"', '" "', '"1_0"', '"NaN"'],
    "bigint": ["9223372036854775808", "-9223372036854775809", "1e19", "1e400", "0.5", '"1e3"', '"1.0"', "true", "[]", '"x"'],
    "float": ["1e400", "-1e400", '"1e400"', '"nan"', '"inf"', '"-Infinity"', "true", "[]", "{}", '"1_0"', '"0x1"', '" 1"', '"١"'],
    "decimal": ["9" * 39, f"0.{'1' * 39}", "1e38", "1e400", '"1,5"', '"1.5.5"', '"NaN"', '"-inf"', "true", "[]", "{}", '"1_0"', '" 1"'],
    "decimal:2": ["10000000000000000", "9999999999999999.995", "-1e16", "1e400", '"x"', "false"],
    "decimal:0": ["1" * 19, "999999999999999999.5"],
    "decimal:18": ["1", "-1", f"0.{'9' * 19}"],
    "boolean": ["2", "-1", "1.0", '"2"', '"ja"', '" true"', "[]", "{}", '"tru"', '"null"'],
    "uuid": ["1", f'"{ID[:-1]}"', f'"{ID}0"', f'"{ID.replace("-", "")}"', f'"{{{ID}}}"', f'"urn:uuid:{ID}"', f'" {ID}"',
             f'"{ID[:-1]}g"', '"１2345678-90ab-4cde-8f01-234567890abc"', "true", "[]"],
    "timestamp": ["0", "1704067200", "true", "[]", "{}", '"now"', '"2024"', '"2024-01"', '"2024-1-1"', '"20240101"', '"01.02.2024"',
                  '"2024-13-01"', '"2023-02-29"', '"2024-01-01T"', '"2024-01-01T10"', '"2024-01-01T24:00"', '"2024-01-01T10:60"',
                  '"2024-01-01T10:00:60"', '"2024-01-01T10:00:00."', '"2024-01-01T10:00+24:00"', '"2024-01-01T10:00+01:60"',
                  '"2024-01-01T10:00 +01:00"', '"2024-01-01T10:00CET"', '" 2024-01-01"', '"2024-01-01 "', '"0000-12-31"',
                  '"10000-01-01"', '"0001-01-01T00:00+00:01"', '"9999-12-31T23:59-00:01"', '"-2024-01-01"', '"２024-01-01"',
                  '"2024-W01-1"', '"2024-001"'],
    "date": ["0", "20240101", "true", '"2024-1-1"', '"20240101"', '"2023-02-29"', '"2024-01-01T99:00"', '"2024-01-01x"', '"today"', "[]"],
    "json": [r'"\u0000"', r'{"a":["\u0000"]}', r'{"\u0000":1}', "1e400", '{"a":1e400}', r'"{\"a\":\"\\u0000\"}"', "9" * 4200],
}  # fmt: skip


async def post(client, text):
    return await client.post("thing", content=f'{{"v":{text}}}'.encode(), headers=JSON)


@pytest.mark.parametrize("type", ACCEPTED)
async def test_values_that_are_accepted(client, type):
    await client.define(entity("thing", id="int", v=type))
    for at, (given, answered) in enumerate(ACCEPTED[type], 1):
        expected = f'{{"data":{{"id":{at},"v":{answered}}}}}'
        made = (await post(client, given)).require(201)
        assert made.text == expected, given
        assert (await client.get(f"thing/{at}")).text == expected, given
        # Written back as it was answered, a value stays as it is.
        again = await client.put(f"thing/{at}", content=f'{{"v":{answered}}}'.encode(), headers=JSON)
        assert again.require(200).text == expected, given
        other = await client.put(f"thing/{at}", content=b'{"v":null}', headers=JSON)
        assert other.require(200).data == {"id": at, "v": None}
        again = await client.put(f"thing/{at}", content=f'{{"v":{given}}}'.encode(), headers=JSON)
        assert again.require(200).text == expected, given
    rows = ",".join(f'{{"id":{at},"v":{answered}}}' for at, (_, answered) in enumerate(ACCEPTED[type], 1))
    assert (await client.get("thing")).text.startswith(f'{{"data":[{rows}],')


async def test_integral_floats(client):
    await client.define(entity("thing", id="int", v="float"))
    integral = {"1": "1.0", "1e-400": "0.0", "-0.0": "0.0", '"7"': "7.0", "9007199254740993": "9007199254740992.0"}
    for at, (given, answered) in enumerate(integral.items(), 1):
        made = (await post(client, given)).require(201)
        got = await client.get(f"thing/{at}")
        assert got.text == f'{{"data":{{"id":{at},"v":{answered}}}}}'
        assert made.text == got.text
        assert made.headers["ETag"] == got.headers["ETag"]


@pytest.mark.parametrize("type", REFUSED)
async def test_values_that_are_refused(client, type):
    await client.define(entity("thing", id="int", v=type))
    kept = await client.create("thing", {"v": None})
    detail = {"field": "v", "rule": "type", "message": f"v must be a valid {type.partition(':')[0]}"}
    for given in REFUSED[type]:
        answers = [await post(client, given)]
        answers.append(await client.put("thing/1", content=f'{{"v":{given}}}'.encode(), headers=JSON))
        for answer in answers:
            assert (answer.status, given) == (422, given), str(answer)
            assert_error(answer, 422, "VALIDATION_FAILED", "Validation failed", [detail])
    assert (await client.get("thing")).data == [kept]


@pytest.mark.parametrize("type", ACCEPTED)
async def test_an_empty_text_is_null_for_all_but_texts(client, type):
    await client.define(entity("thing", id="int", v=type), entity("must", id="int", v=f"{type} required"))
    (made,) = (await post(client, '""')).require(201).json.values()
    assert made["v"] == ("" if type in ("string", "text") else None)
    detail = {"field": "v", "rule": "required", "message": "v is required"}
    for value in ("", None):
        refused = await client.post("must", {"v": value})
        assert_error(refused, 422, "VALIDATION_FAILED", "Validation failed", [detail])


@pytest.mark.parametrize("type", [type for type in ACCEPTED if type != "json"])
async def test_an_answer_is_a_filter_that_finds_its_row(client, type):
    await client.define(entity("thing", id="int", v=type))
    for given, _ in ACCEPTED[type]:
        (await post(client, given)).require(201)
    for row in (await client.get("thing")).data:
        value = row["v"] if isinstance(row["v"], str) else json.dumps(row["v"])
        if len(value) > 8192:
            continue
        found = (await client.get("thing", params={"filter[v]": value})).require(200).data
        assert row in found, value


async def test_all_faults_of_a_record_are_told_together(client):
    fields = {f"f{at}": type for at, type in enumerate(REFUSED)}
    await client.define(entity("thing", **fields))
    body = ",".join(f'"f{at}":{values[0]}' for at, values in enumerate(REFUSED.values()))
    answer = await client.post("thing", content=f"{{{body}}}".encode(), headers=JSON)
    details = [
        {"field": f"f{at}", "rule": "type", "message": f"f{at} must be a valid {type.partition(':')[0]}"}
        for at, type in enumerate(REFUSED)
    ]
    assert_error(answer, 422, "VALIDATION_FAILED", "Validation failed", details)
    assert (await client.get("thing")).meta["total"] == 0


async def test_texts_of_an_index_have_a_length(client):
    """One database refuses index entries beyond 2704 bytes; both then refuse the value."""
    await client.define(entity("thing", id="int", v="string unique"))
    await client.create("thing", {"v": "ü" * 1300})
    detail = {"field": "v", "rule": "type", "message": "v must be a valid string"}
    assert_error(await client.post("thing", {"v": "ü" * 1301}), 422, "VALIDATION_FAILED", details=[detail])
    assert (await client.get("thing", params={"filter[v]": "ü" * 1300})).meta["total"] == 1
