"""What every plugin must do."""

from __future__ import annotations

from pathlib import Path

from rocket_auth.testing import QuickAuth
from rocket_kernel.testing import Actors, PluginSuite


class TestAuth(PluginSuite):
    plugin = QuickAuth
    with_plugins = (Actors,)  # who says who calls, so that the suite need not sign in
    readme = Path(__file__).parents[1] / "README.md"
