"""Plugins: discovery, strict validation, declared order, settings.

One `PluginSet` per kernel. pluggy holds the implementations; it is asked for them once, at start, and nothing goes
through it in a request.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import EntryPoint, entry_points
from typing import Any, ClassVar, TypeVar

import pluggy

from rocket_kernel import hookspecs
from rocket_kernel.actor import CallerChanged
from rocket_kernel.config import parse_settings
from rocket_kernel.errors import ConfigError, PluginError, RocketError, StartupError

ENGINE_API = 1
"""Grows when a plugin written for the former number may no longer work."""

ENTRY_POINT_GROUP = "rocket.plugins"

_KERNEL = "kernel"

T = TypeVar("T")

_PASSED_ON = (RocketError, StartupError, CallerChanged)
"""What an implementation may raise; anything else is a defect of the plugin."""


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
class Implementation:
    """One plugin's implementation of one hook."""

    plugin: str
    hook: str
    function: Callable[..., Any]
    asked: tuple[str, ...]
    """Names of the parameters that it has, in its own order."""

    def call(self, **arguments: Any) -> Any:
        """Call with those arguments the implementation asks for; what it raises is named after plugin and hook.

        Of an async implementation it is the coroutine, with the same names on what that raises.
        """
        try:
            result = self.function(**self._chosen(arguments))
        except _PASSED_ON:
            raise
        except Exception as error:
            raise self._defect(error) from error
        return self._awaited(result) if inspect.iscoroutine(result) else result

    def values(self, **arguments: Any) -> list[Any]:
        """What a collector returns; None is nothing."""
        try:
            return list(self.call(**arguments) or ())
        except _PASSED_ON:
            raise
        except Exception as error:  # it is no sequence, or a generator that fails
            raise self._defect(error) from error

    async def _awaited(self, running: Coroutine[Any, Any, Any]) -> Any:
        try:
            return await running
        except _PASSED_ON:
            raise
        except Exception as error:
            raise self._defect(error) from error

    def _defect(self, error: Exception) -> PluginError:
        return PluginError(self.plugin, f"raised {type(error).__name__}: {error}", hook=self.hook)

    def participant(self, *parameters: str) -> Callable[..., Any]:
        """An async implementation as a callable of these parameters by position, whichever of them it asks for.

        A defect leaves as PluginError, so that the log names plugin and hook; a RocketError leaves as it is.
        """
        function, asked = self.function, self.asked
        if asked == parameters:
            in_order = function
        else:

            def in_order(*values: Any) -> Any:
                named = zip(parameters, values, strict=True)
                return function(**{name: value for name, value in named if name in asked})

        async def call(*values: Any) -> Any:
            try:
                return await in_order(*values)
            except _PASSED_ON:
                raise
            except Exception as error:
                raise PluginError(self.plugin, f"raised {type(error).__name__}", hook=self.hook) from error

        return call

    def _chosen(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return {name: arguments[name] for name in self.asked if name in arguments}


@dataclass(frozen=True, slots=True)
class PluginSet:
    """The plugins of one kernel, in declared order."""

    plugins: tuple[Plugin, ...]
    implementations: Mapping[str, tuple[Implementation, ...]]
    """By hook, in declared plugin order."""

    def of(self, hook: str) -> tuple[Implementation, ...]:
        return self.implementations.get(hook, ())

    def collect(self, hook: str, **arguments: Any) -> list[tuple[str, Any]]:
        """Every value the implementations of a collector return, with its plugin's name."""
        return [
            (implementation.plugin, value)
            for implementation in self.of(hook)
            for value in implementation.values(**arguments)
        ]

    async def notify(self, hook: str, **arguments: Any) -> None:
        """Await every implementation of a notice, in order. Raises PluginError."""
        for implementation in self.of(hook):
            await implementation.call(**arguments)

    @property
    def order(self) -> dict[str, int]:
        return {plugin.name: position for position, plugin in enumerate(self.plugins)}

    def find(self, name: str) -> Plugin | None:
        return next((plugin for plugin in self.plugins if plugin.name == name), None)


def installed_plugins(enabled: str | Sequence[str] = "all") -> list[type[Plugin]]:
    """The plugin classes that `plugins.enabled` asks for, as installed distributions announce them.

    Only those are imported, so that a broken plugin can be left out. Raises PluginError for a name that is not
    installed, and for what is no plugin.
    """
    points: dict[str, EntryPoint] = {}
    for point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda point: (point.name, point.value)):
        former = points.setdefault(point.name, point)
        if former.value != point.value:
            raise PluginError(point.name, f"two installed distributions bring it: {former.value} and {point.value}")
    wanted = list(points) if isinstance(enabled, str) else list(dict.fromkeys(enabled))
    for name in wanted:
        if name not in points:
            known = ", ".join(sorted(points)) or "none"
            raise PluginError(name, f"is enabled in the configuration but not installed (installed: {known})")
    return [_loaded(points[name]) for name in wanted]


def _loaded(point: EntryPoint) -> type[Plugin]:
    try:
        loaded = point.load()
    except Exception as error:
        raise PluginError(point.name, f"cannot be imported from {point.value}: {error}") from error
    plugin = _require_plugin_class(loaded, point.name)
    if plugin.name != point.name:
        raise PluginError(point.name, f"the entry point {point.value} names itself {plugin.name!r}")
    return plugin


def load_plugins(classes: Iterable[type[Plugin]], settings: Mapping[str, Mapping[str, Any]]) -> PluginSet:
    """Instantiate, validate and order plugins. Raises PluginError or ConfigError; nothing global changes."""
    chosen: dict[str, type[Plugin]] = {}
    for candidate in classes:
        plugin_class = _require_plugin_class(candidate, getattr(candidate, "__name__", str(candidate)))
        if plugin_class.name in chosen:
            raise PluginError(plugin_class.name, "two plugins have this name")
        chosen[plugin_class.name] = plugin_class
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    plugins = [_instantiate(chosen[name], settings.get(name, {})) for name in _ordered(chosen)]
    for plugin in plugins:
        _validate(plugin, set(chosen))
        manager.register(plugin, name=plugin.name)
    return PluginSet(tuple(plugins), _implementations(manager, plugins))


def _require_plugin_class(candidate: Any, shown: str) -> type[Plugin]:
    if not (isinstance(candidate, type) and issubclass(candidate, Plugin)):
        raise PluginError(shown, "is not a subclass of rocket_kernel.Plugin")
    name = getattr(candidate, "name", None)
    if not isinstance(name, str) or not name.replace("_", "").replace("-", "").isalnum():
        raise PluginError(shown, "declares no usable `name`")
    if name == _KERNEL:
        raise PluginError(shown, f"the name {_KERNEL!r} belongs to the kernel's own steps and tables")
    return candidate


def _instantiate(plugin_class: type[Plugin], values: Mapping[str, Any]) -> Plugin:
    where = f"plugins.settings.{plugin_class.name}"
    if plugin_class.Settings is None:
        if values:
            raise ConfigError(f"unknown configuration key: {where}.{next(iter(values))} (the plugin has no settings)")
        return plugin_class()
    return plugin_class(parse_settings(plugin_class.Settings, values, where=where))


def _ordered(chosen: Mapping[str, type[Plugin]]) -> list[str]:
    """Names sorted by `after` and `before`, and by name where those leave it open."""
    earlier: dict[str, set[str]] = {name: set() for name in sorted(chosen)}
    for name, plugin in chosen.items():
        earlier[name].update(other for other in plugin.after if other in chosen)
        for other in plugin.before:
            if other in chosen:
                earlier[other].add(name)
    sorter = TopologicalSorter(earlier)
    try:
        sorter.prepare()
    except CycleError as error:
        cycle = " -> ".join(error.args[1])
        raise PluginError(error.args[1][0], f"the declared order has a cycle: {cycle}") from error
    order: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        order.extend(ready)
        sorter.done(*ready)
    return order


def _validate(plugin: Plugin, names: set[str]) -> None:
    if plugin.engine_api != ENGINE_API:
        raise PluginError(plugin.name, f"was built for engine API {plugin.engine_api}, this kernel has {ENGINE_API}")
    for required in plugin.requires:
        if required not in names:
            raise PluginError(plugin.name, f"requires the plugin {required!r}, which is not enabled")
    for name, method in inspect.getmembers(plugin, callable):
        spec = getattr(hookspecs, name, None)
        is_spec = hasattr(spec, f"{hookspecs.PROJECT}_spec")
        marked = hasattr(method, f"{hookspecs.PROJECT}_impl")
        if marked and not is_spec:
            raise PluginError(plugin.name, "there is no hook of this name", hook=name)
        if is_spec and not marked:
            raise PluginError(plugin.name, "is not marked with @hookimpl", hook=name)
        if marked:
            _validate_signature(plugin, name, method, spec)


def _validate_signature(plugin: Plugin, name: str, method: Callable[..., Any], spec: Any) -> None:
    options = getattr(method, f"{hookspecs.PROJECT}_impl")
    if options.get("wrapper") or options.get("hookwrapper") or options.get("tryfirst") or options.get("trylast"):
        raise PluginError(plugin.name, "wrappers, tryfirst and trylast are refused: declare `after`", hook=name)
    expected_async = inspect.iscoroutinefunction(spec)
    if inspect.iscoroutinefunction(method) is not expected_async:
        raise PluginError(plugin.name, f"must be {'async def' if expected_async else 'a plain def'}", hook=name)
    known = set(inspect.signature(spec).parameters)
    for parameter in inspect.signature(method).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise PluginError(plugin.name, "must name its parameters, without * and **", hook=name)
        if parameter.name not in known:
            raise PluginError(plugin.name, f"has an unknown parameter {parameter.name!r}", hook=name)
        if parameter.default is not parameter.empty:
            raise PluginError(plugin.name, f"must not give {parameter.name!r} a default", hook=name)


def _implementations(manager: pluggy.PluginManager, plugins: Sequence[Plugin]) -> dict[str, tuple[Implementation, ...]]:
    manager.check_pending()
    order = {plugin.name: position for position, plugin in enumerate(plugins)}
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
            )
            for implementation in getattr(manager.hook, name).get_hookimpls()
        ]
        table[name] = tuple(sorted(found, key=lambda implementation: order[implementation.plugin]))
    return table
