"""docs/configuration.md names every key, default and option, and no other."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import click
import pytest

from rocket_kernel import load_config
from rocket_kernel.cli import COMMANDS
from rocket_kernel.config import Config
from rocket_kernel.plugins import installed_plugins
from rocket_kernel.serving.options import GRACE_S, HEADER_TIMEOUT_S, MAX_HEAD_BYTES, STOP_S
from rocket_kernel.serving.workers import SHORTEST_LIFE_S

PAGE = "docs/configuration.md"
PLUGIN_SETTINGS = "### Settings of plugins"
SECTIONS = {field.name: getattr(Config(), field.name) for field in fields(Config)}


def shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, Path):
        return f"`./{value}`"
    return {"": '`""`', "()": "`[]`"}.get(str(value), f"`{value}`")


def defaults(section: Any) -> dict[str, str]:
    """Default by key, as the page writes them; a section inside the section has dotted keys."""
    found: dict[str, str] = {}
    for field in fields(section):
        value = getattr(section, field.name)
        inner = defaults(value) if is_dataclass(value) else None
        if inner is None:
            found[field.name] = shown(value)
        else:
            found |= {f"{field.name}.{key}": default for key, default in inner.items()}
    return found


def documented(page: Any, heading: str) -> dict[str, str]:
    return {key.strip("`"): default for key, default, _ in page(PAGE).table(heading)}


@pytest.mark.parametrize("name", [name for name, value in SECTIONS.items() if is_dataclass(value)])
def test_section_is_documented_with_its_defaults(page, name):
    expected = defaults(SECTIONS[name])
    assert list(documented(page, f"### {name}").items()) == list(expected.items())


def test_top_level_keys_are_documented_with_their_defaults(page):
    expected = {name: shown(value) for name, value in SECTIONS.items() if not is_dataclass(value)}
    assert documented(page, "### Top level") == expected


def test_every_heading_of_keys_is_a_section(page):
    headings = re.findall(r"^### (.+)$", page(PAGE).section("## Keys"), re.MULTILINE)
    sections = [name for name, value in SECTIONS.items() if is_dataclass(value)]
    assert sorted(headings) == sorted([*sections, "Top level", PLUGIN_SETTINGS.removeprefix("### ")])


def test_settings_of_installed_plugins_are_documented_with_their_defaults(page):
    table = documented(page, PLUGIN_SETTINGS)
    shipped = {key.partition(".")[0] for key in table}
    for plugin in installed_plugins():
        name = plugin.name
        if name in shipped:
            expected = defaults(plugin.Settings()) if plugin.Settings is not None else {}
            here = {key.partition(".")[2]: value for key, value in table.items() if key.startswith(f"{name}.")}
            assert here == expected, name


def test_every_key_has_a_meaning(page):
    rows = [cells for line in page(PAGE).text.splitlines() if len(cells := line.split(" | ")) >= 2]
    assert rows
    assert [cells for cells in rows if not cells[-1].removesuffix(" |").strip()] == []


def test_examples_are_accepted(page, tmp_path):
    (yaml,) = page(PAGE).blocks("yaml")
    (environment,) = page(PAGE).blocks("sh")
    (tmp_path / "app.yaml").write_text(yaml.text)
    variables = dict(line.split("=", 1) for line in environment.text.splitlines())
    environ = {name: value.strip("'") for name, value in variables.items()}
    config = load_config(environ=environ, cwd=tmp_path)
    assert (config.server.workers, config.server.port, config.app_pool_size) == (2, 9000, 8)
    assert config.server.cors_origins == ("https://shop.example",)
    assert config.plugins.settings == {"auth": {"access_token_s": 600}}


def commands() -> dict[str, click.Command]:
    """Commands by the way they are called, with their arguments."""
    found: dict[str, click.Command] = {}
    for command in COMMANDS:
        group = command.commands.values() if isinstance(command, click.Group) else ()
        for one, path in [(inner, f"{command.name} {inner.name}") for inner in group] or [(command, command.name)]:
            arguments = [
                parameter.make_metavar(None) for parameter in one.params if parameter.param_type_name == "argument"
            ]
            found[" ".join(["rocket", str(path), *arguments])] = one
    return found


COMMON = {"--config", "--data-dir"}
WITHOUT_CONFIGURATION = {"rocket plugin new NAME"}


def test_every_command_has_a_heading(page):
    headings = re.findall(r"^### (.+)$", page(PAGE).section("## Command line"), re.MULTILINE)
    assert headings == list(commands())


@pytest.mark.parametrize("call", commands())
def test_every_option_of_a_command_is_documented(page, call):
    options = {option.opts[0] for option in commands()[call].params if option.param_type_name == "option"}
    assert options >= COMMON or call in WITHOUT_CONFIGURATION
    section = page(PAGE).section(f"### {call}")
    rows = page(PAGE).table(f"### {call}") if "|" in section else []
    assert {row[0].strip("`") for row in rows} == options - COMMON


def test_deployment_notes_state_the_limits_that_hold(page):
    notes = " ".join(page(PAGE).section("## Deployment").split())
    assert f"longer than {HEADER_TIMEOUT_S} seconds or is much longer than {MAX_HEAD_BYTES // 1024} KiB" in notes
    assert f"may finish for {GRACE_S} seconds" in notes
    assert f"still runs {STOP_S} seconds later is killed" in notes
    assert f"than these {GRACE_S + STOP_S} seconds" in notes
    assert f"within {SHORTEST_LIFE_S:.0f} seconds of its start" in notes
