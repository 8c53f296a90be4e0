"""What `rocket plugin new` writes can be installed, tested, linted, type-checked and tried at once, as it says itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from rocket_kernel.scaffold.names import PluginName
from rocket_kernel.scaffold.package import KINDS, plan_package

FIRST, *OTHERS = KINDS


def typed(printed: str) -> list[str]:
    """The lines that a person is told to type."""
    return [line.strip() for line in printed.splitlines() if line.startswith("  ")]


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_next_steps_can_be_typed_as_they_stand(quick_environment, tmp_path, try_readme):
    printed = quick_environment.run(f"rocket plugin new my-{FIRST}", cwd=tmp_path)
    package = tmp_path / f"rocket-my-{FIRST}"
    # These came out of the wheel.
    assert contents(package) == plan_package(PluginName(f"my-{FIRST}"), FIRST)
    enter, install, test, check, serve = typed(printed)
    assert enter == f"cd {package.name}"
    quick_environment.run(f"{enter}\n{install}", cwd=tmp_path)
    assert "[100%]" in quick_environment.run(f"{enter}\n{test} -q", cwd=tmp_path)
    assert "Success: no issues found" in quick_environment.run(f"{enter}\n{check}", cwd=tmp_path)
    shown = try_readme(quick_environment, package, serve)
    assert '"title":"The Dispossessed"' in shown


def test_the_other_kinds_work_too(quick_environment, tmp_path):
    """As above, with one call for all of them, which saves time."""
    for kind in OTHERS:
        quick_environment.run(f"rocket plugin new my-{kind} --kind {kind}", cwd=tmp_path)
    packages = [f"rocket-my-{kind}" for kind in OTHERS]
    editable = " ".join(f"--editable ./{package}" for package in packages)
    quick_environment.run(f"pip install --quiet --no-deps {editable}", cwd=tmp_path)
    tests = " ".join(f"{package}/tests" for package in packages)
    run = quick_environment.run(f"pytest -q --rootdir . -c {packages[0]}/pyproject.toml {tests}", cwd=tmp_path)
    assert " passed" in run
    assert "skipped" not in run
    quick_environment.run("ruff format --check . && ruff check .", cwd=tmp_path)
    checked = " ".join(f"{package}/src {package}/tests" for package in packages)
    settings = f"--config-file {packages[0]}/pyproject.toml"
    assert "Success: no issues found" in quick_environment.run(f"mypy {settings} {checked}", cwd=tmp_path)


@pytest.mark.parametrize(
    ("was", "becomes", "tool"),
    [
        ("async def tidy_texts(write: Write,", "async def tidy_texts(write: Writ,", "mypy"),
        ("from rocket_kernel import Entity, Write", "from rocket_kernel import Entity, Write, Wriite", "mypy"),
        ('return " ".join(text.split())', "return text", "pytest -q"),
        ('"""What is done', 'import os\n"""What is done', "ruff check ."),
    ],
)
def test_the_tools_would_see_a_mistake(quick_environment, tmp_path, was, becomes, tool):
    quick_environment.run("rocket plugin new mistaken", cwd=tmp_path)
    package = tmp_path / "rocket-mistaken"
    file = package / "src" / "rocket_mistaken" / "tidying.py"
    assert was in file.read_text()
    file.write_text(file.read_text().replace(was, becomes))
    source = "PYTHONPATH=src " if tool.startswith("pytest") else ""
    arguments = " tests/test_mistaken.py" if source else ""
    quick_environment.run(f"{source}{tool}{arguments}", cwd=package, fails=True)
