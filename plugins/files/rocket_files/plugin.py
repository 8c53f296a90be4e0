"""The hooks of the plugin."""

from __future__ import annotations

from collections.abc import Sequence

from rocket_files.blobs import Blobs
from rocket_files.cleanup import EVERY_S, clean_up
from rocket_files.file_field import FILE
from rocket_files.resolve import compile_steps
from rocket_files.routes import routes
from rocket_files.settings import FilesSettings
from rocket_files.stored_file import FILES
from rocket_kernel import Config, Entity, FieldType, Job, JobRun, Kernel, Plugin, Route, Step, Table, hookimpl


class FilesPlugin(Plugin):
    name = "files"
    version = "0.1.0"
    Settings = FilesSettings

    settings: FilesSettings

    def __init__(self, settings: FilesSettings | None = None) -> None:
        super().__init__(settings or FilesSettings())
        self._blobs = Blobs()

    @hookimpl
    def register_field_types(self) -> Sequence[FieldType]:
        return [FILE]

    @hookimpl
    def register_tables(self) -> Sequence[Table]:
        return [FILES]

    @hookimpl
    def register_routes(self) -> Sequence[Route]:
        return routes(self._blobs, self.settings)

    @hookimpl
    def register_jobs(self) -> Sequence[Job]:
        return [Job(name="files:clean_up", run=self._clean_up, every_s=EVERY_S)]

    @hookimpl
    def compile_write_steps(self, entity: Entity) -> Sequence[Step]:
        return compile_steps(entity, lock=self.settings.delete_unreferenced_days > 0)

    @hookimpl
    async def on_started(self, kernel: Kernel) -> None:
        # A storage that is configured wrongly stops the start, and not the first upload.
        self._blobs.store(kernel.parts.config.storage)

    @hookimpl
    async def on_stopping(self) -> None:
        self._blobs.close()

    @hookimpl
    async def on_app_deleted(self, name: str, config: Config) -> None:
        await self._blobs.store(config.storage).delete_app(name)

    async def _clean_up(self, run: JobRun) -> None:
        store = self._blobs.store(run.app.parts.config.storage)
        await clean_up(store, run, unreferenced_days=self.settings.delete_unreferenced_days)
