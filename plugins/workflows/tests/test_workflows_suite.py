from pathlib import Path

from rocket_kernel.testing import PluginSuite
from rocket_workflows import WorkflowsPlugin


class TestWorkflows(PluginSuite):
    plugin = WorkflowsPlugin
    readme = Path(__file__).parents[1] / "README.md"
