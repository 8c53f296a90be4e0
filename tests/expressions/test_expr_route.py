"""`POST _admin/expressions/test`: contract §7.8."""

from __future__ import annotations

import json

import pytest

from rocket_kernel.actor import Actor
from rocket_kernel.testing import ADMIN, Actors, assert_error

PATH = "_admin/expressions/test"


@pytest.fixture
async def shop(start_kernel):
    return await (await start_kernel([Actors])).client.app("shop")


@pytest.fixture
def value(shop):
    """A function: the text of the answer's value, as it travels."""

    async def ask(expression, **more):
        answer = (await shop.post(PATH, {"expression": expression, **more})).require(200)
        return answer.body.decode().removeprefix('{"data":{"value":').removesuffix("}}")

    return ask


async def test_values_as_json(value):
    assert await value("0.1 + 0.2") == "0.3"
    assert await value("30.00") == "30"
    assert await value("1 / 3") == "0.3333333333333333333333333333333333"
    assert await value("1e40") == "1e40"
    assert await value("9007199254740993") == "9007199254740993"
    assert await value("-0.0") == "0"
    assert await value("now") == '"2026-01-02T03:04:05.678Z"'
    assert await value("date('2026-03-01')") == '"2026-03-01T00:00:00.000Z"'
    assert await value("[null, true, 'ä\"', {a: 1.50}]") == '[null,true,"ä\\"",{"a":1.5}]'


async def test_what_is_absent(value, shop):
    assert await value("[record, old, changes, action, entity, event, related, context]") == (
        '[{},null,{},"create",null,null,{},{}]'
    )
    roles = ["admin", "platform_admin"]
    assert json.loads(await value("user")) == {"id": ADMIN.id, "email": "admin@example.com", "roles": roles}
    assert await value("sum(related.lines, 'qty') + len(context.any.thing)") == "0"


async def test_what_is_given(value):
    record, old = {"price": "2.50", "same": [1.0], "new": 1}, {"price": "1.00", "same": [1], "gone": 2}
    changes = {"price": {"old": "1.00", "new": "2.50"}, "new": {"old": None, "new": 1}, "gone": {"old": 2, "new": None}}
    assert json.loads(await value("changes", record=record, old=old)) == changes
    assert await value("action", old=old) == '"update"'
    assert await value("action", old=old, action="delete") == '"delete"'
    assert await value("changes", record=record, old=old, action="delete") == "{}"
    created = {"price": {"new": "2.50"}, "same": {"new": [1]}, "new": {"new": 1}}
    assert json.loads(await value("changes", record={**record, "empty": None})) == created
    assert await value("user.name", user={"name": "Ada"}) == '"Ada"'
    assert await value("old == null and record == null", record=None, old=None) == "false"
    assert await value("record.n + 0", record={"n": 12345678901234567890.5}) == "12345678901234567000"
    assert await value("record.n", record={"n": 10**30}) == "1000000000000000000000000000000"


REFUSED = [
    ({}, "expression is required", None),
    ({"expression": None}, "expression is required", None),
    ({"expression": ""}, "expression is required", None),
    ({"expression": 5}, "expression must be a string", None),
    ({"expression": "1", "record": []}, "record must be an object", None),
    ({"expression": "1", "old": "x"}, "old must be an object", None),
    ({"expression": "1", "user": 5}, "user must be an object", None),
    ({"expression": "1", "action": "read"}, "action must be one of: create, update, delete", None),
    ({"expression": "1", "action": {}}, "action must be one of: create, update, delete", None),
    ({"expression": "1 +"}, "unexpected end at line 1, column 4", ("unexpected end", 1, 4)),
    ({"expression": "true and\n  nme"}, "unknown name: nme at line 2, column 3", ("unknown name: nme", 2, 3)),
    ({"expression": "1 + 1 / 0"}, "division by zero at line 1, column 7", ("division by zero", 1, 7)),
    (
        {"expression": "record.t + record.t", "record": {"t": "x" * 60_000}},
        "text too long (max 100000 characters) at line 1, column 10",
        ("text too long (max 100000 characters)", 1, 10),
    ),
]


async def test_refused(shop):
    for body, message, place in REFUSED:
        answer = await shop.post(PATH, body)
        assert_error(answer, 422, "VALIDATION_FAILED", message)
        if place is not None:
            reason, line, column = place
            detail = {"field": "expression", "rule": "expression", "message": reason, "line": line, "column": column}
            assert answer.error["details"] == [detail]


async def test_only_administrators(shop):
    clerk = shop.as_actor(Actor(id="7", email=None, roles=frozenset({"clerk"})))
    assert_error(await clerk.post(PATH, {"expression": "1"}), 403, "FORBIDDEN", "Admin access required")


async def test_hostile_bodies(shop):
    deep = "[" * 60 + "]" * 60
    answer = await shop.post(PATH, content=b'{"expression": "record", "record": {"a": ' + deep.encode() + b"}}",
                             headers={"Content-Type": "application/json"})  # fmt: skip
    assert answer.status == 200
    large = {"expression": "record.l", "record": {"l": list(range(200_000))}}
    assert_error(
        await shop.post(PATH, large), 422, "VALIDATION_FAILED", "too many steps (max 100000) at line 1, column 1"
    )
    numbers = b'{"expression": "record.a * 2", "record": {"a": 1e5999999}}'
    answer = await shop.post(PATH, content=numbers, headers={"Content-Type": "application/json"})
    assert_error(answer, 422, "VALIDATION_FAILED")
