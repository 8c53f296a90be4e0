"""What every plugin must do, to inherit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, ClassVar

import pytest

from rocket_kernel.clock import SystemClock
from rocket_kernel.config import Config
from rocket_kernel.errors import ConfigError
from rocket_kernel.parts import gather_parts
from rocket_kernel.plugins import ENGINE_API, ENTRY_POINT_GROUP, Plugin, PluginSet, load_plugins
from rocket_kernel.settings import parse_settings
from rocket_kernel.testing.factories import entity
from rocket_kernel.testing.running import RunningKernel, StartKernel


class PluginSuite:
    """Subclass it as `class TestMyPlugin(PluginSuite)` and name the plugin.

    class TestShouting(PluginSuite):
        plugin = Shouting
        readme = Path(__file__).parents[1] / "README.md"
    """

    plugin: ClassVar[type[Plugin]]
    with_plugins: ClassVar[Sequence[type[Plugin]]] = ()
    """Plugins that this one requires."""
    settings: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Settings of `with_plugins`, by their names. The plugin itself must start without any."""
    readme: ClassVar[Path | None] = None
    """Must name every hook and every table of the plugin."""
    distribution: ClassVar[str | None] = None
    """Must be installed and announce the plugin by an entry point. Whatever announces it must have its version."""

    def test_registers_cleanly(self) -> None:
        found = self._loaded().find(self.plugin.name)
        assert isinstance(found, self.plugin)
        assert self.plugin.version != Plugin.version, f"{self.plugin.__name__} declares no version"
        assert self.plugin.engine_api == ENGINE_API

    def test_hooks_are_implemented(self) -> None:
        assert self._hooks(), f"{self.plugin.__name__} implements no hook: are its methods marked with @hookimpl?"

    def test_settings_have_defaults(self) -> None:
        settings = self.plugin.Settings
        if settings is None:
            return
        where = f"plugins.settings.{self.plugin.name}"
        assert is_dataclass(settings)
        assert settings.__dataclass_params__.frozen, "settings are shared and must be frozen"  # type: ignore[attr-defined]
        assert parse_settings(settings, {}, where=where) == settings()
        with pytest.raises(ConfigError, match="unknown configuration key"):
            parse_settings(settings, {"no_such_setting_": 1}, where=where)

    @pytest.mark.asyncio
    async def test_starts_and_stops_twice(self, start_kernel: StartKernel) -> None:
        first = await self._start(start_kernel)
        await first.client.app("shop")
        await first.stop()
        second = await self._start(start_kernel)
        # The app was made by another kernel: now it is opened as it stands.
        await second.kernel.apps.app("shop")
        await second.stop()

    @pytest.mark.asyncio
    async def test_compiles_an_empty_entity(self, start_kernel: StartKernel) -> None:
        running = await self._start(start_kernel)
        client = await running.client.app("shop")
        await client.define(entity("empty"))
        registry = (await running.kernel.apps.app("shop")).registry
        assert "empty" in registry.compiled

    @pytest.mark.asyncio
    async def test_steps_are_named_after_the_plugin(self, start_kernel: StartKernel) -> None:
        running = await self._start(start_kernel)
        client = await running.client.app("shop")
        await client.define(entity("empty"), entity("full", name="string! unique", price="decimal:2", on="date"))
        model = (await running.kernel.apps.app("shop")).registry.model
        steps = [
            step
            for hook in running.kernel.parts.plugins.of("compile_write_steps")
            if hook.plugin == self.plugin.name
            for compiled in model.entities.values()
            for step in hook.call(entity=compiled, model=model) or ()
        ]
        assert [step.name for step in steps if not step.name.startswith(f"{self.plugin.name}:")] == []

    def test_tables_are_system_tables(self) -> None:
        assert [name for name in self._tables() if not name.startswith("_")] == []

    def test_readme_lists_hooks_and_tables(self) -> None:
        if self.readme is None:
            pytest.skip("no readme given")
        text = self.readme.read_text()
        assert [hook for hook in self._hooks() if f"`{hook}`" not in text] == [], "hooks the readme does not name"
        assert [table for table in self._tables() if f"`{table}`" not in text] == [], "tables the readme does not name"

    def test_its_distribution_announces_it(self) -> None:
        points = entry_points(group=ENTRY_POINT_GROUP, name=self.plugin.name)
        found = {point.dist.name: point for point in points if point.dist is not None}
        if self.distribution is not None:
            hint = "is it installed, with an entry point of the plugin's name? pip install --editable ."
            assert self.distribution in found, f"{self.distribution} does not announce {self.plugin.name!r}: {hint}"
        for name, point in found.items():
            # A test may run a plugin of its own that is derived from the announced one.
            assert issubclass(self.plugin, point.load()), (
                f"{name} announces another object under this name: {point.value}"
            )
            assert point.dist is not None
            assert self.plugin.version == point.dist.version, f"{name} has another version than the plugin"

    async def _start(self, start_kernel: StartKernel) -> RunningKernel:
        return await start_kernel([*self.with_plugins, self.plugin], settings=self.settings)

    def _loaded(self) -> PluginSet:
        return load_plugins([*self.with_plugins, self.plugin], self.settings)

    def _hooks(self) -> list[str]:
        implementations = self._loaded().implementations
        return [hook for hook, found in implementations.items() if any(it.plugin == self.plugin.name for it in found)]

    def _tables(self) -> list[str]:
        owners = gather_parts(Config(), SystemClock(), self._loaded(), ()).owners
        return [table for table, owner in owners.items() if owner == self.plugin.name]
