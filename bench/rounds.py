"""The measuring itself: both servers on copies of the same rows, asked by turns."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.agreement import require_agreement, require_stored
from bench.asks import Ask
from bench.contender import Contender
from bench.figures import Measurement
from bench.processes import Cores, ServerProcess, busy_s
from bench.questions import Scenario
from bench.rows import Rows
from bench.wrk import Load, LoadFailed, Outcome, run_wrk

_CALM = 0.05
"""Share of the server's core that other programs may take; a measurement with more is taken again."""
_PAUSE_S = 2.0
_SHOWN = 2000


@dataclass(frozen=True, slots=True)
class Plan:
    scenarios: tuple[Scenario, ...]
    rounds: int
    seconds: float
    warmup_s: float
    connections: int
    patience: int
    """How often a disturbed measurement is taken again."""
    cores: Cores


@dataclass(frozen=True, slots=True)
class Served:
    contender: Contender
    process: ServerProcess

    @property
    def address(self) -> str:
        return self.process.address


Report = Callable[[Scenario, str, Measurement], None]
Results = dict[str, list[dict[str, Measurement]]]
"""By scenario, a list of rounds; in each the measurements by contender."""


def measure_all(
    contenders: Sequence[Contender], seeds: Mapping[str, Path], rows: Rows, plan: Plan, folder: Path, report: Report
) -> Results:
    results: Results = {scenario.name: [] for scenario in plan.scenarios}
    for number in range(plan.rounds):
        with _served(contenders, seeds, folder / f"round-{number}", plan.cores) as served:
            # Who goes first changes from round to round.
            turns = served if number % 2 == 0 else served[::-1]
            for scenario in plan.scenarios:
                pairs = {each.contender.name: (each.contender, each.address) for each in served}
                require_agreement(scenario.name, rows, pairs)
                measured = {each.contender.name: _measure(each, scenario, rows, plan, folder) for each in turns}
                for name, measurement in measured.items():
                    report(scenario, name, measurement)
                results[scenario.name].append(measured)
    return results


@contextmanager
def _served(
    contenders: Sequence[Contender], seeds: Mapping[str, Path], folder: Path, cores: Cores
) -> Iterator[list[Served]]:
    """All servers at once, on fresh copies of their rows; whoever is not asked has nothing to do."""
    with ExitStack() as stack:
        served = []
        for contender in contenders:
            own = folder / contender.name
            shutil.copytree(seeds[contender.name], own)
            served.append(Served(contender, stack.enter_context(contender.serve(own, cores.server))))
        yield served
    shutil.rmtree(folder)


def _measure(served: Served, scenario: Scenario, rows: Rows, plan: Plan, folder: Path) -> Measurement:
    """The least disturbed of at most `1 + patience` measurements."""
    best: Measurement | None = None
    for _ in range(1 + plan.patience):
        measurement = _measure_once(served, scenario, rows, plan, folder)
        if best is None or measurement.disturbed < best.disturbed:
            best = measurement
        if best.disturbed <= _CALM:
            break
        time.sleep(_PAUSE_S)
    if best is None:
        raise ValueError("patience is negative")
    return best


def _measure_once(served: Served, scenario: Scenario, rows: Rows, plan: Plan, folder: Path) -> Measurement:
    asks = served.contender.asks(scenario.name, rows)
    _load(served, scenario, asks, Load(plan.connections, plan.warmup_s, plan.cores.load), folder, seed=1)
    before = served.contender.totals(served.address) if scenario.writes else {}
    cpu, busy = served.process.cpu_s(), _busy(plan.cores.server)
    load = Load(plan.connections, plan.seconds, plan.cores.load)
    outcome = _load(served, scenario, asks, load, folder, seed=2)
    cpu, busy = served.process.cpu_s() - cpu, _busy(plan.cores.server) - busy
    if scenario.writes:
        after = served.contender.totals(served.address)
        require_stored(scenario.name, before, after, outcome.requests, plan.connections)
    return Measurement(outcome, cpu / outcome.seconds, max(busy - cpu, 0.0) / outcome.seconds)


def _load(served: Served, scenario: Scenario, asks: Sequence[Ask], load: Load, folder: Path, *, seed: int) -> Outcome:
    try:
        return run_wrk(served.address, asks, load, folder, seed=seed)
    except LoadFailed as failure:
        last = served.process.log.read_text(errors="replace")[-_SHOWN:]
        what = f"{served.contender.title}, {scenario.label}: {failure.message}; its log ends with:\n{last}"
        raise LoadFailed(what) from failure


def _busy(core: int | None) -> float:
    return 0.0 if core is None else busy_s(core)
