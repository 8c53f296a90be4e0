"""Exit codes, and what a person reads when something is wrong."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

import rocket_kernel
from rocket_kernel import Plugin, cli, hookimpl
from rocket_kernel.commands.failures import failure_text
from rocket_kernel.errors import (
    ConfigError,
    Detail,
    InternalError,
    NotFound,
    PluginError,
    Unavailable,
    ValidationFailed,
)
from rocket_kernel.plugins import Found


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("apps", "create"),
        ("serve", "--port", "70000"),
        ("serve", "--workers", "0"),
        ("serve", "--server", "apache"),
        ("export", "shop", "--nonsense"),
    ],
)
def test_wrong_usage_is_exit_code_2(rocket, arguments):
    refused = rocket(*arguments)
    assert refused.exit_code == 2
    assert "Usage: rocket" in refused.stderr


@pytest.mark.parametrize("command", [("serve",), ("apps", "list"), ("plugins",)])
def test_wrong_configuration_is_one_line(rocket, rocket_folder, command):
    (rocket_folder / "other.yaml").write_text("server: {prot: 1}")
    refused = rocket(*command, "--config", "other.yaml")
    assert (refused.exit_code, refused.stdout) == (1, "")
    place = rocket_folder / "other.yaml"
    assert refused.stderr == (f"Error: {place}: unknown configuration key: server.prot (did you mean server.port?)\n")


def test_data_dir_overrides_the_configuration(rocket, rocket_folder):
    (rocket_folder / "other.yaml").write_text("database: {data_dir: here}\nplugins: {enabled: []}")
    assert rocket("apps", "list", "--config", "other.yaml", "--data-dir", "elsewhere").exit_code == 0
    assert (rocket_folder / "elsewhere" / "rocket.db").exists()
    assert not (rocket_folder / "here").exists()


def test_database_that_cannot_be_reached_is_one_line(rocket, rocket_folder):
    (rocket_folder / "file").write_text("")
    (rocket_folder / "other.yaml").write_text("database: {data_dir: file/data}\nplugins: {enabled: []}")
    refused = rocket("apps", "list", "--config", "other.yaml")
    assert refused.exit_code == 1
    assert refused.stderr.startswith("Error: ")
    assert refused.stderr.count("\n") == 1


def caused(error, cause):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ConfigError("two\nlines"), "two lines"),
        (NotFound("App not found: x"), "App not found: x"),
        (
            ValidationFailed(details=[Detail("is required", field="name"), Detail("too many")]),
            "Validation failed; name: is required; too many",
        ),
        (caused(Unavailable(), OSError("disk gone")), "Service unavailable (disk gone)"),
        (caused(NotFound("no"), KeyError("secret")), "no"),
        (InternalError(), "Internal server error"),
    ],
)
def test_failure_text(error, text):
    assert failure_text(error) == text


def test_version(rocket):
    assert rocket("--version").stdout == f"Rocket, version {rocket_kernel.__version__}\n"


class Stamps(Plugin):
    name = "stamps"

    @hookimpl
    def register_commands(self):
        return [click.Command("stamp", callback=lambda: click.echo("stamped"))]


class Thief(Plugin):
    name = "thief"

    @hookimpl
    def register_commands(self):
        return [click.Command("serve")]


@pytest.fixture
def main(monkeypatch, capsys):
    """`rocket` as the console script runs it, on a machine with plugins of which only one is sound."""
    broken = PluginError("rules", "cannot be imported from nowhere:rules: No module named 'nowhere'")

    def run(*arguments):
        monkeypatch.setattr(cli, "find_plugins", lambda: Found((Thief, Stamps), (broken,)))
        monkeypatch.setattr(sys, "argv", ["rocket", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        shown = capsys.readouterr()
        return ended.value.code, shown.out, shown.err

    return run


WITHOUT = """\
Warning: without the commands of a plugin: plugin 'rules': cannot be imported from nowhere:rules: No module named 'nowhere'
Warning: without the commands of a plugin: plugin 'thief', hook register_commands: the command 'serve' belongs to 'kernel' already ("""


def test_plugins_that_cannot_be_loaded_take_no_command_of_others_along(main):
    assert main("stamp") == (0, "stamped\n", "")
    code, _, errors = main("stomp")
    assert code == 2
    assert errors.startswith(WITHOUT)
    assert "No such command 'stomp'" in errors
    code, shown, errors = main("--help")
    assert code == 0
    assert "stamp" in shown
    assert errors.startswith(WITHOUT)


def test_console_script_prints_no_traceback(rocket_environment, tmp_path):
    (tmp_path / "app.yaml").write_text("plugins: {enabled: []}")
    script = "from rocket_kernel.cli import main; main()"
    command = [sys.executable, "-c", script, "export", "nowhere", "--data-dir", "data"]
    done = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "Error: App not found: nowhere\n")
