"""The files of a new plugin: what is in them, and how they come into being.

Templates lie beside this module. A `{{ name }}` in one stands for a value; in paths PACKAGE, IDENTIFIER and DOT do so.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath

import rocket_kernel
from rocket_kernel.scaffold.names import PluginName

KINDS = ("step", "metadata", "route", "job", "field")

_EVERY = "every"
_SUFFIX = ".tmpl"
_TEXTS = ("summary", "about")
"""Templates of a kind that are parts of files which every kind has."""
_VALUE = re.compile(r"\{\{ (\w+) \}\}")


def plan_package(name: PluginName, kind: str) -> dict[str, str]:
    """The files of the package: path, with slashes -> content."""
    values = {
        "plugin": name.plugin,
        "distribution": name.distribution,
        "identifier": name.identifier,
        "package": name.package,
        "class_name": name.class_name,
        "kernel_version": ".".join(rocket_kernel.__version__.split(".")[:2]),
    }
    own = dict(_templates(kind))
    for text in _TEXTS:
        values[text] = _filled(own.pop(text + _SUFFIX), values).strip()
    templates = {**dict(_templates(_EVERY)), **own}
    return {_path(path, name): _filled(template, values) for path, template in templates.items()}


def write_package(folder: Path, content: Mapping[str, str]) -> None:
    """Make `folder` with these files, whole or not at all. Raises FileExistsError, and OSError."""
    if folder.exists() or folder.is_symlink():
        raise FileExistsError(f"{folder} is there already")
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for path, text in content.items():
            file = beside / "made" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8", newline="\n")
        # A folder that somebody else has made meanwhile is not replaced, unless it is empty.
        (beside / "made").rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _templates(kind: str) -> Iterator[tuple[str, str]]:
    """Path below the folder of the kind -> text."""
    root = files("rocket_kernel.scaffold") / "templates" / kind
    for path, file in _walk(root, PurePosixPath()):
        yield str(path), file.read_text(encoding="utf-8")


def _walk(folder: Traversable, path: PurePosixPath) -> Iterator[tuple[PurePosixPath, Traversable]]:
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_dir():
            yield from _walk(item, path / item.name)
        elif item.name.endswith(_SUFFIX):
            yield path / item.name, item


def _path(template: str, name: PluginName) -> str:
    path = template.removesuffix(_SUFFIX)
    return path.replace("PACKAGE", name.package).replace("IDENTIFIER", name.identifier).replace("DOT", ".")


def _filled(template: str, values: Mapping[str, str]) -> str:
    return _VALUE.sub(lambda match: values[match[1]], template)
