"""What it costs to note every request and to store what was noted: a server without plugins beside one with
instrumentation at a sampling rate of 1, and a span by itself."""

from __future__ import annotations

import json
import timeit
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

import click

from bench.figures import Comparison, Measurement, compare
from bench.processes import choose_cores
from bench.questions import SCENARIOS, Scenario
from bench.report import markdown_table, write_files
from bench.rocket import Rocket
from bench.rounds import Plan, measure_all
from bench.rows import make_rows
from bench.wrk import require_wrk
from rocket_kernel import AppContext, Spans, SystemClock, span
from rocket_kernel.tracing import Tracer, tell_sinks

_TARGETS: Mapping[str, float] = {"get": 0.8, "list": 0.8, "filter": 0.8, "create": 0.7}
_SPAN_TARGET_US = 5.0
_SPANS, _REPEATS = 1000, 200
_PATIENCE = 1


class _Forgetful:
    def samples(self, app: str | None, trace_id: str) -> bool:
        return True

    def finished(self, app: AppContext | None, spans: Spans) -> None:
        return None


def run_instrumentation(folder: Path, out: Path, *, seconds: float, rounds: int, connections: int) -> None:
    require_wrk()
    rows = make_rows()
    bare = Rocket(name="without", title="without")
    full = Rocket(name="with", title="instrumentation", plugins=("instrumentation",))
    scenarios = tuple(replace(each, target=_TARGETS[each.name]) for each in SCENARIOS if each.name in _TARGETS)
    plan = Plan(scenarios, rounds, seconds, 1.0, connections, _PATIENCE, choose_cores())
    seeds = {each.name: folder / "seed" / each.name for each in (bare, full)}
    for each in (bare, full):
        seeds[each.name].mkdir(parents=True)
        each.seed(seeds[each.name], rows)
    found = measure_all([bare, full], seeds, rows, plan, folder, _tell)
    comparisons = [
        compare(scenario, [(pair[full.name], pair[bare.name]) for pair in found[scenario.name]])
        for scenario in scenarios
    ]
    _publish(out, comparisons, span_us())


def span_us() -> float:
    """Microseconds to begin and end a span inside a trace."""
    tracer = Tracer((_Forgetful(),), SystemClock())
    times = []
    for _ in range(_REPEATS):
        root = tracer.begin("bench", "00000000-0000-7000-8000-000000000000", "bench", "bench", "bench")
        if root is None:
            raise RuntimeError("the trace is wanted")
        with root:
            times.append(timeit.timeit(_one_span, number=_SPANS - 1) / (_SPANS - 1))
        tell_sinks(root)
    return median(times) * 1e6


def _one_span() -> None:
    with span("bench", "bench", "bench.span", entity="product"):
        pass


def _tell(scenario: Scenario, name: str, measured: Measurement) -> None:
    outcome = measured.outcome
    click.echo(
        f"{scenario.name:<9} {name:<11} {outcome.rate:>9,.0f} /s   p99 {outcome.p99_ms:>6.1f} ms   "
        f"core {measured.used:>4.0%}   others {measured.disturbed:>4.0%}"
    )


def _publish(out: Path, comparisons: Sequence[Comparison], one_span_us: float) -> None:
    head = ["", "without /s", "with /s", "kept", "rounds", "target", "p99 without / with ms"]
    table = [
        [
            each.scenario.label,
            f"{each.theirs.rate:,.0f}",
            f"{each.ours.rate:,.0f}",
            f"**{each.ratio:.2f}**",
            f"{each.lowest:.2f} to {each.highest:.2f}",
            f"{each.scenario.target:.1f}",
            f"{each.theirs.p99_ms:.1f} / {each.ours.p99_ms:.1f}",
        ]
        for each in comparisons
    ]
    line = f"To begin and end a span takes **{one_span_us:.1f} µs** (target: under {_SPAN_TARGET_US:.0f} µs)."
    markdown = f"{markdown_table(head, table)}\n\n{line}\n"
    figures = {each.scenario.name: {"kept": each.ratio, "with": each.ours.rate} for each in comparisons}
    text = json.dumps({"throughput": figures, "span_us": one_span_us}, indent=2) + "\n"
    write_files(out, "instrumentation", markdown=markdown, json_text=text)
    click.echo(f"\n{markdown}\nwritten to {out}/instrumentation.md and .json")
