from pathlib import Path

from rocket_geo import GeoPlugin
from rocket_kernel.testing import PluginSuite


class TestGeo(PluginSuite):
    plugin = GeoPlugin
    readme = Path(__file__).parents[1] / "README.md"
