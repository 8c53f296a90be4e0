"""What is refused when an expression is defined: contract §7.5 and §7.6."""

from __future__ import annotations

import pytest

from rocket_kernel import ExpressionError, Model, compile_expression, scope, write_scope
from rocket_kernel.expressions.scope import ALL_NAMES
from rocket_kernel.metadata.entity import parse_entity
from rocket_kernel.metadata.field_types import BUILT_IN
from rocket_kernel.metadata.kinds import Stored
from rocket_kernel.metadata.model import ENTITIES, RELATIONS
from rocket_kernel.metadata.relation import parse_relation
from rocket_kernel.testing import entity, one_to_many


@pytest.fixture(scope="session")
def model() -> Model:
    built = Model()
    for body in (
        entity("customer", name="string"),
        entity("sale", customer_id="uuid", total="decimal:2", meta="json", note="text"),
        entity("line", sale_id="uuid", qty="int", price="decimal:2"),
    ):
        built = built.including(ENTITIES, Stored(body["name"], parse_entity(body, BUILT_IN), {}))
    for body in (one_to_many("lines", "sale", "line"), one_to_many("sales", "customer", "sale")):
        built = built.including(RELATIONS, Stored(body["name"], parse_relation(body, built.entities), {}))
    return built


@pytest.fixture(scope="session")
def sale(model):
    return write_scope(model.entities["sale"], model)


ACCEPTED = [
    "record.total > 1 and old.total < 1 and changes.total != null",
    "record['total'] + changes.total.new + changes.total.whatever",
    "record.meta.anything.at.all[0]",
    "user.anything ?? action",
    "now() > today()",
    "related.lines[0].qty",
    "related['lines']",
    "related.customer.name",
    "any(related.lines, 'qty * price > record.total and item.qty > 0')",
    "sum(filter(related.lines, 'qty > 1'), 'price')",
    "map(related.lines, 'map([1], \"qty + item\")')",
    "any(record.meta, 'whatever and its.members')",
    "any([1], 'record.total > item')",
    "min(record.note, 'no expression !')",
    "max(record.total, record.meta, 'no expression !')",
    "max(record.meta, 'qty')",
]


@pytest.mark.parametrize("source", ACCEPTED)
def test_accepted(source, sale):
    assert compile_expression(source, sale).source == source


REFUSED = [
    ("reocrd.total", "unknown name: reocrd", 1),
    ("context.a", "unknown name: context", 1),
    ("entity == 'sale'", "unknown name: entity", 1),
    ("item", "unknown name: item", 1),
    ("True", "unknown name: True", 1),
    ("Math.PI", "unknown name: Math", 1),
    ("contains", "unknown name: contains", 1),
    ("__builtins__", "unknown name: __builtins__", 1),
    ("record.totl", "unknown field: totl", 8),
    ("1 + old.deleted_at", "unknown field: deleted_at", 9),
    ("changes.nothing.old", "unknown field: nothing", 9),
    ("record['totl']", "unknown field: totl", 7),
    ("record.length", "unknown field: length", 8),
    ("related.line_items", "unknown relation: line_items", 9),
    ("related['line_items']", "unknown relation: line_items", 8),
    ("related[record.note]", "related needs a relation key behind it", 8),
    ("len(related)", "related needs a relation key behind it", 5),
    ("related.lines()", "related needs a relation key behind it", 9),
    ("any([1], 'related')", "related needs a relation key behind it", 11),
    ("open('x')", "unknown function: open", 1),
    ("record.note.replace('a', 'b')", "unknown method: replace", 13),
    ("record.note.__class__()", "unknown method: __class__", 13),
    ("record.note.length()", "unknown method: length", 13),
    ("Math.sqrt(4)", "unknown function: Math.sqrt", 1),
    ("Math.len('')", "unknown function: Math.len", 1),
    ("len()", "wrong number of arguments for len: 1 expected, 0 given", 1),
    ("len(1, 2)", "wrong number of arguments for len: 1 expected, 2 given", 1),
    ("round()", "wrong number of arguments for round: 1 to 2 expected, 0 given", 1),
    ("min()", "wrong number of arguments for min: at least 1 expected, 0 given", 1),
    ("now(1)", "wrong number of arguments for now: 0 expected, 1 given", 1),
    ("new Date(1, 2)", "wrong number of arguments for new Date: at most 1 expected", 1),
    ("any([1])", "wrong number of arguments for any: 2 expected, 1 given", 1),
    ("sum([1], 'item', 2)", "wrong number of arguments for sum: 1 to 2 expected, 3 given", 1),
    ("record.note.trim(1)", "wrong number of arguments for trim: 0 expected, 1 given", 13),
    ("record.note.includes()", "wrong number of arguments for includes: 1 expected, 0 given", 13),
    ("any([1], record.note)", "the second argument of any must be an expression in a string", 10),
    ("sum([1], 5)", "the second argument of sum must be an expression in a string", 10),
    ("any(related.lines, 'quantity > 1')", "unknown name: quantity", 21),
    ("any(filter(related.lines, 'qty'), 'quantity > 1')", "unknown name: quantity", 36),
    ("any([1], 'record.totl')", "unknown field: totl", 18),
    ("any([1], 'item >')", "unexpected end", 17),
    ("any([1], '')", "expression is empty", 11),
    ("any([1], 'f(1)')", "unknown function: f", 11),
    ("max(record.meta, 'no expression !')", "unexpected 'expression'", 22),
    ("record.note matches '('", "invalid pattern: missing ): (", 21),
    ("matches(record.note, 'a(?=b)')", "invalid pattern: invalid perl operator: (?=", 22),
    ("record.note matches '(a)\\1'", "invalid pattern: invalid escape sequence: \\1", 21),
]


@pytest.mark.parametrize(("source", "message", "column"), REFUSED, ids=[case[0] for case in REFUSED])
def test_refused(source, message, column, sale):
    with pytest.raises(ExpressionError) as caught:
        compile_expression(source, sale)
    assert (caught.value.message, caught.value.column) == (message, column)


def test_an_expression_tells_what_it_uses(sale):
    expression = compile_expression("record.total + sum(related.lines, 'price * record.note') > changes.meta.new", sale)
    assert expression.names == {"record", "related", "changes"}
    assert expression.related == {"lines"}
    assert (expression.reads, expression.reads_all) == ({"total", "note", "meta"}, False)
    assert compile_expression("record[user.id]", sale).reads_all is True
    assert compile_expression("len(old)", sale).reads_all is False
    assert compile_expression("today()", sale).names == {"now"}


def test_places_without_an_entity_leave_members_free():
    place = scope({"record", "related"})
    assert compile_expression("record.anything + related.any_key", place).evaluate({}) is None
    with pytest.raises(ExpressionError, match="unknown function: now"):
        compile_expression("now()", place)


def test_all_names_of_the_contract():
    assert {
        "record", "old", "changes", "action", "entity", "event", "user", "related", "now", "context",
    } == ALL_NAMES  # fmt: skip
