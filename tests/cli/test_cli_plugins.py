"""`rocket plugins`, and commands that plugins bring."""

from __future__ import annotations

from dataclasses import dataclass

import click
import pytest

from rocket_kernel import Config, Plugin, hookimpl, make_kernel
from rocket_kernel.cli import COMMANDS, command_line
from rocket_kernel.commands.plugins import pipeline_lines, plugin_lines
from rocket_kernel.config import PluginsConfig
from rocket_kernel.errors import Forbidden, PluginError
from rocket_kernel.plugins import load_plugins
from rocket_kernel.secret import Secret
from rocket_kernel.store.columns import Column, ColumnType, Storage, Table
from rocket_kernel.testing import entity


@dataclass(frozen=True)
class StampSettings:
    limit: int = 3
    key: Secret = Secret("hidden")  # noqa: RUF009


class Stamps(Plugin):
    name = "stamps"
    version = "2.1"
    after = ("ledger",)
    Settings = StampSettings

    @hookimpl
    def register_tables(self):
        return [Table("_stamps", (Column("id", ColumnType(Storage.TEXT)),), ("id",))]

    @hookimpl
    async def before_write(self, write):
        pass

    @hookimpl
    def register_commands(self):
        @click.command("stamp")
        def stamp():
            """Stamp."""
            click.echo("stamped")

        @click.command("refuse")
        def refuse():
            raise Forbidden("No stamps\nleft")

        return [stamp, refuse]


class Ledger(Plugin):
    name = "ledger"


class Squatter(Plugin):
    name = "squatter"

    @hookimpl
    def register_commands(self):
        return [click.Command("serve")]


class Twin(Plugin):
    name = "twin"

    @hookimpl
    def register_commands(self):
        return [click.Command("stamp")]


def test_plugins_are_shown_in_their_order_with_all_they_declare():
    config = Config(plugins=PluginsConfig(settings={"stamps": {"limit": 5}}))
    assert list(plugin_lines(make_kernel(config, plugins=[Stamps, Ledger]))) == [
        "1. ledger 0.0.0",
        "2. stamps 2.1",
        "     after    ledger",
        "     hooks    before_write, register_commands, register_tables",
        "     tables   _stamps",
        "     plugins.settings.stamps.limit = 5",
        "     plugins.settings.stamps.key = ***",
    ]


def test_no_plugins(rocket):
    assert rocket("plugins").stdout == "No plugins are enabled.\n"


async def test_pipeline_shows_the_steps_of_plugins_in_their_stage(start_kernel):
    running = await start_kernel([Stamps])
    client = await running.client.app("shop")
    await client.define(entity("artist", name="string"))
    app = await running.kernel.apps.app("shop")
    lines = [line.split() for line in pipeline_lines(app.registry.entity("artist"))]
    create = lines[: lines.index(["update"])]
    assert create[0] == ["create"]
    assert create.index(["before_write", "stamps:before_write"]) < create.index(["write", "kernel:write"])
    assert ["before_write", "stamps:before_write"] not in lines[lines.index(["delete"]) :]


def test_pipeline_of_a_stored_entity(rocket, shop, document):
    rocket("import", shop, document())
    shown = rocket("plugins", "--pipeline", shop, "artist")
    assert shown.exit_code == 0
    assert [line for line in shown.stdout.splitlines() if not line.startswith(" ")] == ["create", "update", "delete"]
    assert rocket("plugins", "--pipeline", shop, "nothere").stderr == "Error: Unknown entity: nothere\n"
    assert rocket("plugins", "--pipeline", "nowhere", "artist").stderr == "Error: App not found: nowhere\n"
    assert rocket("plugins", "--pipeline", shop).exit_code == 2


def test_commands_of_plugins_are_added(rocket):
    assert rocket("stamp", plugins=[Stamps]).stdout == "stamped\n"
    assert "Stamp." in rocket("--help", plugins=[Stamps]).stdout
    refused = rocket("refuse", plugins=[Stamps])
    assert (refused.exit_code, refused.stderr) == (1, "Error: No stamps left\n")


@pytest.mark.parametrize(
    ("plugins", "message"),
    [
        ([Squatter], "plugin 'squatter', hook register_commands: the command 'serve' belongs to 'kernel' already"),
        ([Stamps, Twin], "plugin 'twin', hook register_commands: the command 'stamp' belongs to 'stamps' already"),
    ],
)
def test_command_whose_name_is_taken_names_both(plugins, message):
    with pytest.raises(PluginError) as refused:
        command_line(load_plugins(plugins, {}))
    assert str(refused.value).startswith(f"{message} (")
    assert "test_cli_plugins.py:" in str(refused.value)


def test_the_kernel_has_the_commands_of_the_contract_that_are_there():
    assert {command.name for command in COMMANDS} == {"serve", "apps", "import", "export", "plugins", "plugin", "demo"}
