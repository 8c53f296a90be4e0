"""`rocket import` and `rocket export` (contract §14)."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from rocket_kernel import json_text
from rocket_kernel.clock import timestamp_text
from rocket_kernel.commands.options import configuration_options, read_config
from rocket_kernel.commands.work import work
from rocket_kernel.kernel import Kernel, make_kernel
from rocket_kernel.transfer.document import Document, export_document, parse_document
from rocket_kernel.transfer.importing import Outcome, import_document
from rocket_kernel.transfer.sample_data import Progress as OnRows

_SIGNS = {"create": "+", "update": "~", "skip": "="}
_NOTES = {"skip": "  (differs from the stored one, which stays)"}


@click.command("import")
@click.argument("app")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--plan", is_flag=True, help="Show what would change, and change nothing.")
@configuration_options
def import_file(app: str, file: Path, config_path: Path | None, data_dir: str | None, *, plan: bool) -> None:
    """Load metadata and rows of FILE, a JSON document, into APP."""
    body = read_body(file)

    async def load(kernel: Kernel) -> Outcome:
        context = await kernel.apps.app(app)
        document = parse_document(body, kernel.parts.kinds)
        with _progress(document) as on_rows:
            return await import_document(context, document, plan=plan, on_rows=on_rows)

    kernel = make_kernel(read_config(config_path, data_dir))
    outcome = work(kernel, load)
    for line in plan_lines(outcome) if plan else [summary_line(outcome)]:
        click.echo(line)
    for error in outcome.errors:
        click.echo(error, err=True)
    if outcome.errors:
        sys.exit(1)


@click.command("export")
@click.argument("app")
@configuration_options
def export_app(app: str, config_path: Path | None, data_dir: str | None) -> None:
    """Print the metadata of APP as a JSON document that `rocket import` takes."""

    async def read(kernel: Kernel) -> dict[str, Any]:
        context = await kernel.apps.app(app)
        now = timestamp_text(kernel.parts.clock.now())
        async with context.reading() as (_session, registry):
            return export_document(registry.model, kernel.parts.kinds, now)

    document = work(make_kernel(read_config(config_path, data_dir)), read)
    click.echo(msgspec.json.format(json_text.encode(document), indent=2))


def read_body(file: Path) -> Mapping[str, Any]:
    """The JSON object in a file. Raises click.ClickException."""
    try:
        body = json_text.decode(file.read_bytes())
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror}") from error
    except json_text.InvalidJson as error:
        raise click.ClickException(f"{file}: not JSON: {error}") from error
    if not isinstance(body, dict):
        raise click.ClickException(f"{file}: not a JSON object")
    return body


def plan_lines(outcome: Outcome) -> Iterator[str]:
    for change in outcome.changes:
        yield f"{_SIGNS[change.action]} {change.action} {change.kind} {change.key}{_NOTES.get(change.action, '')}"
        for statement in change.ddl:
            yield from (f"    {line}" for line in f"{statement};".splitlines())
    for name, rows in outcome.records.items():
        yield f"+ {counted(rows, 'record')} of {name}"
    if not outcome.changes and not outcome.records:
        yield "Nothing to change."


def summary_line(outcome: Outcome) -> str:
    parts = [f"{name} {number}" for name, number in outcome.counts.items() if number]
    rows = sum(outcome.records.values())
    if rows:
        parts.append(f"records {rows}")
    ending = f"; {counted(len(outcome.errors), 'error')}" if outcome.errors else ""
    return f"Imported: {', '.join(parts) or 'nothing new'}{ending}"


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


@contextmanager
def _progress(document: Document) -> Iterator[OnRows]:
    """A bar over the rows of a document, where a person watches."""
    console = Console(stderr=True)
    rows = sum(len(given) for given in document.sample_data.values() if isinstance(given, list))
    columns = (TextColumn("rows"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not (console.is_terminal and rows)) as bar:
        task = bar.add_task("rows", total=rows)
        yield lambda number: bar.advance(task, number)
