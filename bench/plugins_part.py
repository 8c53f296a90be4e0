"""What installed plugins cost an entity that they do nothing to: a kernel without any beside one with twenty."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import click

from bench.asgi import Spent, calls_of, spend
from bench.kernel import filled_kernel, run
from bench.processes import choose_cores, pinned
from bench.report import markdown_table, write_files
from bench.rocket import Rocket, config
from bench.rows import make_rows
from rocket_kernel import Plugin, hookimpl
from rocket_kernel.metadata.entity import Entity
from rocket_kernel.metadata.model import Model
from rocket_kernel.query.access import ReadPolicy
from rocket_kernel.write.stages import Step

INSTALLED = 20
_TASKS = 32
_SLICES = 8
"""Both kernels are measured by turns, so many times in a round."""
_SCENARIOS = ("get", "list", "create")


def make_plugins(count: int) -> list[type[Plugin]]:
    """Plugins that are asked about every entity, and have nothing to do for any."""
    return [type(f"Idle{number}", (_Idle,), {"name": f"idle{number}"}) for number in range(count)]


class _Idle(Plugin):
    name = "idle"

    @hookimpl
    def compile_write_steps(self, entity: Entity, model: Model) -> Sequence[Step]:
        return ()

    @hookimpl
    def compile_read_policy(self, entity: Entity, model: Model) -> ReadPolicy | None:
        return None


def run_plugins(folder: Path, out: Path, *, seconds: float, rounds: int) -> None:
    ratios: dict[str, list[float]] = {name: [] for name in _SCENARIOS}
    spent: dict[str, tuple[Spent, Spent]] = {}

    async def work() -> None:
        rows = make_rows()
        bare, full = folder / "without", folder / "with"
        async with (
            filled_kernel(config(bare), rows) as without,
            filled_kernel(config(full), rows, plugins=make_plugins(INSTALLED)) as installed,
        ):
            for name in _SCENARIOS:
                asks = Rocket().asks(name, rows)
                calls = calls_of(without.quart, asks), calls_of(installed.quart, asks)
                for turn in range(rounds * _SLICES + 1):
                    order = (0, 1) if turn % 2 else (1, 0)
                    found = {at: await spend(calls[at], seconds=seconds / _SLICES, tasks=_TASKS) for at in order}
                    if turn:  # the first is the warm-up
                        ratios[name].append(found[0].cpu_us / found[1].cpu_us)
                        spent[name] = found[0], found[1]

    with pinned(choose_cores().server):
        run(work)
    _publish(out, ratios, spent)


def _publish(out: Path, ratios: dict[str, list[float]], spent: dict[str, tuple[Spent, Spent]]) -> None:
    head = ["processor time per request", "no plugin", f"{INSTALLED} plugins", "ratio"]
    rows = [
        [name, f"{spent[name][0].cpu_us:.0f} µs", f"{spent[name][1].cpu_us:.0f} µs", f"**{median(found):.2f}**"]
        for name, found in ratios.items()
    ]
    markdown = markdown_table(head, rows) + "\n"
    figures = {name: {"ratio": median(found), "slices": found} for name, found in ratios.items()}
    write_files(out, "plugins", markdown=markdown, json_text=json.dumps(figures, indent=2) + "\n")
    click.echo(f"\n{markdown}\nwritten to {out}/plugins.md and .json")
