"""The example plugins use what any stranger's plugin can use: public names, and nothing of each other."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path.parent for path in (ROOT / "examples" / "plugins").glob("*/pyproject.toml"))
PUBLIC = {"rocket_kernel", "rocket_kernel.testing"}


def rocket_imports(source: str) -> set[str]:
    """The modules of Rocket and of plugins that a source imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("." * node.level + (node.module or ""))
    return {name for name in found if name.startswith(("rocket", "."))}


def too_deep(source: str, *, own: str) -> set[str]:
    return {name for name in rocket_imports(source) - PUBLIC if name.split(".")[0] != own}


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_an_example_imports_public_names_only(folder):
    own = f"rocket_{folder.name}"
    found = {path.name: too_deep(path.read_text(), own=own) for path in folder.rglob("*.py")}
    assert {name: modules for name, modules in found.items() if modules} == {}
    package = [rocket_imports(path.read_text()) for path in (folder / own).rglob("*.py")]
    assert "rocket_kernel.testing" not in set().union(*package), "a package needs no testing kit"


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_an_example_is_a_package_of_its_own(folder):
    settings = tomllib.loads((folder / "pyproject.toml").read_text())
    assert settings["project"]["name"] == f"rocket-{folder.name}"
    assert settings["project"]["dependencies"] == ["rocket-kernel>=0.1"]
    assert list(settings["project"]["entry-points"]["rocket.plugins"]) == [folder.name]
    assert "pytest" not in settings["tool"], "a table there would replace the settings of this repository"
    assert (folder / f"rocket_{folder.name}" / "py.typed").exists()
    assert f"({folder.name}/README.md)" in (folder.parent / "README.md").read_text()


def test_every_example_is_tested_from_its_folder():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    assert settings["pythonpath"] == [folder.relative_to(ROOT).as_posix() for folder in EXAMPLES]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from rocket_kernel import Step\nfrom rocket_kernel.testing import entity\nimport rocket_geo.point", set()),
        ("from rocket_kernel.store.columns import Index", {"rocket_kernel.store.columns"}),
        ("def late():\n    import rocket_kernel.errors", {"rocket_kernel.errors"}),
        ("from rocket_auth import User", {"rocket_auth"}),
        ("from .. import x", {".."}),
    ],
)
def test_a_planted_import_is_found(source, found):
    assert too_deep(source, own="rocket_geo") == found
