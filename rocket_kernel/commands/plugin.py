"""`rocket plugin new`: a package to begin with."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import click

from rocket_kernel.plugins import ENTRY_POINT_GROUP
from rocket_kernel.scaffold.names import BadName, PluginName, parse_plugin_name
from rocket_kernel.scaffold.package import KINDS, plan_package, write_package


@click.group()
def plugin() -> None:
    """Write plugins of your own."""


@plugin.command()
@click.argument("name")
@click.option("--kind", type=click.Choice(KINDS), default=KINDS[0], show_default=True, help="What it begins with.")
def new(name: str, kind: str) -> None:
    """Write the package rocket-NAME into a new folder, with tests that pass."""
    installed = {point.name: point.value for point in entry_points(group=ENTRY_POINT_GROUP)}
    try:
        parsed = parse_plugin_name(name, kind=kind, installed=installed)
    except BadName as error:
        raise click.BadParameter(str(error), param_hint="NAME") from error
    try:
        write_package(Path.cwd() / parsed.distribution, plan_package(parsed, kind))
    except FileExistsError as error:
        raise click.ClickException(f"{parsed.distribution} is there already, and nothing was changed") from error
    except OSError as error:
        raise click.ClickException(f"{parsed.distribution} cannot be made: {error.strerror}") from error
    for line in next_steps(parsed):
        click.echo(line)


def next_steps(name: PluginName) -> Iterator[str]:
    """Every line that is indented can be typed as it stands, in the folder where `rocket plugin new` ran."""
    python, rocket = _in_this_environment("python"), _in_this_environment("rocket")
    yield f"{name.distribution} is made. What to do next:"
    yield ""
    yield f"  cd {name.distribution}"
    yield f"  {python} -m pip install --editable '.[dev]'"
    yield f"  {python} -m pytest"
    yield f"  {python} -m ruff format --check . && {python} -m ruff check . && {python} -m mypy"
    yield f"  {rocket} serve"
    yield ""
    yield "README.md says what the plugin does and what to try while it is being served."


def _in_this_environment(command: str) -> str:
    """How to call a command of this very environment: by its name alone where that is what would be found."""
    here = Path(sys.executable).with_name(command)
    found = shutil.which(command)
    return command if found is not None and Path(found) == here else shlex.quote(str(here))
