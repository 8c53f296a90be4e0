"""`rocket apps`: the apps of the management database (contract §12)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from rocket_kernel.apps.directory import parse_new_app
from rocket_kernel.apps.system_tables import APPS
from rocket_kernel.commands.options import configuration_options, read_config
from rocket_kernel.commands.work import work
from rocket_kernel.kernel import Kernel, make_kernel

_COLUMNS = ("name", "display_name", "db_driver", "status", "created_at")


@click.group()
def apps() -> None:
    """List, create and delete apps."""


@apps.command("list")
@configuration_options
def list_apps(config_path: Path | None, data_dir: str | None) -> None:
    """Show every app."""

    async def read(kernel: Kernel) -> list[dict[str, Any]]:
        return await kernel.apps.rows()

    rows = work(make_kernel(read_config(config_path, data_dir)), read)
    for line in aligned(rows, _COLUMNS):
        click.echo(line)


@apps.command()
@click.argument("name")
@click.option("--display-name", help="Name for people; the app's own name otherwise.")
@click.option("--db-driver", help="Database of the app; the server's own otherwise.")
@configuration_options
def create(
    name: str, display_name: str | None, db_driver: str | None, config_path: Path | None, data_dir: str | None
) -> None:
    """Create an app with a database of its own."""

    async def make(kernel: Kernel) -> dict[str, Any]:
        directory = kernel.apps
        body = {"name": name, "display_name": display_name, "db_driver": db_driver}
        new = parse_new_app(
            body, own_driver=directory.own_driver, servers=directory.servers, known=kernel.known_drivers
        )
        return await directory.create(new)

    made = work(make_kernel(read_config(config_path, data_dir)), make)
    click.echo(f"App created: {name}")
    stored = {column.name for column in APPS.columns}
    for name, value in made.items():
        if name not in stored:
            click.echo(f"{name}: {value}")


@apps.command()
@click.argument("name")
@configuration_options
def delete(name: str, config_path: Path | None, data_dir: str | None) -> None:
    """Delete an app with everything in it."""

    async def remove(kernel: Kernel) -> None:
        await kernel.apps.delete(name)

    work(make_kernel(read_config(config_path, data_dir)), remove)
    click.echo(f"App deleted: {name}")


def aligned(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> Iterator[str]:
    """A table whose lines a script can split, never cut to the width of a terminal."""
    table = [columns, *([str(row[column]) for column in columns] for row in rows)]
    widths = [max(len(line[position]) for line in table) for position in range(len(columns))]
    for line in table:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
