"""Figures of several processes: a scraper reaches one of them and sees all."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress

import pytest
from prometheus_client.parser import text_string_to_metric_families

from rocket_instrumentation.metrics_figures import ProcessFigures, add_up
from rocket_instrumentation.metrics_share import Shared
from rocket_kernel import Across, Metric, MetricType
from rocket_kernel.testing import entity
from rocket_kernel.testing.processes import Lost, ServerProcess

SERVERS = ["hypercorn", "granian"]
MANY = "/api/:app/:entity"
REQUESTS = "rocket_http_requests_total"


def metric(name, **options):
    return "x", Metric(name=name, help="", read=list, **options)


DECLARED = (
    metric("done_total", type=MetricType.COUNTER, labels=("app",)),
    metric("open"),
    metric("most", across=Across.MOST),
    metric("each", across=Across.EACH),
    metric("took", type=MetricType.HISTOGRAM, bounds=(1.0,)),
)


def process(pid, *, lives, number):
    figures = {
        "done_total": {("a",): number},
        "open": {(): number},
        "most": {(): number},
        "each": {(): number},
        "took": {(): ([1, 2], number)},
    }
    return ProcessFigures(pid, lives, figures)


def test_what_was_counted_stays_and_what_was_measured_goes_with_its_process():
    found = add_up(
        DECLARED,
        [process(1, lives=True, number=5.0), process(2, lives=True, number=7.0), process(3, lives=False, number=9.0)],
    )
    assert found == {
        "done_total": {("a",): 21.0},
        "open": {(): 12.0},
        "most": {(): 7.0},
        "each": {("1",): 5.0, ("2",): 7.0},
        "took": {(): ([3, 6], 21.0)},
    }


def test_files_bring_back_what_was_written(tmp_path):
    one, other = Shared(tmp_path), Shared(tmp_path)
    figures = process(1, lives=True, number=0.1).figures
    one.write(figures, 1)
    (found,) = other.others()
    assert (found.pid, found.lives, found.figures) == (os.getpid(), True, figures)
    assert one.others() == []
    one.write(figures, 2, ended=True)
    assert [each.lives for each in other.others()] == [False]


def test_older_figures_never_replace_newer_ones(tmp_path):
    one, other = Shared(tmp_path), Shared(tmp_path)
    one.write({"x": {(): 2.0}}, 2)
    one.write({"x": {(): 1.0}}, 1)
    assert [each.figures for each in other.others()] == [{"x": {(): 2.0}}]


def test_a_file_that_is_not_written_any_more_is_that_of_a_dead_process(tmp_path):
    one, other = Shared(tmp_path), Shared(tmp_path)
    one.write({}, 1)
    (file,) = tmp_path.glob("metrics-*")
    os.utime(file, (1, 1))
    assert [each.lives for each in other.others()] == [False]


def test_a_process_that_has_died_is_known_to_be_dead_at_once(tmp_path):
    code = (
        "from pathlib import Path; from rocket_instrumentation.metrics_share import Shared\n"
        f"Shared(Path({str(tmp_path)!r})).write({{'done_total': {{('a',): 3.0}}}}, 1)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    (found,) = Shared(tmp_path).others()
    assert (found.lives, found.figures) == (False, {"done_total": {("a",): 3.0}})
    assert add_up(DECLARED, [found]) == {"done_total": {("a",): 3.0}}


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b'{"pid": 1}', b'{"pid": 1, "ended": false, "figures": {"x": [1]}}']
)
def test_broken_files_are_passed_over(tmp_path, text):
    (tmp_path / "metrics-broken").write_bytes(text)
    assert Shared(tmp_path).others() == []


def samples(text, name):
    return {
        tuple(sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


async def scrape(server):
    async with server.caller() as caller:
        return (await caller.get("/metrics")).require(200).text


async def listed(server):
    """How many lists were answered, as one process knows it."""
    found = samples(await scrape(server), REQUESTS)
    return found.get((("app", "shop"), ("method", "GET"), ("route", MANY), ("status", "200")), 0.0)


@contextmanager
def served(folder, database, server):
    config = {"plugins.enabled": ["instrumentation"]}
    with ServerProcess(folder, database.config(), workers=2, server=server, config=config) as running:
        yield running


async def ask(running):
    async with running.caller("shop") as shop:
        (await shop.get("book")).require(200)


async def define(running):
    async with running.caller("shop") as shop:
        (await shop.post("/api/_platform/apps", {"name": "shop"})).require(201)
        (await shop.post("_admin/entities", entity("book", title="string"))).require(201)


async def living(running):
    """The numbers of the processes that are told of."""
    return {dict(labels)["pid"] for labels in samples(await scrape(running), "process_resident_memory_bytes")}


@pytest.mark.parametrize("server", SERVERS)
async def test_any_process_tells_of_all(tmp_path, database, server):
    with served(tmp_path / "server", database, server) as running:
        await define(running)
        await asyncio.gather(*(ask(running) for _ in range(40)))
        told = []
        for _ in range(60):
            told.append(await listed(running))
            if told[-5:] == [40.0] * 5:
                break
            await asyncio.sleep(0.05)
        assert told[-5:] == [40.0] * 5
        assert len(await living(running)) == 2
        # Sums never go back, whichever process answers, though the other may not have written anew.
        former = 40.0
        for _ in range(20):
            await ask(running)
            now = await listed(running)
            assert now >= former
            former = now
        assert running.stop() == 0


@pytest.mark.torture
@pytest.mark.parametrize("server", SERVERS)
async def test_what_a_killed_worker_counted_is_still_told(tmp_path, database, server):
    with served(tmp_path / "server", database, server) as running:
        await define(running)
        await asyncio.gather(*(ask(running) for _ in range(40)))
        # One that dies right after its start would stop the server.
        await asyncio.sleep(6)
        before = await living(running)
        victim = min(before)
        os.kill(int(victim), signal.SIGKILL)
        alive = before
        for _ in range(300):
            with suppress(Lost):
                alive = await living(running)
            if victim not in alive and len(alive) == 2:
                break
            await asyncio.sleep(0.1)
        assert (victim in alive, len(alive)) == (False, 2)
        assert await listed(running) == 40.0
