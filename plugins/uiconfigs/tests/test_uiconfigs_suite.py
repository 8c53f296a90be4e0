from pathlib import Path

from rocket_kernel.testing import PluginSuite
from rocket_uiconfigs import UiConfigsPlugin


class TestUiConfigs(PluginSuite):
    plugin = UiConfigsPlugin
    readme = Path(__file__).parents[1] / "README.md"
