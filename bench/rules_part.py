"""What rules cost a create, and how long an expression takes.

Three kernels in one process are asked by turns: one without the plugin, one with the plugin and no rule, and one with
ten rules for the entity.
"""

from __future__ import annotations

import json
import timeit
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import click

from bench.asgi import Spent, answer, calls_of, spend
from bench.asks import post
from bench.kernel import filled_kernel, run
from bench.processes import choose_cores, pinned
from bench.report import markdown_table, write_files
from bench.rocket import APP, Rocket, config
from bench.rows import make_rows
from rocket_kernel import Entity, compile_expression, record_values
from rocket_kernel.expressions.scope import scope
from rocket_kernel.plugins import installed_plugins

TARGET_TEN_RULES = 2.0
TARGET_NO_RULES = 1.02
TARGET_US = 30.0
_TASKS = 32
_SLICES = 8
"""The kernels are measured by turns, so many times in a round."""
_EVALUATIONS = 20_000

RULES: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("field", {"field": "title", "operator": "min_length", "value": 1}),
    ("field", {"field": "title", "operator": "pattern", "value": "^[^<>]*$"}),
    ("field", {"field": "price", "operator": "min", "value": 0}),
    ("field", {"field": "qty", "operator": "max", "value": 1_000_000}),
    ("field", {"field": "title", "operator": "required"}),
    ("expression", {"expression": "record.price > 100000 and record.qty > 1000"}),
    ("expression", {"expression": "record.active == false and record.qty < 0 or record.price * record.qty < 0"}),
    ("expression", {"expression": "action == 'create' and record.title.trim().length == 0"}),
    ("expression", {"expression": "record.created > now and not (user.roles contains 'admin')"}),
    ("computed", {"field": "note", "expression": "record.note ?? record.title + ' (' + record.category + ')'"}),
)

TEN_OPERATORS = (
    "record.qty * record.price > 100 and record.category != 'toys' and record.qty - 3 >= 2 or record.note == null"
    " and not (record.qty % 5 == 0)"
)
_ROW = {"title": "bolt", "category": "tools", "price": 12.5, "qty": 7, "active": True, "note": "x"}


def run_rules(folder: Path, out: Path, *, seconds: float, rounds: int) -> None:
    slices: list[tuple[Spent, ...]] = []
    evaluation_us: list[float] = []

    async def work() -> None:
        rows = make_rows()
        plugins = installed_plugins(["rules"])
        bare, idle, ruled = (config(folder / name) for name in ("bare", "idle", "ruled"))
        async with (
            filled_kernel(bare, rows) as without,
            filled_kernel(idle, rows, plugins=plugins) as unused,
            filled_kernel(ruled, rows, plugins=plugins) as ten,
        ):
            for type, definition in RULES:
                body = {"entity": "product", "hook": "before_write", "type": type, "definition": definition}
                await answer(ten.quart, post(f"/api/{APP}/_admin/rules", body))
            app = await ten.kernel.apps.app(APP)
            evaluation_us.extend(_evaluations(app.registry.model.entities["product"], rounds))
            asks = Rocket().asks("create", rows)
            calls = [calls_of(running.quart, asks) for running in (without, unused, ten)]
            for turn in range(rounds * _SLICES + 1):
                order = sorted(range(3), key=lambda at: (at + turn) % 3)
                found = {at: await spend(calls[at], seconds=seconds / _SLICES, tasks=_TASKS) for at in order}
                if turn:  # the first is the warm-up
                    slices.append(tuple(found[at] for at in range(3)))
                    click.echo("create: " + ", ".join(f"{found[at].cpu_us:.0f} µs" for at in range(3)))

    with pinned(choose_cores().server):
        run(work)
    _publish(out, slices, evaluation_us)


def _evaluations(entity: Entity, rounds: int) -> list[float]:
    """Microseconds for one evaluation of ten operators over a record's fields."""
    expression = compile_expression(TEN_OPERATORS, scope({"record"}, entity=entity))
    values = {"record": record_values(entity, _ROW)}
    timer = timeit.Timer(lambda: expression.evaluate(values))
    return [timer.timeit(_EVALUATIONS) / _EVALUATIONS * 1e6 for _ in range(rounds * _SLICES)]


def _publish(out: Path, slices: list[tuple[Spent, ...]], evaluation_us: list[float]) -> None:
    cpu = [median(each[at].cpu_us for each in slices) for at in range(3)]
    unused, ten = (median(each[at].cpu_us / each[at - 1].cpu_us for each in slices) for at in (1, 2))
    head = ["", "before", "after", "ratio or time", "target"]
    rows = [
        ["a create, the plugin without rules to no plugin", f"{cpu[0]:.0f} µs", f"{cpu[1]:.0f} µs",
         f"**{unused:.2f}**", f"about {TARGET_NO_RULES:.0f}"],
        ["a create, ten rules to none", f"{cpu[1]:.0f} µs", f"{cpu[2]:.0f} µs", f"**{ten:.2f}**",
         f"< {TARGET_TEN_RULES:.0f}"],
        ["an expression of ten operators", "", "", f"**{median(evaluation_us):.1f} µs**", f"< {TARGET_US:.0f} µs"],
    ]  # fmt: skip
    markdown = markdown_table(head, rows) + "\n"
    figures = {
        "cpu_us": [[spent.cpu_us for spent in each] for each in slices],
        "ratios": {"unused": unused, "ten": ten},
        "evaluation_us": evaluation_us,
    }
    write_files(out, "rules", markdown=markdown, json_text=json.dumps(figures, indent=2) + "\n")
    click.echo(f"\n{markdown}\nwritten to {out}/rules.md and .json")
