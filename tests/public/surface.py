"""The public surface of Rocket as text: one line for each thing that somebody may rely on.

make surface                  write docs/surface/current.txt, and tell what the change log lacks
make surface ARGS=--release   the same, and measure the next changes against it
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import pkgutil
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, get_origin

import rocket_kernel
from rocket_kernel import Config, Plugin, RocketError, Table, hookspecs, make_kernel, testing
from rocket_kernel.apps.system_tables import MANAGEMENT_TABLES
from rocket_kernel.plugin_checks import ENGINE_API, OLDEST_ENGINE_API
from rocket_kernel.testing import pytest_plugin
from rocket_kernel.write.stages import KERNEL_STAGES, Stage

ROOT = Path(__file__).parents[2]
CURRENT = ROOT / "docs/surface/current.txt"
RELEASED = ROOT / "docs/surface/released.txt"
CHANGELOG = ROOT / "CHANGELOG.md"

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_SET = re.compile(r"\{([^{}:]*)\}")
_STABILITY = re.compile(r"Since (\S+)\. Stability: (\w+)\.")

Surface = dict[str, dict[str, str]]
"""Text by name, by section."""


def surface() -> Surface:
    """Raises ImportError when a plugin of this repository is not installed."""
    plugins = [_plugin_class(path) for path in sorted((ROOT / "plugins").glob("*/pyproject.toml"))]
    kernel = make_kernel(Config(), plugins=plugins)
    parts = kernel.parts
    tables = (*MANAGEMENT_TABLES, *parts.tables, *parts.platform_tables, *(kind.table for kind in parts.kinds.ordered))
    return {
        "engine": {"engine_api": str(ENGINE_API), "oldest engine_api": str(OLDEST_ENGINE_API)},
        "rocket_kernel": dict(_names(rocket_kernel, exclude={"__version__"})),
        "rocket_kernel.testing": dict(_names(testing)),
        "fixtures": dict(_fixtures()),
        "hooks": dict(_hooks()),
        "stages": {str(stage): "the kernel's" if stage in KERNEL_STAGES else "for steps" for stage in Stage},
        "error codes": _errors(plugins),
        "tables": dict(
            sorted(line for table in {table.name: table for table in tables}.values() for line in _table(table))
        ),
        "routes": dict(sorted(_route(owner, route) for owner, route in kernel.router.routes)),
        "configuration": dict(_settings(Config, "")),
        "settings of plugins": {
            name: text
            for plugin in plugins
            if plugin.Settings is not None
            for name, text in _settings(plugin.Settings, f"plugins.settings.{plugin.name}.")
        },
    }


def _plugin_class(path: Path) -> type[Plugin]:
    points = tomllib.loads(path.read_text())["project"]["entry-points"]["rocket.plugins"]
    ((_, target),) = points.items()
    module, _, name = target.partition(":")
    found: type[Plugin] = getattr(import_module(module), name)
    return found


def _names(package: Any, exclude: frozenset[str] | set[str] = frozenset()) -> Iterator[tuple[str, str]]:
    for name in sorted(set(dir(package)) - exclude):
        value = getattr(package, name)
        yield name, _text(value)
        if isinstance(value, type):
            yield from sorted(_members(name, value))


def _text(value: Any) -> str:
    if isinstance(value, type):
        bases = ", ".join(base.__name__ for base in value.__bases__ if base is not object)
        return f"class({bases})" if bases else "class"
    if inspect.isroutine(value) or hasattr(value, "__wrapped__"):
        return f"{'async ' if inspect.iscoroutinefunction(value) else ''}def{_signature(value)}"
    if get_origin(value) is not None:
        return f"type: {value}"
    return f"value: {type(value).__name__}"


def _portable(text: str) -> str:
    """The same on every machine, in every run."""
    text = _ADDRESS.sub("", text.replace(sys.executable, "python"))
    return _SET.sub(lambda found: f"{{{', '.join(sorted(found[1].split(', ')))}}}", text)


def _signature(function: Any) -> str:
    try:
        return _portable(str(inspect.signature(function)))
    except (TypeError, ValueError):
        return "(…)"


def _members(name: str, value: type) -> Iterator[tuple[str, str]]:
    if issubclass(value, enum.Enum):
        yield from ((f"{name}.{member.name}", repr(member.value)) for member in value)
        return
    fields = {field.name: field for field in dataclasses.fields(value)} if dataclasses.is_dataclass(value) else {}
    for field in fields.values():
        if not field.name.startswith("_"):
            yield f"{name}.{field.name}", f"field: {_type_text(field.type)}{_default(field)}"
    if not fields and "__init__" in _own(value):
        yield f"{name}.__init__", f"def{_signature(value.__init__)}"
    for member, found in _own(value).items():
        if not member.startswith("_") and member not in fields:
            text = _member_text(found)
            if text is not None:
                yield f"{name}.{member}", text
    for member, annotation in vars(value).get("__annotations__", {}).items():
        if not member.startswith("_") and member not in fields:
            yield f"{name}.{member}", f"attribute: {_type_text(annotation)}"


def _member_text(found: Any) -> str | None:
    if isinstance(found, property):
        return f"property -> {_returned(found.fget)}"
    if isinstance(found, staticmethod | classmethod):
        return f"{type(found).__name__}{_signature(found.__func__)}"
    return _text(found) if callable(found) else None


def _own(value: type) -> Mapping[str, Any]:
    """What a class and those of its bases that are Rocket's define, without what Python itself gives it."""
    found: dict[str, Any] = {}
    for base in reversed(value.__mro__):
        if base.__module__.startswith("rocket_kernel"):
            found.update(vars(base))
    return found


def _type_text(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))


def _returned(function: Any) -> str:
    return _type_text(function.__annotations__.get("return", "?"))


def _default(field: Any) -> str:
    if field.default is not dataclasses.MISSING:
        return f" = {_portable(repr(field.default))}"
    return " = …" if field.default_factory is not dataclasses.MISSING else ""


def _fixtures() -> Iterator[tuple[str, str]]:
    for name, value in sorted(vars(pytest_plugin).items()):
        if type(value).__name__ == "FixtureFunctionDefinition" and not name.startswith("rocket_"):
            yield name, "fixture"


def _hooks() -> Iterator[tuple[str, str]]:
    for name, spec in vars(hookspecs).items():
        if hasattr(spec, f"{hookspecs.PROJECT}_spec"):
            promise = _STABILITY.search(inspect.getdoc(spec) or "")
            stability = "" if promise is None else f", {promise[2]} since {promise[1]}"
            yield name, f"{_text(spec)}{stability}"


def _errors(plugins: list[type[Plugin]]) -> dict[str, str]:
    """Codes of the kernel and of the plugins of this repository."""
    found: dict[str, set[str]] = {}
    ours = ("rocket_kernel", *(plugin.__module__.partition(".")[0] for plugin in plugins))
    for package in ours:
        _load_all(package)
    waiting: list[type[RocketError]] = [RocketError]
    while waiting:
        error = waiting.pop()
        waiting.extend(error.__subclasses__())
        if error.__module__.partition(".")[0] in ours:
            found.setdefault(error.code, set()).add(str(error.status))
    return {code: ", ".join(sorted(statuses)) for code, statuses in sorted(found.items())}


def _load_all(package: str) -> None:
    """An error exists once its module has been loaded."""
    for module in pkgutil.walk_packages(import_module(package).__path__, f"{package}."):
        with suppress(ModuleNotFoundError):  # it needs what is not installed, such as another server
            import_module(module.name)


def _table(table: Table) -> Iterator[tuple[str, str]]:
    yield table.name, f"table, key {', '.join(table.primary_key)}"
    for column in table.columns:
        nullable = "" if column.nullable else ", not null"
        default = "" if column.default is None else f", default {column.default!r}"
        yield f"{table.name}.{column.name}", f"{column.type.storage.value}{nullable}{default}"


def _route(owner: str, route: Any) -> tuple[str, str]:
    return f"{route.method} {route.path}", f"{route.access.value}, {owner}"


def _settings(section: type, prefix: str) -> Iterator[tuple[str, str]]:
    for field in dataclasses.fields(section):
        value = field.default if field.default is not dataclasses.MISSING else None
        if field.default_factory is not dataclasses.MISSING:
            value = field.default_factory()
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            yield from _settings(type(value), f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", f"{_type_text(field.type)} = {value!r}"


def written(found: Surface) -> str:
    lines = ["What others may rely on, see docs/stability.md. Written by `make surface`.", ""]
    for section, names in found.items():
        lines += [f"## {section}", *(f"{name}\t{text}" for name, text in names.items()), ""]
    return "\n".join(lines)


def parsed(text: str) -> Surface:
    found: Surface = {}
    section: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("## "):
            section = found.setdefault(line[3:], {})
        elif "\t" in line:
            name, _, shown = line.partition("\t")
            section[name] = shown
    return found


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    kind: str
    """added, removed or changed."""
    section: str
    name: str
    before: str = ""
    after: str = ""

    def __str__(self) -> str:
        match self.kind:
            case "added":
                return f"added    {self.section}: {self.name}  {self.after}"
            case "removed":
                return f"removed  {self.section}: {self.name}  {self.before}"
        return f"changed  {self.section}: {self.name}\n           from {self.before}\n             to {self.after}"


def changes(old: Surface, new: Surface) -> list[Change]:
    found: list[Change] = []
    for section in dict.fromkeys((*old, *new)):
        before, after = old.get(section, {}), new.get(section, {})
        for name in sorted({*before, *after}):
            if name not in before:
                found.append(Change("added", section, name, after=after[name]))
            elif name not in after:
                found.append(Change("removed", section, name, before=before[name]))
            elif before[name] != after[name]:
                found.append(Change("changed", section, name, before[name], after[name]))
    return found


def unreleased(changelog: str) -> str:
    """The section of the change log that the next release will be."""
    found = re.search(r"^## Unreleased$(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
    return "" if found is None else found[1]


def unnamed(found: list[Change], notes: str) -> list[Change]:
    """The changes whose name the notes do not give in backquotes.

    What comes or goes with a class, a table or the like as a whole is named with that.
    """
    named = {span.partition("(")[0].strip() for span in re.findall(r"`([^`\n]+)`", notes)}
    whole = {(change.kind, change.section, change.name) for change in found if change.kind != "changed"}

    def is_named(change: Change) -> bool:
        parent = change.name.partition(".")[0]
        with_parent = parent != change.name and (change.kind, change.section, parent) in whole
        return change.name in named or (with_parent and parent in named)

    return [change for change in found if not is_named(change)]


def main() -> None:
    text = written(surface())
    CURRENT.parent.mkdir(exist_ok=True)
    CURRENT.write_text(text)
    if "--release" in sys.argv[1:]:
        RELEASED.write_text(text)
    else:
        missing = unnamed(changes(parsed(RELEASED.read_text()), parsed(text)), unreleased(CHANGELOG.read_text()))
        for change in missing:
            sys.stdout.write(f"not in CHANGELOG.md yet: {change}\n")


if __name__ == "__main__":
    main()
