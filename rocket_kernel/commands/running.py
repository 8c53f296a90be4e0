"""`rocket plugins --running`: what the steps of plugins cost in the servers of this machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rocket_kernel.serving.running import Process
from rocket_kernel.step_times import Tally, summed

_HEADINGS = ("step", "runs", "failed", "total", "mean", "95% in", "longest")
_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))


def running_lines(processes: Sequence[Process], now: float) -> Iterator[str]:
    """A table of all steps that have run, over all processes, by plugin and then by what they cost."""
    pids = ", ".join(str(process.pid) for process in processes)
    oldest = max(now - process.told for process in processes)
    addresses = ", ".join(sorted({process.address for process in processes}))
    yield f"{addresses}: {_counted(len(processes), 'process')} ({pids}), as of {max(oldest, 0.0):.0f} s ago"
    tallies = summed(process.steps for process in processes)
    if not tallies:
        yield "No step of a plugin has run yet."
        return
    ordered = sorted(tallies.items(), key=lambda entry: (entry[0].partition(":")[0], -entry[1].total_s, entry[0]))
    rows = [_HEADINGS, *((name, *_figures(tally)) for name, tally in ordered)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(_HEADINGS))]
    for first, *others in rows:
        figures = "  ".join(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        yield f"{first.ljust(widths[0])}  {figures}"


def _figures(tally: Tally) -> tuple[str, ...]:
    times = (tally.total_s, tally.total_s / tally.count, tally.quantile_s(0.95), tally.longest_s)
    return (str(tally.count), str(tally.failures), *map(duration_text, times))


def duration_text(seconds: float) -> str:
    """Three digits or more, such as `1.25 ms`."""
    for size, unit in _UNITS:
        if seconds >= size or unit == "µs":
            value = seconds / size
            return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f} {unit}"
    raise AssertionError


def _counted(number: int, noun: str) -> str:
    return f"1 {noun}" if number == 1 else f"{number} {noun}es"
