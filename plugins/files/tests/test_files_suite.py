from pathlib import Path

from rocket_files import FilesPlugin
from rocket_kernel.testing import PluginSuite


class TestFiles(PluginSuite):
    plugin = FilesPlugin
    readme = Path(__file__).parents[1] / "README.md"
