"""What every room of one kernel shares: made once at start, then frozen."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from rocket_kernel.actions import ENGINE_ACTIONS, ActionType
from rocket_kernel.apps.system_tables import MANAGEMENT_TABLES, STATE
from rocket_kernel.clock import Clock
from rocket_kernel.config import Config
from rocket_kernel.errors import PluginError
from rocket_kernel.expressions.functions import BUILT_IN as BUILT_IN_FUNCTIONS
from rocket_kernel.expressions.functions import Function
from rocket_kernel.expressions.parse import is_name
from rocket_kernel.metadata.catalog import Kinds
from rocket_kernel.metadata.entity import PROPERTY_PLUGINS
from rocket_kernel.metadata.field_types import BUILT_IN, FieldType
from rocket_kernel.metadata.kernel_kinds import ENTITY_KIND, RELATION_KIND
from rocket_kernel.metadata.kinds import MetadataKind
from rocket_kernel.metadata.model import Model
from rocket_kernel.plugins import PluginSet
from rocket_kernel.store.columns import Table
from rocket_kernel.tracing import Tracer

KERNEL = "kernel"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Parts:
    config: Config
    clock: Clock
    plugins: PluginSet
    kinds: Kinds
    empty_model: Model
    """No definitions, but everything that definitions may name."""
    tables: tuple[Table, ...]
    """System tables of every app beside those of the kinds, the kernel's own first."""
    platform_tables: tuple[Table, ...]
    """Tables of plugins in the management database."""
    owners: Mapping[str, str]
    """Plugin by the name of its system table."""
    tracer: Tracer | None = None
    """None when nobody listens to what requests do."""


def gather_parts(config: Config, clock: Clock, plugins: PluginSet, kernel_tables: tuple[Table, ...]) -> Parts:
    """Ask the collectors once. Raises PluginError when two plugins claim one name."""
    kinds = _unique_kinds(plugins)
    types = _unique_types(plugins)
    own = (STATE, *kernel_tables, ENTITY_KIND.table, RELATION_KIND.table, *MANAGEMENT_TABLES)
    owners = {table.name: KERNEL for table in own}
    tables = list(kernel_tables)
    claims = [(plugin, kind.table) for plugin, kind in kinds if plugin != KERNEL]
    registered = plugins.collect("register_tables", Table)
    shared = plugins.collect("register_platform_tables", Table)
    for hook, declared in (
        ("register_metadata_kinds", claims),
        ("register_tables", registered),
        ("register_platform_tables", shared),
    ):
        for plugin, table in declared:
            if not table.name.startswith("_"):
                raise PluginError(plugin, f"system table {table.name!r} must begin with '_'", hook=hook)
            if table.name in owners:
                raise PluginError(plugin, f"table {table.name!r} belongs to {owners[table.name]!r}", hook=hook)
            owners[table.name] = plugin
    tables.extend(table for _, table in registered)
    return Parts(
        config=config,
        clock=clock,
        plugins=plugins,
        kinds=Kinds(tuple(kind for _, kind in kinds)),
        empty_model=Model(
            types,
            actions=_unique_actions(plugins),
            functions=_unique_functions(plugins),
            properties=_properties(plugins),
        ),
        tables=tuple(tables),
        platform_tables=tuple(table for _, table in shared),
        owners=owners,
        tracer=_tracer(plugins, clock),
    )


def _tracer(plugins: PluginSet, clock: Clock) -> Tracer | None:
    sinks = tuple(sink for _, sink in plugins.collect("register_span_sinks"))
    return Tracer(sinks, clock) if sinks else None


def _unique_types(plugins: PluginSet) -> Mapping[str, FieldType]:
    return {**BUILT_IN, **_unique(plugins, "register_field_types", FieldType, "field type", BUILT_IN)}


def _properties(plugins: PluginSet) -> frozenset[str]:
    owners: dict[str, str] = {}
    for plugin, name in plugins.collect("register_entity_properties", str):
        if name not in PROPERTY_PLUGINS:
            message = f"{name!r} is no property that the kernel leaves to plugins"
            raise PluginError(plugin, message, hook="register_entity_properties")
        if name in owners:
            message = f"property {name!r} belongs to {owners[name]!r}"
            raise PluginError(plugin, message, hook="register_entity_properties")
        owners[name] = plugin
    return frozenset(owners)


def _unique_actions(plugins: PluginSet) -> Mapping[str, ActionType]:
    return _unique(plugins, "register_actions", ActionType, "action type", ENGINE_ACTIONS)


def _unique_functions(plugins: PluginSet) -> Mapping[str, Function]:
    for plugin, function in plugins.collect("register_functions", Function):
        if not is_name(function.name):
            message = f"{function.name!r} is no name that expressions can call"
            raise PluginError(plugin, message, hook="register_functions")
    return _unique(plugins, "register_functions", Function, "function", BUILT_IN_FUNCTIONS)


class _Named(Protocol):
    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=_Named)


def _unique(plugins: PluginSet, hook: str, expected: type[N], noun: str, own: Container[str]) -> dict[str, N]:
    """What a collector returns, by name. Raises PluginError, with the name of whoever has taken a name first."""
    found: dict[str, N] = {}
    owners: dict[str, str] = {}
    for plugin, value in plugins.collect(hook, expected):
        owner = KERNEL if value.name in own else owners.get(value.name)
        if owner is not None:
            raise PluginError(plugin, f"{noun} {value.name!r} is taken by {owner!r}", hook=hook)
        owners[value.name] = plugin
        found[value.name] = value
    return found


def _unique_kinds(plugins: PluginSet) -> list[tuple[str, MetadataKind[Any]]]:
    registered = plugins.collect("register_metadata_kinds", MetadataKind)
    declared = [(KERNEL, ENTITY_KIND), (KERNEL, RELATION_KIND), *registered]
    seen: dict[str, str] = {}
    for plugin, kind in declared:
        for claim in (f"name {kind.name}", f"path {kind.path}"):
            if claim in seen:
                message = f"metadata kind with the {claim!r} is declared by {seen[claim]!r} too"
                raise PluginError(plugin, message, hook="register_metadata_kinds")
            seen[claim] = plugin
    return sorted(declared, key=lambda entry: (entry[1].rank, entry[1].name))
