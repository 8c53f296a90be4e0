"""`register_metrics`: what plugins may declare, and what the kernel says of itself."""

import asyncio
import re
from collections import Counter

import pytest

from rocket_kernel import (
    Across,
    AppMetric,
    Config,
    Distribution,
    Job,
    Metric,
    MetricType,
    Plugin,
    enqueue,
    hookimpl,
    make_kernel,
    timestamp_text,
)
from rocket_kernel.errors import PluginError


def nothing():
    return []


async def nothing_of(_app):
    return []


def kernel_with(*metrics, name="parcels"):
    class Declaring(Plugin):
        @hookimpl
        def register_metrics(self):
            return list(metrics)

    Declaring.name = name
    return make_kernel(Config(), plugins=[Declaring])


WRONG = {
    "neither a Metric": "text",
    "must begin with 'rocket_parcels_'": Metric(name="parcels_sent", help="", read=nothing),
    "and have small letters": Metric(name="rocket_parcels_Sent", help="", read=nothing),
    "'_total'": Metric(name="rocket_parcels_sent", help="", read=nothing, type=MetricType.COUNTER),
    "alone, end in '_total'": Metric(name="rocket_parcels_sent_total", help="", read=nothing),
    "the label 'le'": Metric(name="rocket_parcels_sent", help="", read=nothing, labels=("le",)),
    "the label 'a b'": Metric(name="rocket_parcels_sent", help="", read=nothing, labels=("a b",)),
    "the label 'x'": Metric(name="rocket_parcels_sent", help="", read=nothing, labels=("x", "x")),
    "the label 'app'": AppMetric(name="rocket_parcels_sent", help="", read=nothing_of, labels=("app",)),
    "the label 'pid'": Metric(name="rocket_parcels_sent", help="", read=nothing, labels=("pid",), across=Across.EACH),
}


@pytest.mark.parametrize("message", WRONG)
def test_wrong_metrics_stop_the_start(message):
    with pytest.raises(PluginError, match=re.escape(message)) as refused:
        kernel_with(WRONG[message])
    assert str(refused.value).startswith("plugin 'parcels', hook register_metrics: ")


def test_a_metric_is_registered_once():
    one = Metric(name="rocket_parcels_sent", help="", read=nothing)
    with pytest.raises(PluginError, match="registered twice"):
        kernel_with(one, AppMetric(name="rocket_parcels_sent", help="", read=nothing_of))


def test_names_of_plugins_with_hyphens_fit():
    metric = Metric(name="rocket_big_parcels_sent", help="", read=nothing)
    assert ("big-parcels", metric) in kernel_with(metric, name="big-parcels").metrics.of_process


def test_a_distribution_counts_what_is_at_most_as_large_as_a_bound():
    found = Distribution((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.0, 99.0):
        found.observe(value)
    assert (found.counts, found.total) == ([2, 2, 1], 104.0)


def read(kernel, name):
    (metric,) = [metric for _, metric in kernel.metrics.of_process if metric.name == name]
    return dict(metric.read())


async def read_of(kernel, name, app):
    (metric,) = [metric for _, metric in kernel.metrics.of_apps if metric.name == name]
    return dict(await metric.read(await kernel.apps.app(app)))


async def test_pools_show_who_uses_connections_and_who_waits(start_kernel):
    running = await start_kernel(config={"app_pool_size": 2})
    kernel = running.kernel
    assert read(kernel, "rocket_apps_open") == {(): 0.0}
    await running.client.app("shop")
    app = await kernel.apps.app("shop")
    assert read(kernel, "rocket_apps_open") == {(): 1.0}
    limit = int(read(kernel, "rocket_pool_limit")["shop",])
    assert 2 <= limit <= 3
    before = read(kernel, "rocket_pool_connections")
    assert before["shop", "used"] == 0.0
    assert before["_platform", "used"] == 0.0

    release, reading = asyncio.Event(), []

    async def hold():
        async with app.reading() as (session, _):
            reading.append(session)
            await release.wait()

    holders = [asyncio.create_task(hold()) for _ in range(5)]
    for _ in range(2000):
        if len(reading) == 2 and read(kernel, "rocket_pool_waiting")["shop",] == 3.0:
            break
        await asyncio.sleep(0.01)
    assert read(kernel, "rocket_pool_connections")["shop", "used"] == 2.0
    assert read(kernel, "rocket_pool_waiting")["shop",] == 3.0
    release.set()
    await asyncio.gather(*holders)
    after = read(kernel, "rocket_pool_connections")
    assert (after["shop", "used"], read(kernel, "rocket_pool_waiting")["shop",]) == (0.0, 0.0)
    assert after["shop", "idle"] >= 2.0


async def test_writers_use_and_wait_for_connections_too(start_kernel):
    running = await start_kernel(config={"app_pool_size": 2})
    await running.client.app("shop")
    app = await running.kernel.apps.app("shop")
    async with app.writing():
        assert read(running.kernel, "rocket_pool_connections")["shop", "used"] == 1.0
    assert read(running.kernel, "rocket_pool_connections")["shop", "used"] == 0.0


class Errands(Plugin):
    name = "errands"

    @hookimpl
    def register_jobs(self):
        return [Job(name="errands:run", run=self.run)]

    async def run(self, run):
        if run.payload["fails"]:
            raise ValueError


async def test_jobs_are_counted_and_their_lag_is_shown(start_kernel, clock):
    running = await start_kernel([Errands])
    kernel = running.kernel
    await kernel.jobs.pause()
    await running.client.app("shop")
    app = await kernel.apps.app("shop")
    assert await read_of(kernel, "rocket_job_lag_seconds", "shop") == {(): 0.0}
    async with app.writing() as (tx, _):
        for fails in (False, False, True):
            await enqueue(tx, "errands:run", {"fails": fails}, timestamp_text(clock.now()))
    clock.advance(seconds=90)
    assert await read_of(kernel, "rocket_job_lag_seconds", "shop") == {(): 90.0}
    assert await read_of(kernel, "rocket_jobs_due", "shop") == {(): 3.0}
    await kernel.jobs.run_due()
    assert read(kernel, "rocket_job_runs_total") == {("errands:run", "done"): 2, ("errands:run", "failed"): 1}
    assert await read_of(kernel, "rocket_jobs_due", "shop") == {(): 0.0}
    assert await read_of(kernel, "rocket_job_lag_seconds", "shop") == {(): 0.0}


async def test_metrics_are_read_when_asked_and_not_before(start_kernel):
    handed_over = Counter()

    class Parcels(Plugin):
        name = "parcels"

        @hookimpl
        def register_metrics(self):
            return [
                Metric(
                    name="rocket_parcels_total",
                    help="",
                    type=MetricType.COUNTER,
                    labels=("app",),
                    read=handed_over.items,
                )
            ]

    running = await start_kernel([Parcels])
    handed_over["shop",] += 2
    assert read(running.kernel, "rocket_parcels_total") == {("shop",): 2}
