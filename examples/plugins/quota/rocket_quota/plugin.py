"""The hooks of the plugin."""

from __future__ import annotations

from collections.abc import Sequence

from rocket_kernel import Function, Plugin, Route, Table, Write, hookimpl
from rocket_quota.functions import quota_limit
from rocket_quota.routes import routes
from rocket_quota.settings import QuotaSettings
from rocket_quota.spending import spend
from rocket_quota.use import USE


class QuotaPlugin(Plugin):
    name = "quota"
    version = "0.1.0"
    Settings = QuotaSettings
    settings: QuotaSettings

    def __init__(self, settings: QuotaSettings | None = None) -> None:
        super().__init__(settings or QuotaSettings())

    @hookimpl
    def register_tables(self) -> Sequence[Table]:
        return [USE]

    @hookimpl
    def register_routes(self) -> Sequence[Route]:
        return routes(self.settings)

    @hookimpl
    def register_functions(self) -> Sequence[Function]:
        return [quota_limit(self.settings)]

    @hookimpl
    async def before_write(self, write: Write) -> None:
        await spend(write, self.settings)

    @hookimpl
    async def before_delete(self, write: Write) -> None:
        await spend(write, self.settings)
