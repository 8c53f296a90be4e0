"""Where configuration comes from: a file, the environment, the command line; each as a tree of values."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from rocket_kernel.errors import ConfigError
from rocket_kernel.setting_types import EnvironmentText
from rocket_kernel.yaml_text import YamlError, parse_yaml

FILE_NAME = "app.yaml"
ENVIRONMENT_PREFIX = "ROCKET_"

Tree = Mapping[str, object]


def find_file(cwd: Path) -> Path | None:
    """`app.yaml` in the folder, its parent or its grandparent."""
    for folder in (cwd, *cwd.parents[:2]):
        place = folder / FILE_NAME
        try:
            if place.exists():
                return place
        except OSError as error:
            raise ConfigError(f"{place}: {error.strerror}") from error
    return None


def read_file(path: Path) -> Tree:
    try:
        document = parse_yaml(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except YamlError as error:
        place = str(path) if error.line is None else f"{path}:{error.line}"
        raise ConfigError(f"{place}: {error.problem}") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigError(f"{path}:1: expected an object with the sections of the configuration")
    return document


def read_environment(environ: Mapping[str, str], *, top_level: Collection[str]) -> Tree:
    """The variables that name a section or top-level key; a deeper name wins over a shallower one."""
    found = []
    for name, text in environ.items():
        path = name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
        if name.startswith(ENVIRONMENT_PREFIX) and name.isupper() and path[0] in top_level:
            found.append((path, EnvironmentText(text)))
    tree: Tree = {}
    for path, text in sorted(found, key=lambda entry: len(entry[0])):
        tree = overlay(tree, nest(path, text))
    return tree


def read_overrides(overrides: Mapping[str, object]) -> Tree:
    """Dotted keys to a tree; None means that the option was not given."""
    tree: Tree = {}
    for key, value in overrides.items():
        if value is not None:
            tree = overlay(tree, nest(key.split("."), value))
    return tree


def nest(path: list[str], value: object) -> Tree:
    head, *rest = path
    return {head: nest(rest, value) if rest else value}


def overlay(base: Tree, top: Tree) -> Tree:
    """`base` with the values of `top`, object by object; lists and scalars are replaced whole."""
    merged = dict(base)
    for name, value in top.items():
        lower, upper = _as_object(merged.get(name)), _as_object(value)
        merged[name] = value if lower is None or upper is None else overlay(lower, upper)
    return merged


def _as_object(value: object) -> Tree | None:
    if isinstance(value, EnvironmentText):
        try:
            document = parse_yaml(value)
        except YamlError:
            return None
        value = {} if document is None else document
    return value if isinstance(value, Mapping) else None
