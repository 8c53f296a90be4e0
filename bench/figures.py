"""From outcomes to figures: medians over rounds, and ratios between two contenders that were measured by turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bench.questions import Scenario
from bench.wrk import Outcome


@dataclass(frozen=True, slots=True)
class Measurement:
    """One load on one server. Shares are of the server's core, 0 to 1."""

    outcome: Outcome
    used: float
    """What the server took of the core."""
    disturbed: float
    """What other programs took of it meanwhile."""


@dataclass(frozen=True, slots=True)
class Figure:
    """The median of several measurements of one scenario on one server."""

    rate: float
    p50_ms: float
    p99_ms: float
    used: float
    disturbed: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """`ratio` is the median of the rounds' ratios: what slows the machine for a while slows both."""

    scenario: Scenario
    ours: Figure
    theirs: Figure
    ratio: float
    lowest: float
    highest: float

    @property
    def reached(self) -> bool | None:
        return None if self.scenario.target is None else self.ratio >= self.scenario.target


def compare(scenario: Scenario, rounds: Sequence[tuple[Measurement, Measurement]]) -> Comparison:
    """`rounds` hold ours and theirs, each pair measured one right after the other."""
    ratios = [ours.outcome.rate / theirs.outcome.rate for ours, theirs in rounds]
    return Comparison(
        scenario=scenario,
        ours=summary([ours for ours, _ in rounds]),
        theirs=summary([theirs for _, theirs in rounds]),
        ratio=median(ratios),
        lowest=min(ratios),
        highest=max(ratios),
    )


def summary(measured: Sequence[Measurement]) -> Figure:
    return Figure(
        rate=median(each.outcome.rate for each in measured),
        p50_ms=median(each.outcome.p50_ms for each in measured),
        p99_ms=median(each.outcome.p99_ms for each in measured),
        used=median(each.used for each in measured),
        disturbed=median(each.disturbed for each in measured),
    )
