from pathlib import Path

import pytest

from rocket_kernel import ConfigError
from rocket_kernel.testing import PluginSuite
from rocket_quota import QuotaPlugin


class TestQuota(PluginSuite):
    plugin = QuotaPlugin
    readme = Path(__file__).parents[1] / "README.md"


WRONG = [
    ({"roles": {"clerk": -1}}, "wrong value for plugins.settings.quota.roles.clerk"),
    ({"roles": {"clerk": "3"}}, "wrong value for plugins.settings.quota.roles.clerk"),
    ({"roles": {"clerk": 2.5}}, "wrong value for plugins.settings.quota.roles.clerk"),
    ({"roles": {"clerk": None}}, "wrong value for plugins.settings.quota.roles.clerk"),
    ({"roles": {"clerk": 2**31}}, "wrong value for plugins.settings.quota.roles.clerk"),
    ({"roles": ["clerk"]}, "wrong value for plugins.settings.quota.roles"),
    ({"roles": {"Clerk": 1}}, "'Clerk' is no name of a role in lower case"),
    ({"roles": {"": 1}}, "'' is no name of a role in lower case"),
    ({"window_s": 0}, "wrong value for plugins.settings.quota.window_s"),
    ({"others": True}, "wrong value for plugins.settings.quota.others"),
    ({"limit": 3}, "unknown configuration key: plugins.settings.quota.limit"),
]


@pytest.mark.parametrize(("values", "message"), WRONG)
async def test_settings_are_checked_at_start(start_kernel, values, message):
    with pytest.raises(ConfigError, match=message):
        await start_kernel([QuotaPlugin], settings={"quota": values})
