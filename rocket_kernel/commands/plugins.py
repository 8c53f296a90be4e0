"""`rocket plugins`: what is enabled, and what it adds to a write."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path

import click

from rocket_kernel.commands.failures import failure_text
from rocket_kernel.commands.options import configuration_options, read_config
from rocket_kernel.commands.running import running_lines
from rocket_kernel.commands.work import work
from rocket_kernel.config import Config
from rocket_kernel.kernel import Kernel, make_kernel
from rocket_kernel.metadata.registry import CompiledEntity
from rocket_kernel.plugins import Plugin, find_plugins, without_broken
from rocket_kernel.serving.running import folder_of, running_processes
from rocket_kernel.write.pipeline import describe
from rocket_kernel.write.stages import ACTIONS


@click.command()
@click.option("--pipeline", nargs=2, metavar="APP ENTITY", help="Show the steps of an entity's writes instead.")
@click.option("--running", is_flag=True, help="Show what their steps cost in the servers of this machine instead.")
@configuration_options
def plugins(pipeline: tuple[str, str] | None, config_path: Path | None, data_dir: str | None, *, running: bool) -> None:
    """Show the enabled plugins in their order."""
    config = read_config(config_path, data_dir)
    if running:
        _show_running(folder_of(config))
    elif pipeline is not None:
        _echo(pipeline_lines(compiled_entity(make_kernel(config), *pipeline)))
    else:
        _show_enabled(config)


def _show_running(folder: Path) -> None:
    found = list(running_processes(folder))
    if not found:
        raise click.ClickException(f"no server is running with the data directory {folder.parent}")
    _echo(running_lines(found, time.time()))


def _show_enabled(config: Config) -> None:
    """Those that break the start are named after all others have been shown."""
    kernel, problems = without_broken(
        find_plugins(config.plugins.enabled), lambda classes: make_kernel(config, plugins=classes)
    )
    _echo(plugin_lines(kernel))
    for text in kernel.parts.plugins.deprecations:
        click.echo(f"Warning: {text}", err=True)
    for problem in problems:
        click.echo(f"Error: {failure_text(problem)}", err=True)
    if problems:
        raise click.exceptions.Exit(1)


def _echo(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)


def plugin_lines(kernel: Kernel) -> Iterator[str]:
    if not kernel.parts.plugins.plugins:
        yield "No plugins are enabled."
    for position, plugin in enumerate(kernel.parts.plugins.plugins, start=1):
        yield f"{position}. {plugin.name} {plugin.version}"
        for title, words in _facts(kernel, plugin).items():
            if words:
                yield f"     {title:<8} {', '.join(words)}"
        for title, value in _settings(plugin):
            yield f"     {title} = {value}"


def _facts(kernel: Kernel, plugin: Plugin) -> dict[str, list[str]]:
    parts = kernel.parts
    return {
        "requires": list(plugin.requires),
        "after": list(plugin.after),
        "before": list(plugin.before),
        "hooks": [
            hook
            for hook, implementations in parts.plugins.implementations.items()
            if any(implementation.plugin == plugin.name for implementation in implementations)
        ],
        "tables": [table for table, owner in parts.owners.items() if owner == plugin.name],
    }


def _settings(plugin: Plugin) -> Iterator[tuple[str, str]]:
    if plugin.Settings is not None:
        for setting in fields(plugin.Settings):
            yield f"plugins.settings.{plugin.name}.{setting.name}", repr(getattr(plugin.settings, setting.name))


def compiled_entity(kernel: Kernel, app: str, entity: str) -> CompiledEntity:
    """Raises AppNotFound and UnknownEntity."""

    async def read(kernel: Kernel) -> CompiledEntity:
        context = await kernel.apps.app(app)
        async with context.reading() as (_session, registry):
            return registry.entity(entity)

    return work(kernel, read)


def pipeline_lines(compiled: CompiledEntity) -> Iterator[str]:
    has_slug = compiled.entity.slug is not None
    for action in ACTIONS:
        yield action
        for stage, step in describe(compiled.pipeline, action, has_slug=has_slug):
            yield f"  {stage:<15} {step}"
