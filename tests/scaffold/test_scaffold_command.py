"""`rocket plugin new` at the terminal: what it says, and that it writes all or nothing."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from click.testing import CliRunner

from rocket_kernel.cli import command_line
from rocket_kernel.commands import plugin as module
from rocket_kernel.plugins import load_plugins


@pytest.fixture
def rocket(rocket_environment, rocket_folder):
    def run(*arguments):
        return CliRunner().invoke(command_line(load_plugins([], {})), arguments, prog_name="rocket")

    return run


def listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_made_with_next_steps(rocket, rocket_folder):
    done = rocket("plugin", "new", "word-count")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("rocket-word-count is made. What to do next:\n\n  cd rocket-word-count\n")
    assert listing(rocket_folder) == [
        "rocket-word-count",
        "rocket-word-count/.gitignore",
        "rocket-word-count/README.md",
        "rocket-word-count/app.yaml",
        "rocket-word-count/pyproject.toml",
        "rocket-word-count/src",
        "rocket-word-count/src/rocket_word_count",
        "rocket-word-count/src/rocket_word_count/__init__.py",
        "rocket-word-count/src/rocket_word_count/plugin.py",
        "rocket-word-count/src/rocket_word_count/py.typed",
        "rocket-word-count/src/rocket_word_count/tidying.py",
        "rocket-word-count/tests",
        "rocket-word-count/tests/test_word_count.py",
        "rocket-word-count/tests/test_word_count_suite.py",
    ]
    # Made inside a private folder, but for everybody's eyes.
    assert (rocket_folder / "rocket-word-count").stat().st_mode & 0o777 == rocket_folder_mode(rocket_folder)


def rocket_folder_mode(folder: Path) -> int:
    (folder / "ordinary").mkdir()
    return (folder / "ordinary").stat().st_mode & 0o777


@pytest.mark.parametrize("in_the_way", ["folder", "file", "link"])
def test_what_is_there_stays_as_it_is(rocket, rocket_folder, in_the_way):
    place = rocket_folder / "rocket-quota"
    if in_the_way == "folder":
        place.mkdir()
    elif in_the_way == "file":
        place.write_text("mine")
    else:
        place.symlink_to("nowhere")
    before = listing(rocket_folder)
    refused = rocket("plugin", "new", "quota")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr == "Error: rocket-quota is there already, and nothing was changed\n"
    assert listing(rocket_folder) == before


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("Bad Name",), "Error: Invalid value for NAME: 'Bad Name' is no name for a plugin: "),
        (("auth",), "Error: Invalid value for NAME: the name 'auth' belongs to a plugin that comes with Rocket\n"),
        (("quota", "--kind", "table"), "'table' is not one of 'step', 'metadata', 'route', 'job', 'field'"),
        ((), "Missing argument 'NAME'"),
        (("--kind", "step"), "Missing argument 'NAME'"),
    ],
)
def test_wrong_usage_is_exit_code_2(rocket, rocket_folder, arguments, text):
    refused = rocket("plugin", "new", *arguments)
    assert refused.exit_code == 2
    assert text in refused.stderr
    assert listing(rocket_folder) == []


def test_installed_plugins_are_not_named_again(rocket, monkeypatch):
    class Point:
        name, value = "quota", "rocket_quota:QuotaPlugin"

    monkeypatch.setattr(module, "entry_points", lambda group: [Point] if group == "rocket.plugins" else [])
    refused = rocket("plugin", "new", "quota")
    assert refused.exit_code == 2
    assert "a plugin 'quota' is installed already: rocket_quota:QuotaPlugin" in refused.stderr


def test_a_disk_that_is_full_leaves_nothing(rocket, rocket_folder, monkeypatch):
    write, written = Path.write_text, []

    def until_full(path, *arguments, **options):
        if len(written) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(path)
        return write(path, *arguments, **options)

    monkeypatch.setattr(Path, "write_text", until_full)
    refused = rocket("plugin", "new", "quota")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr == "Error: rocket-quota cannot be made: No space left on device\n"
    assert written
    assert listing(rocket_folder) == []


def test_somebody_else_was_quicker(rocket, rocket_folder, monkeypatch):
    write = Path.write_text

    def meanwhile(path, *arguments, **options):
        other = rocket_folder / "rocket-quota" / "mine"
        other.mkdir(parents=True, exist_ok=True)
        return write(path, *arguments, **options)

    monkeypatch.setattr(Path, "write_text", meanwhile)
    refused = rocket("plugin", "new", "quota")
    assert refused.exit_code == 1
    assert refused.stderr.startswith("Error: rocket-quota cannot be made: ")
    assert listing(rocket_folder) == ["rocket-quota", "rocket-quota/mine"]


def test_a_folder_that_is_gone_is_one_line(rocket, rocket_folder):
    gone = rocket_folder / "gone"
    gone.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(gone)
        gone.rmdir()
        refused = rocket("plugin", "new", "quota")
    assert (refused.exit_code, refused.stderr.count("\n")) == (1, 1)
