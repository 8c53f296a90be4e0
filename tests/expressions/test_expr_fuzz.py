"""Whatever a source and its values are, nothing but the error of the language comes out, and nothing is changed."""

from __future__ import annotations

import copy
import runpy
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import pytest
from hypothesis import HealthCheck, given, settings

from rocket_kernel import ExpressionError, compile_expression, plain, scope
from rocket_kernel import json_values as of_json
from rocket_kernel.expressions.printing import print_source
from rocket_kernel.expressions.scope import ALL_NAMES
from rocket_kernel.json_text import encode

STRATEGIES = runpy.run_path(str(Path(__file__).with_name("expression_trees.py")))
environments, sources, trees = STRATEGIES["environments"], STRATEGIES["sources"], STRATEGIES["trees"]
PLACE = scope(ALL_NAMES | {"x", "item", "in_it", "nota", "length", "contains"})
NOW = datetime(2026, 3, 4, tzinfo=UTC)


def try_out(source: str, values: dict) -> bool:
    """Whether there was a value."""
    before = copy.deepcopy(values)
    text = b""
    fault = None
    try:
        expression = compile_expression(source, PLACE)
        found = expression.evaluate({**{name: of_json(value) for name, value in values.items()}, "now": NOW})
        text = encode(plain(found))
    except ExpressionError as error:
        fault = error
    assert values == before
    assert fault is None or (fault.line >= 1 and fault.column >= 1 and fault.message)
    assert bool(text) is (fault is None)
    return fault is None


relaxed = settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@relaxed
@given(sources, environments)
def test_any_source_gives_a_value_or_an_expression_error(source, values):
    try_out(source, values)


@relaxed
@given(trees, environments)
def test_any_tree_gives_a_value_or_an_expression_error(tree, values):
    try_out(print_source(tree), values)


@pytest.mark.torture
@pytest.mark.parametrize("kind", ["sources", "trees"])
def test_five_minutes_of_each(kind):
    """Ten minutes in all; prints how many examples ran and how many of them gave a value."""
    end = monotonic() + 300
    counts = {"examples": 0, "values": 0}
    written = sources if kind == "sources" else trees.map(print_source)

    @settings(relaxed, max_examples=1000, database=None)
    @given(written, environments)
    def run(source, values):
        if monotonic() > end:
            return
        counts["examples"] += 1
        counts["values"] += try_out(source, values)

    while monotonic() < end:
        run()
    print(kind, counts)  # noqa: T201 - the figures of a long run
    assert counts["values"] > 100
