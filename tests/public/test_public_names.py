"""The public face of the package: what it promises is there, and costs nothing until it is used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import rocket_kernel


def declared() -> set[str]:
    """The names that type checkers see."""
    tree = ast.parse(Path(rocket_kernel.__file__).read_text())
    return {
        alias.asname
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rocket_kernel")
        for alias in node.names
        if alias.asname is not None
    }


def test_type_checkers_and_the_interpreter_see_the_same_names() -> None:
    assert declared() == set(dir(rocket_kernel)) - {"__version__"}


@pytest.mark.parametrize("name", sorted(declared()))
def test_every_name_is_there(name: str) -> None:
    assert getattr(rocket_kernel, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = rocket_kernel.nonsense


def test_importing_the_package_loads_no_server() -> None:
    code = "import sys, rocket_kernel; print(sorted(m for m in sys.modules if m in ('quart', 'asyncpg', 'aiosqlite')))"
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert shown.strip() == "[]"
