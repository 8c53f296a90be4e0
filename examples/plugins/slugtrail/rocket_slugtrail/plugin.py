"""The hooks of the plugin."""

from __future__ import annotations

from collections.abc import Sequence

from rocket_kernel import Entity, Plugin, Request, Response, Stage, Step, Table, hookimpl
from rocket_slugtrail.redirect import asks_for_a_record, redirect
from rocket_slugtrail.settings import SlugtrailSettings
from rocket_slugtrail.steps import forget, keeping
from rocket_slugtrail.trail import TRAIL


class SlugtrailPlugin(Plugin):
    name = "slugtrail"
    version = "0.1.0"
    Settings = SlugtrailSettings
    settings: SlugtrailSettings

    @hookimpl
    def register_tables(self) -> Sequence[Table]:
        return [TRAIL]

    @hookimpl
    def compile_write_steps(self, entity: Entity) -> Sequence[Step]:
        if entity.slug is None:
            return []
        keep = keeping(entity.slug.field, self.settings.most_per_record)
        return [
            Step(Stage.AFTER_WRITE, "slugtrail:keep", keep, frozenset({"update"}), keeps_records=True),
            Step(Stage.AFTER_WRITE, "slugtrail:forget", forget, frozenset({"delete"}), keeps_records=True),
        ]

    @hookimpl
    async def on_response(self, request: Request, response: Response) -> None:
        if response.status == 404 and asks_for_a_record(request):
            await redirect(request, response, self.settings.status)
