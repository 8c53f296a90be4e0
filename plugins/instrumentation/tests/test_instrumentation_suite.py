from pathlib import Path

from rocket_instrumentation import InstrumentationPlugin
from rocket_kernel.testing import PluginSuite


class TestInstrumentation(PluginSuite):
    plugin = InstrumentationPlugin
    readme = Path(__file__).parents[1] / "README.md"
