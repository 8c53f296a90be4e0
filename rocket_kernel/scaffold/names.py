"""The name of a new plugin, and all that is called after it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from rocket_kernel.metadata.field_types import BUILT_IN, PLUGIN_TYPES
from rocket_kernel.metadata.kinds import CONTRACT_PLUGINS
from rocket_kernel.parts import KERNEL

PREFIX = "rocket-"
MAX_NAME = 30
"""Characters; so that what is called after it fits a line, and a table of the plugin a database identifier."""

SHIPPED = frozenset({*CONTRACT_PLUGINS.values(), "files", "instrumentation"})
_OWN_TO_THE_KERNEL = frozenset({KERNEL, "actors", "testing"})
_SEGMENTS = frozenset({"admin", "ui", "events", "docs", "openapi", "platform"})
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


class BadName(ValueError):
    """The text is for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class PluginName:
    plugin: str
    """In configuration, steps and entry point: `word-count`."""

    @property
    def distribution(self) -> str:
        return f"{PREFIX}{self.plugin}"

    @property
    def identifier(self) -> str:
        """`word_count`"""
        return self.plugin.replace("-", "_")

    @property
    def package(self) -> str:
        return f"rocket_{self.identifier}"

    @property
    def class_name(self) -> str:
        """`WordCountPlugin`"""
        return "".join(word.capitalize() for word in self.plugin.split("-")) + "Plugin"

    @property
    def title(self) -> str:
        """`Word count`"""
        return self.plugin.replace("-", " ").capitalize()


def parse_plugin_name(text: str, *, kind: str, installed: Mapping[str, str] = MappingProxyType({})) -> PluginName:
    """Raises BadName. `installed` are the plugins that this environment has, each with the object it names."""
    if text.startswith((PREFIX, "rocket_")):
        raise BadName(f"the prefix is added: name it {_likely(text[len(PREFIX) :])}")
    if not _NAME.fullmatch(text):
        rule = "lower-case letters and digits, in words joined by hyphens, with a letter first"
        likely = _likely(text)
        hint = f"; did you mean {likely}?" if likely != text and _NAME.fullmatch(likely) else ""
        raise BadName(f"{text!r} is no name for a plugin: {rule}{hint}")
    if len(text) > MAX_NAME:
        raise BadName(f"the name has {len(text)} characters, and at most {MAX_NAME} are allowed")
    owner = _owner(text, kind)
    if owner is not None:
        raise BadName(f"the name {text!r} belongs to {owner}")
    if text in installed:
        raise BadName(f"a plugin {text!r} is installed already: {installed[text]}")
    return PluginName(text)


def _owner(name: str, kind: str) -> str | None:
    if name in SHIPPED:
        return "a plugin that comes with Rocket"
    if name in _OWN_TO_THE_KERNEL:
        return "the kernel"
    if name in _SEGMENTS:
        return f"Rocket's own paths (/api/:app/_{name})"
    if kind == "field" and name.replace("-", "_") in {*BUILT_IN, *PLUGIN_TYPES}:
        return "a field type of the kernel"
    return None


def _likely(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
