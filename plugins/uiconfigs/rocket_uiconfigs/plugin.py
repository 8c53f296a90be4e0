"""The hooks of the plugin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rocket_kernel import MetadataKind, Plugin, Route, hookimpl
from rocket_uiconfigs.model import UI_CONFIG_KIND
from rocket_uiconfigs.routes import ROUTES


class UiConfigsPlugin(Plugin):
    name = "uiconfigs"
    version = "0.1.0"

    @hookimpl
    def register_metadata_kinds(self) -> Sequence[MetadataKind[Any]]:
        return [UI_CONFIG_KIND]

    @hookimpl
    def register_routes(self) -> Sequence[Route]:
        return ROUTES
