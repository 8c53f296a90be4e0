"""Expressions about records outside a write, and functions that plugins bring."""

from __future__ import annotations

import pytest

from rocket_kernel import (
    SYSTEM,
    ExpressionError,
    Function,
    Plugin,
    compile_expression,
    evaluate_for_record,
    hookimpl,
    plain,
    record_values,
    write_scope,
)
from rocket_kernel.actor import Actor
from rocket_kernel.errors import PluginError
from rocket_kernel.testing import entity, many_to_many, one_to_many, one_to_one

NOW = "2026-03-04T05:06:07.089Z"
CLERK = Actor(id="7", email="c@example.com", roles=frozenset({"b", "a"}))


@pytest.fixture
async def evaluate(client):
    """A function: a source about the one sale that there is -> its value."""
    await client.define(
        entity("customer", name="string"),
        entity("sale", number="int", total="decimal:2", customer_id="uuid"),
        entity("line", sale_id="uuid", qty="int"),
        entity("seal", sale_id="uuid", code="string"),
        entity("tag", name="string"),
    )
    await client.relate(
        one_to_many("sales", "customer", "sale"),
        one_to_many("lines", "sale", "line"),
        one_to_one("seal", "sale", "seal"),
        many_to_many("tags", "sale", "tag"),
    )
    customer = await client.create("customer", {"name": "Ada"})
    body = {"number": 5, "total": "1.50", "customer_id": customer["id"], "lines": [{"qty": 1}, {"qty": 2}]}
    sale = await client.create("sale", {**body, "seal": {"code": "s"}, "tags": [{"name": "t"}]})
    app = await client.kernel.apps.app("shop")

    async def ask(source, *, old=None, actor=CLERK, action="update"):
        async with app.reading() as (session, registry):
            model = registry.model
            expression = compile_expression(source, write_scope(model.entities["sale"], model))
            found = await evaluate_for_record(
                expression, session, registry, model.entities["sale"],
                record=sale, old=old, action=action, actor=actor, now=NOW,
            )  # fmt: skip
            return plain(found)

    ask.sale = sale
    return ask


async def test_names_of_a_stored_record(evaluate):
    assert await evaluate("record.number * record.total") == 7.5
    assert await evaluate("[user.id, user.email, user.roles]") == ["7", "c@example.com", ["a", "b"]]
    assert await evaluate("[user.id, user.email, user.roles]", actor=SYSTEM) == [None, None, ["admin"]]
    assert await evaluate("now") == NOW
    assert await evaluate("[old, action, len(changes)]") == [None, "update", 4]
    old = {**evaluate.sale, "number": 4}
    assert await evaluate("changes", old=old) == {"number": {"old": 4, "new": 5}}
    assert await evaluate("old.number", old=old) == 4
    assert await evaluate("changes", old=old, action="delete") == {}


async def test_related_records(evaluate):
    assert await evaluate("sum(related.lines, 'qty')") == 3
    assert await evaluate("related.customer.name + related.seal.code + related.tags[0].name") == "Adast"
    assert await evaluate("record == related.customer.id") is False


async def test_a_record_is_a_map_of_its_fields(evaluate):
    record = await evaluate("record")
    assert list(record) == list(evaluate.sale)
    assert record["total"] == 1.5
    assert await evaluate("len(record)") == 5 - 1
    assert await evaluate("'number' in record and not ('qty' in record)") is True
    assert await evaluate("record == record and record != {number: 5}") is True
    assert (
        await evaluate("'x' + related.tags") == 'x[{"id":"' + (await evaluate("related.tags[0].id")) + '","name":"t"}]'
    )


async def test_values_of_a_record(client):
    await client.define(entity("thing", f="float", b="bigint", d="date", j="json", y="boolean"))
    app = await client.kernel.apps.app("shop")
    thing = app.registry.model.entities["thing"]
    row = {"id": "x", "f": 0.1, "b": "9007199254740993", "d": "2026-03-01", "j": {"a": [1, 2.5]}, "y": True, "other": 1}
    values = record_values(thing, row)
    assert values is not None
    assert plain({**values}) == {
        "id": "x", "f": 0.1, "b": 9007199254740993, "d": "2026-03-01T00:00:00.000Z", "j": {"a": [1, 2.5]}, "y": True,
    }  # fmt: skip
    with pytest.raises(KeyError):
        values["other"]
    assert record_values(thing, None) is None


def brings(*functions):
    class Bringing(Plugin):
        name = "bringing"

        @hookimpl
        def register_functions(self):
            return functions

    return Bringing


@pytest.mark.parametrize(
    ("name", "problem"),
    [("len", "'len' is taken"), ("now", "'now' is taken"), ("any", "'any' is taken"), ("not", "no name"), ("a b", "no name"),
     ("", "no name"), ("1a", "no name"), ("ä", "no name"), ("Math", "no name")],
)  # fmt: skip
async def test_a_name_that_cannot_be_had_stops_the_start(start_kernel, name, problem):
    with pytest.raises(PluginError, match=f"bringing.*register_functions.*{problem}"):
        await start_kernel([brings(Function(name=name, call=lambda: 1, least=0))])


async def test_two_functions_of_one_name_stop_the_start(start_kernel):
    twice = Function(name="f", call=lambda: 1, least=0)
    with pytest.raises(PluginError, match="'f' is taken"):
        await start_kernel([brings(twice, twice)])


async def test_the_model_brings_the_functions_of_plugins(start_kernel):
    double = Function(name="double", call=lambda number: number * 2, least=1, most=1)
    client = await (await start_kernel([brings(double)])).client.app("shop")
    await client.define(entity("thing", n="int"))
    model = (await client.kernel.apps.app("shop")).registry.model
    place = write_scope(model.entities["thing"], model)
    assert plain(compile_expression("double(21)", place).evaluate({})) == 42
    with pytest.raises(ExpressionError, match="wrong number of arguments for double: 1 expected, 2 given"):
        compile_expression("double(1, 2)", place)
