"""docs/testing.md: its examples run, and it names everything there is."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import rocket_kernel.testing
from rocket_kernel.testing import Actors, PluginSuite, StartKernel, pytest_plugin
from rocket_kernel.testing.postgres import postgres_address

pytest_plugins = ["pytester"]

PAGE = (Path(__file__).parents[2] / "docs" / "testing.md").read_text()
HYGIENE = {"rocket_environment", "rocket_folder", "rocket_tasks", "rocket_hygiene", "rocket_spare_databases"}
"""Fixtures that the others are built on."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", PAGE)


def fixtures() -> set[str]:
    definition = type(pytest_plugin.clock)
    return {name for name, value in vars(pytest_plugin).items() if isinstance(value, definition)}


def test_the_examples_run(pytester, monkeypatch):
    monkeypatch.setenv("ROCKET_TEST_POSTGRES", postgres_address().url)
    (ini,) = blocks("ini")
    (pytester.path / "pytest.ini").write_text(ini)
    pytester.makepyfile("\n\n".join(blocks("python")))
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:hypothesispytest")
    outcomes = result.parseoutcomes()
    assert set(outcomes) == {"passed", "skipped"}
    assert outcomes["skipped"] == 1  # the suite's test of a README, which the example does not give


@pytest.mark.parametrize("name", dir(rocket_kernel.testing))
def test_every_public_name_is_there_and_named(name):
    assert getattr(rocket_kernel.testing, name) is not None
    assert re.search(rf"\b{name}\b", PAGE), f"docs/testing.md does not name {name}"


def test_names_for_type_checkers_are_those_at_run_time():
    source = inspect.getsource(rocket_kernel.testing)
    assert set(re.findall(r"import \w+ as (\w+)", source)) == set(dir(rocket_kernel.testing))
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        rocket_kernel.testing.nonsense  # noqa: B018


@pytest.mark.parametrize("name", sorted(fixtures() - HYGIENE))
def test_every_fixture_is_named(name):
    assert re.search(rf"^\| .*`{name}`", PAGE, re.MULTILINE)


def test_options_in_the_text_exist():
    assert {"plugins", "config", "settings"} <= set(inspect.signature(StartKernel.__call__).parameters)
    assert {"plugin", "readme", "with_plugins"} <= set(PluginSuite.__annotations__)
    assert hasattr(Actors.Settings, "default")
