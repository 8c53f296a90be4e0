"""Who may know whom, where import-linter cannot say it: packages that may be absent, words, names and sizes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KERNEL = ROOT / "rocket_kernel"
PLUGINS = ROOT / "plugins"

LINES_AT_MOST = 600
NAMES_THAT_EXCLUDE_NOTHING = {"utils", "helpers", "common", "manager"}
DATABASE_WORDS = re.compile("sqlite|postgres", re.IGNORECASE)
# These choose a database or make one for tests; everybody else asks the dialect for a capability.
MAY_NAME_A_DATABASE = re.compile(r"rocket_kernel/(store/|testing/|cli/|cli(_[a-z_]+)?\.py$|config\.py$)")


def python_files(*folders: Path) -> list[Path]:
    return sorted(path for folder in folders for path in folder.rglob("*.py") if "build" not in path.parts)


def plugin_folders() -> list[Path]:
    return sorted(path.parent for path in PLUGINS.glob("*/pyproject.toml"))


def plugin_packages() -> list[Path]:
    return [package.parent for package in sorted(PLUGINS.glob("*/rocket_*/__init__.py"))]


def run_time_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only a type checker sees."""
    yield node
    hidden = node.body if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING") else []
    for child in ast.iter_child_nodes(node):
        if child not in hidden:
            yield from run_time_nodes(child)


def imported_packages(nodes: Iterator[ast.AST]) -> set[str]:
    """The top-level packages of absolute imports."""
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names}


def foreign_plugins(source: str, *, own: str) -> set[str]:
    """The plugin packages that `source` imports, other than its own; in type checking too."""
    packages = imported_packages(ast.walk(ast.parse(source)))
    return {name for name in packages if name.startswith("rocket_")} - {"rocket_kernel", own}


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_the_kernel_imports_no_plugin():
    found = {relative(path): foreign_plugins(path.read_text(), own="rocket_kernel") for path in python_files(KERNEL)}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize("folder", plugin_folders(), ids=lambda folder: folder.name)
def test_a_plugin_imports_no_other_plugin(folder):
    own = f"rocket_{folder.name}"
    found = {relative(path): foreign_plugins(path.read_text(), own=own) for path in python_files(folder)}
    assert {path: names for path, names in found.items() if names} == {}


def test_hookspecs_import_nothing_at_run_time_but_pluggy():
    tree = ast.parse((KERNEL / "hookspecs.py").read_text())
    assert imported_packages(run_time_nodes(tree)) <= {"__future__", "typing", "pluggy"}


def test_only_store_speaks_of_databases_by_name():
    found = [
        f"{relative(path)}:{number}"
        for path in python_files(KERNEL, *plugin_packages())
        if not MAY_NAME_A_DATABASE.match(relative(path))
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if DATABASE_WORDS.search(line)
    ]
    assert found == []


def test_no_module_has_a_name_that_excludes_nothing():
    modules = python_files(KERNEL, ROOT / "tests", PLUGINS)
    assert [relative(path) for path in modules if NAMES_THAT_EXCLUDE_NOTHING & {path.stem, path.parent.name}] == []


def test_no_file_is_too_long():
    lengths = {
        relative(path): len(path.read_text().splitlines()) for path in python_files(KERNEL, ROOT / "tests", PLUGINS)
    }
    assert {path: lines for path, lines in lengths.items() if lines > LINES_AT_MOST} == {}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import rocket_rules", {"rocket_rules"}),
        ("import os, rocket_rules.model as model", {"rocket_rules"}),
        ("def late():\n    from rocket_auth.model import User", {"rocket_auth"}),
        ("if TYPE_CHECKING:\n    from rocket_auth import User", {"rocket_auth"}),
        ("from rocket_kernel import Step\nfrom rocket_files import x\nfrom . import model", set()),
        ("import rocket", set()),
    ],
)
def test_a_planted_import_is_found(source, found):
    assert foreign_plugins(source, own="rocket_files") == found


def test_run_time_imports_leave_out_those_for_type_checking():
    source = "import a\nif TYPE_CHECKING:\n    import b\nelse:\n    import c\nif typing.TYPE_CHECKING:\n    import d"
    assert imported_packages(run_time_nodes(ast.parse(source))) == {"a", "c"}


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("rocket_kernel/store/postgres.py", True),
        ("rocket_kernel/testing/databases.py", True),
        ("rocket_kernel/cli.py", True),
        ("rocket_kernel/cli/serve.py", True),
        ("rocket_kernel/cli_serve.py", True),
        ("rocket_kernel/config.py", True),
        ("rocket_kernel/client.py", False),
        ("rocket_kernel/http/config.py", False),
        ("plugins/rules/rocket_rules/store/x.py", False),
    ],
)
def test_where_a_database_may_be_named(path, allowed):
    assert bool(MAY_NAME_A_DATABASE.match(path)) is allowed
