"""What a plugin class must be before it may take part: pure checks, all of them at start."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

from rocket_kernel import hookspecs
from rocket_kernel.blame import place_of
from rocket_kernel.errors import PluginError

if TYPE_CHECKING:
    from rocket_kernel.plugins import Plugin

ENGINE_API = 1
"""Grows when a plugin written for the former number may no longer work."""

OLDEST_ENGINE_API = 1
"""Plugins written for it still work. It follows `ENGINE_API` when the deprecation period is over."""


def ordered(chosen: Mapping[str, type[Plugin]]) -> list[str]:
    """Names sorted by `after` and `before`, and by name where those leave it open. Raises PluginError."""
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


def require_engine_api(plugin: type[Plugin]) -> None:
    number = plugin.engine_api
    if type(number) is not int:
        raise PluginError(plugin.name, f"declares engine_api {number!r}, which is no whole number")
    built_for = f"was built for engine API {number}, this kernel has {ENGINE_API}"
    if number > ENGINE_API:
        raise PluginError(plugin.name, f"{built_for}: it needs a newer rocket-kernel")
    if number < OLDEST_ENGINE_API:
        raise PluginError(plugin.name, f"{built_for}: it needs a newer release of the plugin")


def require_sound(plugin: Plugin, names: set[str]) -> None:
    """`names` are those of all plugins that take part. Raises PluginError."""
    require_engine_api(type(plugin))
    for required in plugin.requires:
        if required not in names:
            raise PluginError(plugin.name, f"requires the plugin {required!r}, which is not enabled")
    for name, method in inspect.getmembers(plugin, callable):
        spec = getattr(hookspecs, name, None)
        is_spec = hasattr(spec, f"{hookspecs.PROJECT}_spec")
        marked = hasattr(method, f"{hookspecs.PROJECT}_impl")
        problem = None
        if marked and not is_spec:
            problem = "there is no hook of this name"
        elif is_spec and not marked:
            problem = "is not marked with @hookimpl"
        elif marked:
            problem = _fault_of_signature(method, spec)
        if problem is not None:
            raise PluginError(plugin.name, problem, hook=name, place=place_of(method))


def _fault_of_signature(method: Callable[..., Any], spec: Any) -> str | None:
    options = getattr(method, f"{hookspecs.PROJECT}_impl")
    if options.get("wrapper") or options.get("hookwrapper") or options.get("tryfirst") or options.get("trylast"):
        return "wrappers, tryfirst and trylast are refused: declare `after`"
    expected_async = inspect.iscoroutinefunction(spec)
    if inspect.iscoroutinefunction(method) is not expected_async:
        return f"must be {'async def' if expected_async else 'a plain def'}"
    known = set(inspect.signature(spec).parameters)
    for parameter in inspect.signature(method).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            return "must name its parameters, without * and **"
        if parameter.name not in known:
            return f"has an unknown parameter {parameter.name!r}"
        if parameter.default is not parameter.empty:
            return f"must not give {parameter.name!r} a default"
    return None
