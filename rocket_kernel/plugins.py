"""Plugins: discovery, strict validation, declared order, settings.

One `PluginSet` per kernel. pluggy holds the implementations; it is asked for them once, at start, and nothing goes
through it in a request.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

import pluggy

from rocket_kernel import hookspecs
from rocket_kernel.blame import Packages, package_of, packages_of, place_in, place_of, place_of_class
from rocket_kernel.config import parse_settings
from rocket_kernel.deprecated import uses_in, uses_of_hook
from rocket_kernel.errors import ConfigError, PluginError
from rocket_kernel.hook_calls import Implementation as Implementation
from rocket_kernel.plugin_checks import ENGINE_API as ENGINE_API
from rocket_kernel.plugin_checks import ordered, require_sound
from rocket_kernel.step_times import CUT_OFF_S, StepTimes
from rocket_kernel.stray import STRAY, is_asked_for

logger = logging.getLogger(__name__)

ENTRY_POINT_GROUP = "rocket.plugins"

NOTICE_LIMITS_S: Mapping[str, float] = MappingProxyType(
    {"on_app_created": CUT_OFF_S, "on_app_opened": CUT_OFF_S, "on_app_closing": 10.0, "on_stopping": 10.0}
)
"""How long one implementation of a notice may take where somebody waits for it who has nothing to do with the plugin."""

_KERNEL = "kernel"

T = TypeVar("T")


class Plugin:
    """Base of every plugin. The entry point names the class; each kernel makes an instance of its own.

    `after` and `before` name plugins whose steps of one stage run earlier and later; those absent are passed over.
    `Settings` is a frozen dataclass with a default for every field; unknown keys in the configuration stop the start.
    """

    name: ClassVar[str]
    version: ClassVar[str] = "0.0.0"
    engine_api: ClassVar[int] = ENGINE_API
    requires: ClassVar[tuple[str, ...]] = ()
    after: ClassVar[tuple[str, ...]] = ()
    before: ClassVar[tuple[str, ...]] = ()
    Settings: ClassVar[type[Any] | None] = None

    def __init__(self, settings: Any = None) -> None:
        self.settings = settings


@dataclass(frozen=True, slots=True)
class PluginSet:
    """The plugins of one kernel, in declared order."""

    plugins: tuple[Plugin, ...]
    implementations: Mapping[str, tuple[Implementation, ...]]
    """By hook, in declared plugin order."""
    deprecations: tuple[str, ...] = ()
    """What the plugins use that a later release removes, for the person who starts the server."""
    packages: Packages = field(default_factory=Packages)
    times: StepTimes = field(default_factory=StepTimes)
    """How long the plugins' steps take in this process."""

    def of(self, hook: str) -> tuple[Implementation, ...]:
        return self.implementations.get(hook, ())

    def collect(
        self, hook: str, expected: type | tuple[type, ...] = object, /, **arguments: Any
    ) -> list[tuple[str, Any]]:
        """Every value the implementations of a collector return, with its plugin's name.

        Raises PluginError, also for a value that is of another type than expected.
        """
        return [
            (implementation.plugin, value)
            for implementation in self.of(hook)
            for value in implementation.values(expected, **arguments)
        ]

    async def notify(self, hook: str, **arguments: Any) -> None:
        """Await every implementation of a notice, in order, up to the first that fails. Raises PluginError."""
        for implementation in self.of(hook):
            await _in_time(implementation, arguments)

    async def notify_all(self, hook: str, **arguments: Any) -> None:
        """As `notify`, but the failure of one plugin keeps no other from hearing. Raises the first one's error."""
        failures: list[Exception] = []
        for implementation in self.of(hook):
            try:
                await _in_time(implementation, arguments)
            except Exception as error:
                if failures:
                    logger.exception("%s failed too", hook)
                failures.append(error)
        if failures:
            raise failures[0]

    async def tell(self, hook: str, **arguments: Any) -> None:
        """As `notify_all`, where nobody can do anything about a failure any more: it goes to the log."""
        for implementation in self.of(hook):
            try:
                await _in_time(implementation, arguments)
            except Exception:
                logger.exception("plugin %r failed in %s", implementation.plugin, hook)

    @contextmanager
    def naming_places(self) -> Iterator[None]:
        """PluginErrors that leave the block name the file, and the line of a hook."""
        try:
            yield
        except PluginError as error:
            if error.place is None:
                error.place = self._place(error.plugin, error.hook)
            raise

    def _place(self, name: str, hook: str | None) -> str | None:
        for implementation in self.of(hook or ""):
            if implementation.plugin == name:
                return place_of(implementation.function)
        plugin = self.find(name)
        return None if plugin is None else place_of_class(type(plugin))

    @property
    def order(self) -> dict[str, int]:
        return {plugin.name: position for position, plugin in enumerate(self.plugins)}

    def find(self, name: str) -> Plugin | None:
        return next((plugin for plugin in self.plugins if plugin.name == name), None)


async def _in_time(implementation: Implementation, arguments: Mapping[str, Any]) -> None:
    limit_s = NOTICE_LIMITS_S.get(implementation.hook)
    limit = asyncio.timeout(limit_s)
    try:
        async with limit:
            await implementation.call(**arguments)
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise implementation.failure(f"took longer than {limit_s:g} s") from error


@dataclass(frozen=True, slots=True)
class Found:
    """Plugin classes that could be imported, and what is wrong with the others."""

    classes: tuple[type[Plugin], ...]
    problems: tuple[PluginError, ...]


def installed_plugins(enabled: str | Sequence[str] = "all") -> list[type[Plugin]]:
    """The plugin classes that `plugins.enabled` asks for, as installed distributions announce them.

    Only those are imported, so that a broken plugin can be left out. Raises PluginError for a name that is not
    installed, and for what is no plugin.
    """
    found = find_plugins(enabled)
    if found.problems:
        raise found.problems[0]
    return list(found.classes)


def find_plugins(enabled: str | Sequence[str] = "all") -> Found:
    """As `installed_plugins`, but a plugin that cannot be had keeps no other from being found."""
    points: dict[str, EntryPoint] = {}
    problems: list[PluginError] = []
    for point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda point: (point.name, point.value)):
        former = points.setdefault(point.name, point)
        if former.value != point.value:
            two = f"two installed distributions bring it: {former.value} and {point.value}"
            problems.append(PluginError(point.name, two))
    wanted = list(points) if isinstance(enabled, str) else list(dict.fromkeys(enabled))
    classes: list[type[Plugin]] = []
    for name in wanted:
        try:
            classes.append(_loaded(name, points))
        except PluginError as error:
            problems.append(error)
    return Found(tuple(classes), tuple(problems))


def without_broken(found: Found, attempt: Callable[[list[type[Plugin]]], T]) -> tuple[T, list[PluginError]]:
    """What becomes of an attempt with all plugins but those that break it, and what is wrong with these.

    Raises the PluginError of a plugin that it cannot leave out, and ConfigError.
    """
    classes, problems = list(found.classes), list(found.problems)
    while True:
        try:
            return attempt(classes), problems
        except PluginError as error:
            left = [plugin for plugin in classes if plugin.name != error.plugin]
            if len(left) == len(classes):
                raise
            classes = left
            problems.append(error)


def _loaded(name: str, points: Mapping[str, EntryPoint]) -> type[Plugin]:
    point = points.get(name)
    if point is None:
        known = ", ".join(sorted(points)) or "none"
        raise PluginError(name, f"is enabled in the configuration but not installed (installed: {known})")
    try:
        loaded = point.load()
    except (Exception, *STRAY) as error:
        if is_asked_for(error):
            raise
        problem = f"cannot be imported from {point.value}: {error}"
        raise PluginError(
            name, problem, place=place_in(error, point.value.partition(":")[0].partition(".")[0])
        ) from error
    plugin = _require_plugin_class(loaded, name)
    if plugin.name != name:
        problem = f"the entry point {point.value} names itself {plugin.name!r}"
        raise PluginError(name, problem, place=place_of_class(plugin))
    return plugin


def load_plugins(classes: Iterable[type[Plugin]], settings: Mapping[str, Mapping[str, Any]]) -> PluginSet:
    """Instantiate, validate and order plugins. Raises PluginError or ConfigError; nothing global changes."""
    chosen: dict[str, type[Plugin]] = {}
    for candidate in classes:
        plugin_class = _require_plugin_class(candidate, getattr(candidate, "__name__", str(candidate)))
        former = chosen.get(plugin_class.name)
        if former is not None:
            files = sorted({place_of_class(former), place_of_class(plugin_class)})
            raise PluginError(plugin_class.name, "two plugins have this name", place=" and ".join(files))
        chosen[plugin_class.name] = plugin_class
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    plugins: list[Plugin] = []
    try:
        for name in ordered(chosen):
            plugin = _instantiate(chosen[name], settings.get(name, {}))
            require_sound(plugin, set(chosen))
            manager.register(plugin, name=name)
            plugins.append(plugin)
    except PluginError as error:
        if error.place is None and error.plugin in chosen:
            error.place = place_of_class(chosen[error.plugin])
        raise
    implementations = _implementations(manager, plugins)
    return PluginSet(
        tuple(plugins), implementations, tuple(_deprecations(plugins, implementations)), packages_of(plugins)
    )


def _require_plugin_class(candidate: Any, shown: str) -> type[Plugin]:
    if not (isinstance(candidate, type) and issubclass(candidate, Plugin)):
        raise PluginError(shown, "is not a subclass of rocket_kernel.Plugin")
    name = getattr(candidate, "name", None)
    if not isinstance(name, str) or not name.replace("_", "").replace("-", "").isalnum():
        raise PluginError(shown, "declares no usable `name`", place=place_of_class(candidate))
    if name == _KERNEL:
        problem = f"the name {_KERNEL!r} belongs to the kernel's own steps and tables"
        raise PluginError(shown, problem, place=place_of_class(candidate))
    return candidate


def _instantiate(plugin_class: type[Plugin], values: Mapping[str, Any]) -> Plugin:
    where = f"plugins.settings.{plugin_class.name}"
    if plugin_class.Settings is None:
        if values:
            raise ConfigError(f"unknown configuration key: {where}.{next(iter(values))} (the plugin has no settings)")
        arguments: list[Any] = []
    else:
        arguments = [parse_settings(plugin_class.Settings, values, where=where)]
    try:
        return plugin_class(*arguments)
    except (Exception, *STRAY) as error:
        if isinstance(error, PluginError | ConfigError) or is_asked_for(error):
            raise
        problem = f"cannot be made: {type(error).__name__}: {error}"
        raise PluginError(plugin_class.name, problem, place=place_in(error, package_of(plugin_class))) from error


def _implementations(manager: pluggy.PluginManager, plugins: Sequence[Plugin]) -> dict[str, tuple[Implementation, ...]]:
    manager.check_pending()
    order = {plugin.name: position for position, plugin in enumerate(plugins)}
    packages = {plugin.name: package_of(type(plugin)) for plugin in plugins}
    table: dict[str, tuple[Implementation, ...]] = {}
    for name in sorted(vars(hookspecs)):
        if not hasattr(getattr(hookspecs, name), f"{hookspecs.PROJECT}_spec"):
            continue
        found = [
            Implementation(
                implementation.plugin_name,
                name,
                implementation.function,
                tuple(inspect.signature(implementation.function).parameters),
                packages[implementation.plugin_name],
            )
            for implementation in getattr(manager.hook, name).get_hookimpls()
        ]
        table[name] = tuple(sorted(found, key=lambda implementation: order[implementation.plugin]))
    return table


def _deprecations(
    plugins: Sequence[Plugin], implementations: Mapping[str, tuple[Implementation, ...]]
) -> Iterator[str]:
    for plugin in plugins:
        for text in uses_in(package_of(type(plugin))):
            yield f"plugin {plugin.name!r}: {text} ({place_of_class(type(plugin))})"
    for hook, found in implementations.items():
        options = getattr(getattr(hookspecs, hook), f"{hookspecs.PROJECT}_spec")
        for implementation in found:
            for text in uses_of_hook(options, implementation.asked):
                yield f"plugin {implementation.plugin!r}, hook {hook}: {text} ({place_of(implementation.function)})"
