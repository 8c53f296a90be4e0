"""`GET /metrics`: contract §16.7. Gathers what the kernel and all plugins declare, over all processes of the server."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from itertools import count

from rocket_instrumentation.described import METRICS
from rocket_instrumentation.metrics_access import require_metrics_reader
from rocket_instrumentation.metrics_apps import AppFigures
from rocket_instrumentation.metrics_figures import Declared, Figures, ProcessFigures, Reader, add_up
from rocket_instrumentation.metrics_process import ProcessFigures as OfProcess
from rocket_instrumentation.metrics_requests import RequestCounts
from rocket_instrumentation.metrics_share import Shared
from rocket_instrumentation.metrics_text import CONTENT_TYPE, exposition
from rocket_kernel import AccessClass, AppMetric, Kernel, Metric, MetricType, Request, Response, Route

logger = logging.getLogger(__name__)

OWNER = "instrumentation"
SHARE_S = 1.0


class MetricsDesk:
    """`requests` counts from the beginning; `start` and `stop` frame the time in which there is a kernel to ask."""

    def __init__(self, further: Sequence[Metric] = ()) -> None:
        self.requests = RequestCounts()
        self.reader = Reader()
        self._own: list[Metric] = [*self.requests.metrics(), *OfProcess().metrics(), *further, self._failures()]
        self._of_process: Declared = ()
        self._apps: AppFigures | None = None
        self._shared: Shared | None = None
        self._sharing: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._serials = count(1)

    @property
    def declared(self) -> Sequence[Metric]:
        """Those that the plugin shows beside what the kernel and plugins declare."""
        return self._own

    @property
    def route(self) -> Route:
        return Route(method="GET", path="/metrics", access=AccessClass.PUBLIC, handler=self.answer, operation=METRICS)

    def start(self, kernel: Kernel) -> None:
        own = [(OWNER, metric) for metric in self._own]
        self._of_process = (*own, *kernel.metrics.of_process)
        self._apps = AppFigures(kernel.metrics.of_apps, self.reader)
        if kernel.shared_dir is not None:
            self._shared = Shared(kernel.shared_dir)
            self._sharing = asyncio.create_task(self._share_until_stopped(), name="rocket metrics")

    async def stop(self) -> None:
        """What was counted stays with the other processes."""
        if self._sharing is not None:
            self._sharing.cancel()
            with suppress(asyncio.CancelledError):
                await self._sharing
            self._sharing = None
            with suppress(OSError):
                await self._share(ended=True)
        self._shared = None

    async def answer(self, request: Request) -> Response:
        await require_metrics_reader(request)
        text = await self.text(request.kernel)
        return Response(200, text, {"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"})

    async def text(self, kernel: Kernel) -> bytes:
        """Asks databases, but not for long; puts the text together on a thread."""
        of_apps: Figures = {}
        # Together with the writing of the own file: an older state must not come after a newer one.
        async with self._turn:
            if self._apps is not None:
                await self._apps.refresh(kernel.apps.opened)
                of_apps = self._apps.figures()
            own = self.reader.read(self._of_process)
            processes = await asyncio.to_thread(self._processes, own, next(self._serials))
        metrics: list[Metric | AppMetric] = [metric for _, metric in self._of_process]
        metrics += [metric for _, metric in kernel.metrics.of_apps]
        return await asyncio.to_thread(self._put_together, metrics, processes, of_apps)

    def _put_together(
        self, metrics: Sequence[Metric | AppMetric], processes: Sequence[ProcessFigures], of_apps: Figures
    ) -> bytes:
        return exposition(metrics, {**add_up(self._of_process, processes), **of_apps})

    def _processes(self, own: Figures, serial: int) -> list[ProcessFigures]:
        """Waits for the disk."""
        mine = ProcessFigures(os.getpid(), True, own)
        if self._shared is None:
            return [mine]
        with suppress(OSError):
            self._shared.write(own, serial)
        return [mine, *self._shared.others()]

    async def _share_until_stopped(self) -> None:
        while True:
            try:
                await self._share()
            except OSError as error:
                logger.warning("other processes do not see the metrics of this one: %s", error)
            await asyncio.sleep(SHARE_S)

    async def _share(self, *, ended: bool = False) -> None:
        async with self._turn:
            if self._shared is not None:
                own = self.reader.read(self._of_process)
                await asyncio.to_thread(self._shared.write, own, next(self._serials), ended=ended)

    def _failures(self) -> Metric:
        return Metric(
            name="rocket_metric_failures_total",
            help="Metrics that could not be read, by plugin.",
            type=MetricType.COUNTER,
            labels=("plugin",),
            read=lambda: [(labels, float(count)) for labels, count in self.reader.failures.items()],
        )
