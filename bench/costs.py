"""Where the time of one request goes: a profile by room of the kernel, without an HTTP server around it."""

from __future__ import annotations

import cProfile
import json
import pstats
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from bench.asgi import calls_of, spend
from bench.kernel import filled_kernel, run
from bench.processes import choose_cores, pinned
from bench.report import markdown_table, write_files
from bench.rocket import Rocket, config
from bench.rows import make_rows

_SCENARIOS = ("get", "list", "filter", "create")
_SECONDS = 2.0
_TASKS = 32
_TOP = 12

Key = tuple[str, int, str]
"""File, line and name of a function."""


@dataclass(frozen=True, slots=True)
class Cost:
    """`share` of all time, 0 to 1; `calls` for one request."""

    name: str
    share: float
    calls: float


def run_costs(folder: Path, out: Path) -> None:
    parts, figures = [], {}

    async def work() -> None:
        rows = make_rows()
        async with filled_kernel(config(folder), rows) as running:
            for name in _SCENARIOS:
                call = calls_of(running.quart, Rocket().asks(name, rows))
                await spend(call, seconds=0.5, tasks=_TASKS)
                bare = await spend(call, seconds=_SECONDS, tasks=_TASKS)
                profile = cProfile.Profile()
                profile.enable()
                profiled = await spend(call, seconds=_SECONDS, tasks=_TASKS)
                profile.disable()
                # pstats knows the figures under this name only.
                stats: dict[Key, Any] = pstats.Stats(profile).stats  # type: ignore[attr-defined]
                rooms, functions = by_room(stats), by_function(stats, profiled.calls)
                parts.append(_section(name, bare.cpu_us, rooms, functions))
                figures[name] = {"cpu_us": bare.cpu_us, "rooms": dict(rooms)}

    with pinned(choose_cores().server):
        run(work)
    markdown = "\n\n".join(parts) + "\n"
    write_files(out, "costs", markdown=markdown, json_text=json.dumps(figures, indent=2) + "\n")
    click.echo(f"\n{markdown}\nwritten to {out}/costs.md and .json")


def by_room(stats: dict[Key, Any]) -> list[tuple[str, float]]:
    """The share of each room in all time, the largest first. Times are the functions' own, without what they call."""
    times: Counter[str] = Counter()
    for key, (_, _, own, _, _) in stats.items():
        times[room(key)] += own
    total = sum(times.values())
    return [(name, time / total) for name, time in times.most_common()]


def by_function(stats: dict[Key, Any], requests: int) -> list[Cost]:
    total = sum(own for _, _, own, _, _ in stats.values())
    ordered = sorted(stats.items(), key=lambda entry: -entry[1][2])
    return [Cost(function_name(key), own / total, calls / requests) for key, (_, calls, own, _, _) in ordered[:_TOP]]


def room(key: Key) -> str:
    """`rocket_kernel/query`, a library's name, or what is built into Python."""
    file, _, name = key
    if "sqlite3" in name:
        return "SQLite"
    if "msgspec" in name:
        return "JSON"
    parts = Path(file).parts
    if "rocket_kernel" in parts:
        within = parts[parts.index("rocket_kernel") :]
        return "/".join(within[:2]).removesuffix(".py")
    if "site-packages" in parts:
        return parts[parts.index("site-packages") + 1]
    if "bench" in parts:
        return "the benchmark itself"
    return "Python's own"


def function_name(key: Key) -> str:
    file, line, name = key
    if not line:
        return name.strip("{}<>")
    parts = Path(file).parts
    start = parts.index("rocket_kernel") + 1 if "rocket_kernel" in parts else -2
    return f"{'/'.join(parts[start:])}:{name}"


def _section(name: str, cpu_us: float, rooms: Iterable[tuple[str, float]], functions: Iterable[Cost]) -> str:
    table = markdown_table(["room", "share"], [[room, f"{share:.0%}"] for room, share in rooms if share >= 0.01])
    top = markdown_table(
        ["function, without what it calls", "share", "calls a request"],
        [[cost.name, f"{cost.share:.0%}", f"{cost.calls:.1f}"] for cost in functions],
    )
    return f"{name}: {cpu_us:.0f} µs of processor time a request, unprofiled\n\n{table}\n\n{top}"
