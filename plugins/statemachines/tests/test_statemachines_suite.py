"""What every plugin must do."""

from pathlib import Path

from rocket_kernel.testing import PluginSuite
from rocket_statemachines import StateMachinesPlugin


class TestStateMachines(PluginSuite):
    plugin = StateMachinesPlugin
    readme = Path(__file__).parents[1] / "README.md"
