"""What is written, whatever the plugin is called: formatted, free of lint, and built on public names only."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib

import pytest

from rocket_kernel.scaffold.names import MAX_NAME, parse_plugin_name
from rocket_kernel.scaffold.package import KINDS, plan_package, write_package

PUBLIC = {"rocket_kernel", "rocket_kernel.testing"}
NAMES = ["x", "word-count", "-".join(["abcdefghi"] * 3) + "j"]
PACKAGES = [(kind, name) for kind in KINDS for name in NAMES]


def test_the_longest_name_is_among_those_tried():
    assert max(map(len, NAMES)) == MAX_NAME


def test_packages_are_formatted_and_free_of_lint(tmp_path):
    for number, (kind, name) in enumerate(PACKAGES):
        write_package(tmp_path / str(number), plan_package(parse_plugin_name(name, kind=kind), kind))
    for check in (["format", "--check", "--diff"], ["check"]):
        command = [sys.executable, "-m", "ruff", *check, "--no-cache", "."]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("kind", "name"), PACKAGES)
def test_packages_are_complete_and_import_public_names_only(kind, name):
    parsed = parse_plugin_name(name, kind=kind)
    plan = plan_package(parsed, kind)
    assert [path for path, text in plan.items() if "{{" in text or "DOT" in path or path.endswith("tmpl")] == []
    settings = tomllib.loads(plan["pyproject.toml"])
    assert settings["project"]["name"] == f"rocket-{name}"
    point = settings["project"]["entry-points"]["rocket.plugins"][name]
    assert point == f"{parsed.package}:{parsed.class_name}"
    assert f"src/{parsed.package}/py.typed" in plan
    imported = {
        node.module
        for path, text in plan.items()
        if path.endswith(".py")
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ImportFrom)
    }
    assert {module for module in imported if module.startswith("rocket_kernel")} == PUBLIC
    assert len([path for path in plan if path.startswith("tests/test_")]) == 2


def test_every_kind_writes_a_plugin_of_its_own():
    name = parse_plugin_name("word-count", kind="step")
    plugins = {plan_package(name, kind)["src/rocket_word_count/plugin.py"] for kind in KINDS}
    assert len(plugins) == len(KINDS)
