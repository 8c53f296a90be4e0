"""`python -m bench`, or `make bench ARGS=…`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click

from bench.figures import Comparison, Measurement, compare
from bench.machine import describe
from bench.plot import draw
from bench.pocketbase import PocketBase
from bench.processes import choose_cores, urgent
from bench.questions import SCENARIOS, Scenario
from bench.report import as_json, disturbance, missed, ratio_table, settings_list, write_files
from bench.rocket import Rocket
from bench.rounds import Plan, measure_all
from bench.rows import make_rows
from bench.wrk import require_wrk

OUT = Path(__file__).with_name("out")
_DISTURBED = 0.1


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--seconds", type=click.FloatRange(1), default=4, show_default=True, help="Length of one measurement.")
@click.option("--warmup", type=click.FloatRange(1), default=1, show_default=True, help="Seconds before each of them.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Times all is measured afresh.")
@click.option("--connections", type=click.IntRange(1), default=32, show_default=True)
@click.option("--only", metavar="NAMES", help=f"Scenarios, comma-separated: {', '.join(s.name for s in SCENARIOS)}.")
@click.option("--server", default="auto", show_default=True, help="Rocket's HTTP server.")
@click.option("--patience", type=click.IntRange(0), default=3, show_default=True, help="Repeats when disturbed.")
@click.option(
    "--nice", type=click.IntRange(-20, 19), default=0, help="Priority of servers and load; -20 is the highest."
)
@click.option("--no-request-log", is_flag=True, help="Switch off PocketBase's log of requests, which is on by default.")
@click.option("--postgres", is_flag=True, help="Instead: Rocket on Postgres beside a bare loop of the same SQL.")
@click.option("--plugins", is_flag=True, help="Instead: what installed plugins cost an entity they do nothing to.")
@click.option("--auth", is_flag=True, help="Instead: what signing in and permissions with a condition cost.")
@click.option("--rules", is_flag=True, help="Instead: what ten rules cost a create, and an expression by itself.")
@click.option("--webhooks", is_flag=True, help="Instead: what webhooks cost a write, and a silent receiver the others.")
@click.option("--workflows", is_flag=True, help="Instead: what a workflow costs the write that starts it.")
@click.option("--instrumentation", is_flag=True, help="Instead: what noting and storing every request costs.")
@click.option("--costs", is_flag=True, help="Instead: where the time of a get, a list and a create goes.")
def main(
    seconds: float,
    warmup: float,
    rounds: int,
    connections: int,
    only: str | None,
    server: str,
    patience: int,
    nice: int,
    *,
    no_request_log: bool,
    postgres: bool,
    plugins: bool,
    auth: bool,
    rules: bool,
    webhooks: bool,
    workflows: bool,
    instrumentation: bool,
    costs: bool,
) -> None:
    """Compare Rocket with PocketBase, side by side, on the same rows."""
    if postgres or plugins or auth or rules or webhooks or workflows or instrumentation or costs:
        with urgent(nice):
            _inside(
                seconds,
                rounds,
                connections,
                postgres=postgres,
                plugins=plugins,
                auth=auth,
                rules=rules,
                webhooks=webhooks,
                workflows=workflows,
                instrumentation=instrumentation,
                costs=costs,
            )
        return
    require_wrk()
    plan = Plan(_chosen(only), rounds, seconds, warmup, connections, patience, choose_cores())
    with urgent(nice):
        compare_servers(Rocket(server=server), PocketBase(request_log=not no_request_log), plan)


def compare_servers(ours: Rocket, theirs: PocketBase, plan: Plan) -> None:
    rows = make_rows()
    with _workplace() as folder:
        settings: dict[str, Mapping[str, str]] = {
            "machine": describe(folder),
            "load": {
                "connections": str(plan.connections),
                "seconds": f"{plan.seconds:g}",
                "rounds": str(plan.rounds),
                "core of the servers": str(plan.cores.server),
                "core of the load": str(plan.cores.load),
            },
        }
        seeds = {}
        for contender in (theirs, ours):
            click.echo(f"{contender.title}: {len(rows.products):,} rows")
            seeds[contender.name] = folder / "seed" / contender.name
            seeds[contender.name].mkdir(parents=True)
            contender.seed(seeds[contender.name], rows)
        for contender in (theirs, ours):
            settings[contender.title] = {"version": contender.version(), **_settings(contender, seeds, folder)}
        results = measure_all([theirs, ours], seeds, rows, plan, folder, _tell)
    comparisons = [
        compare(scenario, [(pair[ours.name], pair[theirs.name]) for pair in results[scenario.name]])
        for scenario in plan.scenarios
    ]
    _publish(comparisons, settings, ours.title, theirs.title)


def _publish(comparisons: list[Comparison], settings: Mapping[str, Mapping[str, str]], ours: str, theirs: str) -> None:
    notes = [
        note for note in (disturbance(comparisons, _DISTURBED), *map("Missed: {}.".format, missed(comparisons))) if note
    ]
    parts = [ratio_table(comparisons, ours, theirs), *notes, settings_list(settings)]
    markdown = "\n\n".join(parts) + "\n"
    write_files(OUT, "comparison", markdown=markdown, json_text=as_json(comparisons, settings))
    draw(comparisons, ours, theirs, OUT / "comparison.png")
    click.echo(f"\n{markdown}\nwritten to {OUT}/comparison.md, .json and .png")


def _inside(
    seconds: float,
    rounds: int,
    connections: int,
    *,
    postgres: bool,
    plugins: bool,
    auth: bool,
    rules: bool,
    webhooks: bool,
    workflows: bool,
    instrumentation: bool,
    costs: bool,
) -> None:
    """The parts that do without PocketBase, most of them without wrk too. Imported late: each brings libraries of its own."""
    with _workplace() as folder:
        if postgres:
            from bench.postgres_part import run_postgres

            run_postgres(folder, OUT, seconds=seconds, rounds=rounds, connections=connections)
        if plugins:
            from bench.plugins_part import run_plugins

            run_plugins(folder, OUT, seconds=seconds, rounds=rounds)
        if auth:
            from bench.auth_cost import run_auth_cost
            from bench.auth_part import run_auth

            run_auth_cost(folder, OUT, rounds=rounds)
            run_auth(folder, OUT, seconds=seconds, rounds=rounds)
        if rules:
            from bench.rules_part import run_rules

            run_rules(folder, OUT, seconds=seconds, rounds=rounds)
        if webhooks:
            from bench.webhooks_part import run_webhooks

            run_webhooks(folder, OUT, seconds=seconds, rounds=rounds, connections=connections)
        if workflows:
            from bench.workflows_part import run_workflows

            run_workflows(folder, OUT, seconds=seconds, rounds=rounds)
        if instrumentation:
            from bench.instrumentation_part import run_instrumentation

            run_instrumentation(folder, OUT, seconds=seconds, rounds=rounds, connections=connections)
        if costs:
            from bench.costs import run_costs

            run_costs(folder, OUT)


@contextmanager
def _workplace() -> Iterator[Path]:
    """A folder on the disk of this checkout: a temporary one of the system may lie in memory, where syncs are free."""
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="data-", dir=OUT) as folder:
        yield Path(folder)


def _settings(contender: Rocket | PocketBase, seeds: Mapping[str, Path], folder: Path) -> Mapping[str, str]:
    import shutil

    copy = folder / "settings" / contender.name
    shutil.copytree(seeds[contender.name], copy)
    return contender.settings(copy)


def _tell(scenario: Scenario, name: str, measured: Measurement) -> None:
    outcome = measured.outcome
    click.echo(
        f"{scenario.name:<9} {name:<11} {outcome.rate:>9,.0f} /s   p50 {outcome.p50_ms:>6.1f} ms   "
        f"p99 {outcome.p99_ms:>6.1f} ms   core {measured.used:>4.0%}   others {measured.disturbed:>4.0%}"
    )


def _chosen(only: str | None) -> tuple[Scenario, ...]:
    if only is None:
        return SCENARIOS
    wanted = [name.strip() for name in only.split(",")]
    known = {scenario.name for scenario in SCENARIOS}
    for name in wanted:
        if name not in known:
            raise click.UsageError(f"there is no scenario {name!r}; there are {', '.join(sorted(known))}")
    return tuple(scenario for scenario in SCENARIOS if scenario.name in wanted)


if __name__ == "__main__":
    main(prog_name="python -m bench")
