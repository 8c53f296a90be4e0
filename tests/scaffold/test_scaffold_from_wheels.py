"""What a stranger gets: empty environments, wheels, and no checkout of this repository anywhere near."""

from __future__ import annotations

import json
import resource
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from rocket_kernel.scaffold.package import KINDS

ROOT = Path(__file__).parents[2]
PLUGINS = sorted(path.parent.name for path in (ROOT / "plugins").glob("*/pyproject.toml"))
MOST_S = 120.0
"""Of processor time, from `rocket plugin new` to tests that have passed on both databases."""
SHOWN = {
    "step": '"title":"The Dispossessed"',
    "metadata": "title must not hold the word bestseller",
    "route": '{"data":{"book":1}}',
    "job": '"entity":"book","records":1',
    "field": '"shade":"#ffaa00"',
}

pytestmark = pytest.mark.torture


def spent_s() -> float:
    """Processor seconds of all commands that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_author_has_a_plugin_in_two_minutes(authors_environment, tmp_path, try_readme, kind, capsys):
    clock, processor = time.monotonic(), spent_s()
    printed = authors_environment.run(f"rocket plugin new my-{kind} --kind {kind}", cwd=tmp_path)
    enter, install, test, check, serve = [line[2:] for line in printed.splitlines() if line.startswith("  ")]
    authors_environment.run(f"{enter}\n{install} --quiet", cwd=tmp_path)
    passed = authors_environment.run(f"{enter}\n{test} -q", cwd=tmp_path)
    figures = f"{time.monotonic() - clock:.0f} s, {spent_s() - processor:.0f} s of a processor"
    with capsys.disabled():
        sys.stdout.write(f"\nfrom `rocket plugin new --kind {kind}` to passing tests: {figures}\n")
    assert spent_s() - processor < MOST_S
    assert " passed in " in passed
    assert "Success: no issues found" in authors_environment.run(f"{enter}\n{check}", cwd=tmp_path)
    assert SHOWN[kind] in try_readme(authors_environment, tmp_path / f"rocket-my-{kind}", serve)


@pytest.mark.parametrize("plugins", [[], *([name] for name in PLUGINS), PLUGINS], ids=lambda it: "+".join(it) or "none")
def test_kernel_and_plugins_start_from_wheels(wheels_environment, tmp_path, start_server, plugins):
    """An import that no distribution declares shows here, and nowhere else."""
    wanted = " ".join(["rocket-kernel", *(f"rocket-{name}" for name in plugins)])
    wheels_environment.run(f"pip install --quiet {wanted}", cwd=tmp_path)
    shown = wheels_environment.run("rocket plugins", cwd=tmp_path)
    assert [name for name in PLUGINS if f". {name} " in shown] == plugins
    folder = tmp_path / "served"
    folder.mkdir()
    for address in start_server(wheels_environment, folder, "rocket serve"):
        with urllib.request.urlopen(f"{address}/health", timeout=30) as answer:
            assert (answer.status, json.load(answer)) == (200, {"status": "ok"})
