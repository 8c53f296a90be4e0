from __future__ import annotations

from pathlib import Path

from rocket_kernel.testing import PluginSuite
from rocket_webhooks import WebhooksPlugin


class TestWebhooks(PluginSuite):
    plugin = WebhooksPlugin
    readme = Path(__file__).parents[1] / "README.md"
