"""The hooks of the plugin."""

from __future__ import annotations

from collections.abc import Sequence

from rocket_geo.field_type import POINT
from rocket_geo.functions import DISTANCE
from rocket_kernel import FieldType, Function, Plugin, hookimpl


class GeoPlugin(Plugin):
    name = "geo"
    version = "0.1.0"

    @hookimpl
    def register_field_types(self) -> Sequence[FieldType]:
        return [POINT]

    @hookimpl
    def register_functions(self) -> Sequence[Function]:
        return [DISTANCE]
