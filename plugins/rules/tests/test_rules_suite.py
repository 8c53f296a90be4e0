from __future__ import annotations

from pathlib import Path

from rocket_kernel.testing import PluginSuite
from rocket_rules import RulesPlugin


class TestRules(PluginSuite):
    plugin = RulesPlugin
    readme = Path(__file__).parents[1] / "README.md"
