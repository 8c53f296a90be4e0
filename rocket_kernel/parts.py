"""What every room of one kernel shares: made once at start, then frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from rocket_kernel.actions import ENGINE_ACTIONS, ActionType
from rocket_kernel.apps.system_tables import MANAGEMENT_TABLES, STATE
from rocket_kernel.clock import Clock
from rocket_kernel.config import Config
from rocket_kernel.errors import PluginError
from rocket_kernel.expressions.functions import BUILT_IN as BUILT_IN_FUNCTIONS
from rocket_kernel.expressions.functions import Function
from rocket_kernel.expressions.parse import is_name
from rocket_kernel.metadata.catalog import Kinds
from rocket_kernel.metadata.field_types import BUILT_IN, FieldType
from rocket_kernel.metadata.kernel_kinds import ENTITY_KIND, RELATION_KIND
from rocket_kernel.metadata.kinds import MetadataKind
from rocket_kernel.metadata.model import Model
from rocket_kernel.plugins import PluginSet
from rocket_kernel.store.columns import Table

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


def gather_parts(config: Config, clock: Clock, plugins: PluginSet, kernel_tables: tuple[Table, ...]) -> Parts:
    """Ask the collectors once. Raises PluginError when two plugins claim one name."""
    kinds = _unique_kinds(plugins)
    types = _unique_types(plugins)
    own = (STATE, *kernel_tables, ENTITY_KIND.table, RELATION_KIND.table, *MANAGEMENT_TABLES)
    owners = {table.name: KERNEL for table in own}
    tables = list(kernel_tables)
    claims = [(plugin, kind.table) for plugin, kind in kinds if plugin != KERNEL]
    registered = plugins.collect("register_tables")
    shared = plugins.collect("register_platform_tables")
    for plugin, table in (*claims, *registered, *shared):
        if not table.name.startswith("_"):
            raise PluginError(plugin, f"system table {table.name!r} must begin with '_'", hook="register_tables")
        if table.name in owners:
            raise PluginError(plugin, f"table {table.name!r} belongs to {owners[table.name]!r}")
        owners[table.name] = plugin
    tables.extend(table for _, table in registered)
    return Parts(
        config=config,
        clock=clock,
        plugins=plugins,
        kinds=Kinds(tuple(kind for _, kind in kinds)),
        empty_model=Model(types, actions=_unique_actions(plugins), functions=_unique_functions(plugins)),
        tables=tuple(tables),
        platform_tables=tuple(table for _, table in shared),
        owners=owners,
    )


def _unique_types(plugins: PluginSet) -> Mapping[str, FieldType]:
    types = dict(BUILT_IN)
    for plugin, type in plugins.collect("register_field_types"):
        if type.name in types:
            raise PluginError(plugin, f"field type {type.name!r} is taken", hook="register_field_types")
        types[type.name] = type
    return types


def _unique_actions(plugins: PluginSet) -> Mapping[str, ActionType]:
    actions: dict[str, ActionType] = {}
    for plugin, action in plugins.collect("register_actions"):
        if action.name in actions or action.name in ENGINE_ACTIONS:
            raise PluginError(plugin, f"action type {action.name!r} is taken", hook="register_actions")
        actions[action.name] = action
    return actions


def _unique_functions(plugins: PluginSet) -> Mapping[str, Function]:
    functions: dict[str, Function] = {}
    for plugin, function in plugins.collect("register_functions"):
        if not is_name(function.name):
            message = f"{function.name!r} is no name that expressions can call"
            raise PluginError(plugin, message, hook="register_functions")
        if function.name in functions or function.name in BUILT_IN_FUNCTIONS:
            raise PluginError(plugin, f"function {function.name!r} is taken", hook="register_functions")
        functions[function.name] = function
    return functions


def _unique_kinds(plugins: PluginSet) -> list[tuple[str, MetadataKind[Any]]]:
    declared = [(KERNEL, ENTITY_KIND), (KERNEL, RELATION_KIND), *plugins.collect("register_metadata_kinds")]
    seen: dict[str, str] = {}
    for plugin, kind in declared:
        for claim in (f"name {kind.name}", f"path {kind.path}"):
            if claim in seen:
                message = f"metadata kind with the {claim!r} is declared by {seen[claim]!r} too"
                raise PluginError(plugin, message, hook="register_metadata_kinds")
            seen[claim] = plugin
    return sorted(declared, key=lambda entry: (entry[1].rank, entry[1].name))
