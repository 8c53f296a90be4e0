from pathlib import Path

import pytest

from rocket_kernel import ConfigError
from rocket_kernel.testing import PluginSuite
from rocket_slugtrail import SlugtrailPlugin


class TestSlugtrail(PluginSuite):
    plugin = SlugtrailPlugin
    readme = Path(__file__).parents[1] / "README.md"


@pytest.mark.parametrize("values", [{"status": 302}, {"status": "308"}, {"most_per_record": 0}, {"most": 5}])
async def test_settings_are_checked_at_start(start_kernel, values):
    with pytest.raises(ConfigError, match=r"plugins\.settings\.slugtrail"):
        await start_kernel([SlugtrailPlugin], settings={"slugtrail": values})
