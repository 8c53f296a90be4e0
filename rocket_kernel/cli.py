"""The console script `rocket`."""

from __future__ import annotations

import click

import rocket_kernel
from rocket_kernel.commands.apps import apps
from rocket_kernel.commands.demo import demo
from rocket_kernel.commands.failures import ReadableGroup, failure_text
from rocket_kernel.commands.plugin import plugin
from rocket_kernel.commands.plugins import plugins
from rocket_kernel.commands.serve import serve
from rocket_kernel.commands.transfer import export_app, import_file
from rocket_kernel.errors import PluginError, StartupError
from rocket_kernel.parts import KERNEL
from rocket_kernel.plugins import PluginSet, find_plugins, load_plugins, without_broken

COMMANDS = (serve, demo, apps, import_file, export_app, plugins, plugin)


def main() -> None:
    """Exit codes: 0 done, 1 failed with a text on standard error, 2 wrong usage."""
    try:
        # The configuration is not read yet, so every installed plugin may bring commands. One that cannot is no matter
        # of the others' commands; whether it is enabled, and stops a server, is for those to say.
        rocket, problems = without_broken(find_plugins(), lambda classes: command_line(load_plugins(classes, {})))
    except StartupError as error:
        raise SystemExit(f"Error: {failure_text(error)}") from error
    rocket.problems = [failure_text(problem) for problem in problems]
    rocket(prog_name="rocket")


def command_line(plugin_set: PluginSet) -> ReadableGroup:
    """`rocket` with the plugins' own subcommands. Raises PluginError for a name that is taken."""
    rocket = ReadableGroup("rocket", help="A backend nobody has to code.")
    click.version_option(rocket_kernel.__version__, prog_name="Rocket")(rocket)
    owners: dict[str, str] = {}
    with plugin_set.naming_places():
        registered = plugin_set.collect("register_commands", click.Command)
        for owner, command in [*((KERNEL, command) for command in COMMANDS), *registered]:
            name = command.name or ""
            if name in owners:
                message = f"the command {name!r} belongs to {owners[name]!r} already"
                raise PluginError(owner, message, hook="register_commands")
            owners[name] = owner
            rocket.add_command(command)
    return rocket
