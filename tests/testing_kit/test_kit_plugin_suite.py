"""The suite passes for a sound plugin here, and fails for unsound ones in runs of their own."""

from dataclasses import dataclass

import pytest

from rocket_kernel import Plugin, hookimpl
from rocket_kernel.store.columns import Column, ColumnType, Storage, Table
from rocket_kernel.testing import PluginSuite
from rocket_kernel.write.stages import Stage, Step

pytest_plugins = ["pytester"]


@dataclass(frozen=True, slots=True)
class ShoutingSettings:
    mark: str = "!"


class Shouting(Plugin):
    name = "shouting"
    version = "1.0"
    requires = ("whispering",)
    Settings = ShoutingSettings

    @hookimpl
    def register_tables(self):
        return [Table("_shouts", (Column("name", ColumnType(Storage.TEXT), nullable=False),), ("name",))]

    @hookimpl
    def compile_write_steps(self, entity):
        return [Step(Stage.RULES, f"shouting:{entity.name}", self.shout)]

    async def shout(self, write):
        pass


@dataclass(frozen=True, slots=True)
class WhisperingSettings:
    volume: int


class Whispering(Plugin):
    name = "whispering"
    version = "1.0"
    Settings = WhisperingSettings

    @hookimpl
    async def on_started(self):
        pass


class TestShouting(PluginSuite):
    plugin = Shouting
    with_plugins = (Whispering,)
    settings = {"whispering": {"volume": 1}}  # noqa: RUF012

    @pytest.fixture(autouse=True)
    def write_readme(self, tmp_path):
        readme = tmp_path / "README.md"
        readme.write_text("Hooks: `register_tables`, `compile_write_steps`. Tables: `_shouts`.")
        type(self).readme = readme


class TestWithoutReadme(PluginSuite):
    class Quiet(Plugin):
        name = "quiet"
        version = "1"

        @hookimpl
        async def on_stopping(self):
            pass

    plugin = Quiet


def test_the_suite_itself_is_not_collected(run_inside):
    run_inside("from rocket_kernel.testing import PluginSuite").assert_outcomes()


UNSOUND = """
from dataclasses import dataclass
from pathlib import Path

from rocket_kernel import Plugin, hookimpl
from rocket_kernel.testing import PluginSuite

{parts}

class Unsound(Plugin):
    name = "unsound"
    version = "1.0"

{flaw}

class TestUnsound(PluginSuite):
    plugin = Unsound
    readme = Path(__file__).with_suffix(".md")
    distribution = getattr(Unsound, "announced_by", None)
"""
STARTS = """
    @hookimpl
    async def on_started(self):
        pass
"""
FLAWS = {
    "test_registers_cleanly": f"{STARTS}\n    version = Plugin.version",
    "test_hooks_are_implemented": "    pass",
    "test_settings_have_defaults": f"{STARTS}\n    Settings = NoDefault",
    "test_starts_and_stops_twice": """
    @hookimpl
    async def on_started(self):
        Path("started").touch(exist_ok=False)
""",
    "test_compiles_an_empty_entity": """
    @hookimpl
    def compile_write_steps(self, entity):
        return entity.fields["title"]
""",
    "test_steps_are_named_after_the_plugin": """
    @hookimpl
    def compile_write_steps(self, entity):
        return [Step(Stage.RULES, "sound:rules", None)]
""",
    "test_tables_are_system_tables": """
    @hookimpl
    def register_tables(self):
        return [Table("unsound", (Column("a", ColumnType(Storage.TEXT)),), ("a",))]
""",
    "test_its_distribution_announces_it": f"{STARTS}\n    announced_by = 'rocket-unsound'",
    "test_readme_lists_hooks_and_tables": STARTS.replace("on_started", "on_stopping"),
}
PARTS = """
from rocket_kernel.store.columns import Column, ColumnType, Storage, Table
from rocket_kernel.write.stages import Stage, Step

@dataclass(frozen=True)
class NoDefault:
    needed: int
"""


@pytest.mark.parametrize("test", FLAWS)
def test_an_unsound_plugin_fails(run_inside, pytester, test):
    source = UNSOUND.format(parts=PARTS, flaw=FLAWS[test])
    (pytester.path / "test_an_unsound_plugin_fails.md").write_text("`on_started` `compile_write_steps`")
    run_inside(source, "-k", f"{test} and not postgres", mode="strict").assert_outcomes(
        failed=1, deselected=len(FLAWS) + 2
    )


def test_every_test_of_the_suite_is_seen_to_fail():
    assert set(FLAWS) == {name for name in dir(PluginSuite) if name.startswith("test_")}
