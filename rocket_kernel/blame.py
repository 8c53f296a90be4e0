"""Whose code it was: plugins and places of code, for messages to people. Asked only when something has gone wrong."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from types import CodeType, FrameType, TracebackType
from typing import Any

_OWN_PACKAGE = __name__.partition(".")[0]


def place_of(function: Callable[..., Any]) -> str | None:
    """Where a function begins, such as `rocket_rules/plugin.py:31`; None for one that is not written in Python."""
    function = inspect.unwrap(getattr(function, "__func__", function))
    function = getattr(function, "__func__", function)
    code = getattr(function, "__code__", None)
    if not isinstance(code, CodeType):
        return None
    return _place(str(getattr(function, "__module__", "")), code.co_filename, code.co_firstlineno)


def place_of_class(plugin: type) -> str:
    """The file of a class, such as `rocket_rules/plugin.py`."""
    parts = plugin.__module__.split(".")
    return f"{'/'.join(parts)}.py"


def package_of(plugin: type) -> str:
    """What all code of a plugin is in: its top package. For a plugin of the kernel itself only its module."""
    package = plugin.__module__.partition(".")[0]
    return plugin.__module__ if package == _OWN_PACKAGE else package


def place_in(error: BaseException, package: str) -> str | None:
    """The innermost place in a package that the traceback of an error leads through."""
    found = None
    for frame, line in _traced(error.__traceback__):
        if _is_in(frame, package):
            found = _frame_place(frame, line)
    return found


@dataclass(frozen=True, slots=True)
class Packages:
    """The packages of the plugins of one kernel."""

    plugins: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Names of plugins by package; several may share one."""

    def blame(self, error: BaseException) -> str | None:
        """`plugin 'rules' (rocket_rules/compile.py:12)`: the innermost code of a plugin that an error came through."""
        cause: BaseException | None = error
        found = None
        while cause is not None and found is None:
            for frame, line in _traced(cause.__traceback__):
                found = self._of_frame(frame, line) or found
            cause = cause.__cause__
        return found

    def running(self, frame: FrameType | None) -> str | None:
        """The same of a stack, given its innermost frame."""
        while frame is not None:
            found = self._of_frame(frame, frame.f_lineno)
            if found is not None:
                return found
            frame = frame.f_back
        return None

    def _of_frame(self, frame: FrameType, line: int) -> str | None:
        for package, names in self.plugins.items():
            if _is_in(frame, package):
                return f"plugin {' or '.join(map(repr, names))} ({_frame_place(frame, line)})"
        return None


def packages_of(plugins: Iterable[object]) -> Packages:
    """Of instances of plugins."""
    found: dict[str, tuple[str, ...]] = {}
    for plugin in plugins:
        package = package_of(type(plugin))
        found[package] = (*found.get(package, ()), str(getattr(plugin, "name", "")))
    return Packages(found)


def _traced(traceback: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    """Frames from the outermost to the innermost, with the lines they were left at."""
    while traceback is not None:
        yield traceback.tb_frame, traceback.tb_lineno
        traceback = traceback.tb_next


def _is_in(frame: FrameType, package: str) -> bool:
    module = str(frame.f_globals.get("__name__", ""))
    return module == package or module.startswith(f"{package}.")


def _frame_place(frame: FrameType, line: int) -> str:
    return _place(str(frame.f_globals.get("__name__", "")), frame.f_code.co_filename, line)


def _place(module: str, file: str, line: int) -> str:
    """The file from its top package on: the folders above it are nobody's concern."""
    path = PurePath(file)
    parts = module.count(".") + 1 + (path.stem == "__init__")
    return f"{'/'.join(path.parts[-parts:])}:{line}"
