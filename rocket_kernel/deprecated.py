"""What goes with a later release, and who still uses it.

Three things can be deprecated: a public name, by an entry in `OLD_NAMES`; a hook, by
`@hookspec(warn_on_impl=going("the hook on_old", removed_in="2.0", instead="on_new"))`; and a parameter of a hook, by
`warn_on_impl_args={"old": going("the parameter old", removed_in="2.0", instead="new")}`. Whoever develops a plugin
meets a `RocketDeprecationWarning`; whoever starts a server with it reads the plugin's name and the same text, once.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import FrameType, MappingProxyType
from typing import Any


class RocketDeprecationWarning(DeprecationWarning):
    """Something public goes with the release that the text names."""


@dataclass(frozen=True, slots=True)
class OldName:
    """A public name that goes: where its value still is, the release that removes it, and what to use instead."""

    module: str
    attribute: str
    removed_in: str
    instead: str


OLD_NAMES: Mapping[str, OldName] = MappingProxyType({})
"""By full name, such as `rocket_kernel.Old`."""

_users: dict[str, dict[str, str]] = {}
"""Texts by old name, by the module that has imported it. As long as a module is loaded it has imported what it has."""


def going(what: str, *, removed_in: str, instead: str) -> RocketDeprecationWarning:
    return RocketDeprecationWarning(f"{what} is deprecated and will be removed in Rocket {removed_in}: use {instead}")


def old_name(package: str, name: str) -> Any:
    """The value of a deprecated public name, with a warning to whoever asks. Raises AttributeError for others."""
    full = f"{package}.{name}"
    found = OLD_NAMES.get(full)
    if found is None:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    warning = going(full, removed_in=found.removed_in, instead=found.instead)
    _users.setdefault(_importer(sys._getframe(1)), {})[full] = str(warning)
    warnings.warn(warning, stacklevel=3)
    return getattr(import_module(found.module), found.attribute)


def uses_in(package: str) -> list[str]:
    """What modules of a package have imported that will go."""
    users = (module for module in _users if module == package or module.startswith(f"{package}."))
    return sorted({text for module in users for text in _users[module].values()})


def uses_of_hook(spec: Any, parameters: Iterable[str]) -> list[str]:
    """What an implementation of a hook uses that will go; `spec` are the options of its hookspec."""
    texts = [spec.get("warn_on_impl"), *((spec.get("warn_on_impl_args") or {}).get(name) for name in parameters)]
    return [str(text) for text in texts if text is not None]


def _importer(frame: FrameType | None) -> str:
    """The module an import statement stands in; between it and the package stands Python's own machinery."""
    own = ("rocket_kernel", "rocket_kernel.testing", "importlib")
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module not in own and not module.startswith("importlib."):
            return module
        frame = frame.f_back
    return ""
