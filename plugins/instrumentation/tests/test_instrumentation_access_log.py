"""The access log: what a line says, what cannot be smuggled into it, and that nobody waits for its reader."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import re
import threading
import time
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from rocket_instrumentation import InstrumentationPlugin
from rocket_instrumentation.access_line import LINES, MOST_BYTES, Entry
from rocket_instrumentation.access_log import AccessLog
from rocket_kernel import Actor, ConfigError, SystemClock
from rocket_kernel.testing import Actors, entity
from rocket_kernel.testing.processes import ServerProcess

SERVERS = ["hypercorn", "granian"]
TRACE = "12345678-90ab-4cde-8f01-234567890abc"
HOSTILE = [
    "/a\nb",
    "/a\r\nGET /admin 200",
    "/\x1b[31mred",
    "/\u202egnp.exe",
    "/\u2028line",
    "/\x85next",
    "/\x7f",
    "/\ud800",
    '/a" b',
    "/back\\slash",
    "/nul\x00",
    "/é😀",
    "/" + "\x01" * 1023,
    "/" + "😀" * 1023,
]


def entry(**changes):
    values = {
        "at": datetime(2023, 11, 14, 22, 13, 20, 123_000, UTC),
        "method": "GET",
        "path": "/api/shop/book/7",
        "status": 200,
        "seconds": 0.0012345,
        "sent": 512,
        "trace_id": TRACE,
        "app": "shop",
        "user_id": "u1",
        "peer": "127.0.0.1",
    }
    return Entry(**{**values, **changes})


def test_a_line_for_programs():
    line = LINES["json"](entry())
    assert line.endswith(b"}\n")
    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.123Z",
        "trace_id": TRACE,
        "method": "GET",
        "path": "/api/shop/book/7",
        "status": 200,
        "duration_ms": 1.234,
        "bytes": 512,
        "app": "shop",
        "user_id": "u1",
        "peer": "127.0.0.1",
    }
    assert json.loads(LINES["json"](entry(app=None, user_id=None, peer=None)))["user_id"] is None


def test_a_line_for_people():
    assert LINES["text"](entry()).decode() == (
        f"2023-11-14T22:13:20.123Z 200 GET /api/shop/book/7 1.2ms 512B app=shop user=u1 peer=127.0.0.1 trace={TRACE}\n"
    )
    assert b"app=- user=- peer=-" in LINES["text"](entry(app=None, user_id=None, peer=None))


@pytest.mark.parametrize("form", LINES)
@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:24])
@pytest.mark.parametrize("field", ["path", "user_id", "method"])
def test_a_line_is_one_line_of_plain_characters(form, text, field):
    line = LINES[form](entry(**{field: text}))
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert re.fullmatch(rb"[\x20-\x7e]*\n", line)
    assert len(line) <= MOST_BYTES
    if form == "json":
        found = json.loads(line)
        assert text.startswith(found[field])
        assert set(found) == {
            "time",
            "trace_id",
            "method",
            "path",
            "status",
            "duration_ms",
            "bytes",
            "app",
            "user_id",
            "peer",
        }
    else:
        assert len(re.findall(r"(?<!\S)trace=", line.decode())) == 1


def test_a_path_cannot_pretend_to_be_further_fields():
    line = LINES["text"](entry(path="/x user=admin")).decode()
    assert '"/x user=admin"' in line


# -- Writing --


class Pipe:
    """Where lines go; while `blocked`, nobody takes them."""

    def __init__(self):
        self.text = b""
        self.taking = threading.Event()
        self.taking.set()
        self.error: OSError | None = None

    def __call__(self, text):
        self.taking.wait()
        if self.error is not None:
            raise self.error
        self.text += text[:100]  # an ordinary file may take less than it was given, too
        return len(text[:100])

    @property
    def lines(self):
        return self.text.decode().splitlines()


class Asked:
    """As much of a request as the log looks at."""

    def __init__(self, number):
        self.head, self.method, self.path, self.trace_id, self.peer = False, "GET", f"/{number}", TRACE, "::1"
        self.kernel = SimpleNamespace(parts=SimpleNamespace(clock=SystemClock()))
        self.in_app, self.actor = False, Actor(id=None, email=None, roles=frozenset())


def log(pipe, most_waiting=100):
    return AccessLog(LINES["json"], pipe, most_waiting)


def ask(access_log, numbers):
    for number in numbers:
        access_log.observe(Asked(number), 200, 1, 0.001)


async def test_lines_come_in_order_and_all_of_them_before_the_end():
    pipe = Pipe()
    access_log = log(pipe)
    access_log.start()
    ask(access_log, range(50))
    await access_log.stop()
    assert [json.loads(line)["path"] for line in pipe.lines] == [f"/{number}" for number in range(50)]
    assert [value for _, value in access_log.metric().read()] == [0.0]


async def test_a_reader_that_stops_reading_costs_lines_and_no_time():
    pipe = Pipe()
    pipe.taking.clear()
    access_log = log(pipe, most_waiting=10)
    access_log.start()
    began = time.perf_counter()
    ask(access_log, range(1000))
    assert time.perf_counter() - began < 1
    assert access_log.dropped >= 900
    pipe.taking.set()
    await access_log.stop()
    assert len(pipe.lines) + access_log.dropped == 1000


async def test_the_end_does_not_wait_for_a_reader_for_ever(monkeypatch):
    monkeypatch.setattr("rocket_instrumentation.access_log.PATIENCE_S", 0.05)
    pipe = Pipe()
    pipe.taking.clear()
    access_log = log(pipe)
    access_log.start()
    ask(access_log, range(3))
    async with asyncio.timeout(5):
        await access_log.stop()
    pipe.taking.set()


async def test_an_output_that_is_closed_is_told_of_once(caplog):
    pipe = Pipe()
    pipe.error = OSError(errno.EPIPE, "Broken pipe")
    access_log = log(pipe, most_waiting=1000)
    access_log.start()
    ask(access_log, range(300))
    await access_log.stop()
    assert [value for _, value in access_log.metric().read()] == [300.0]
    assert [record.message for record in caplog.records] == ["the access log cannot be written: [Errno 32] Broken pipe"]


async def test_an_output_that_does_not_wait_is_waited_for():
    pipe = Pipe()
    refused = iter([BlockingIOError(), BlockingIOError(), None])

    def write(text):
        error = next(refused, None)
        if error is not None:
            raise error
        return pipe(text)

    access_log = log(write)
    access_log.start()
    ask(access_log, range(2))
    for _ in range(200):
        if len(pipe.lines) == 2:
            break
        await asyncio.sleep(0.01)
    await access_log.stop()
    assert len(pipe.lines) == 2


# -- With a kernel and with servers --


async def test_the_log_is_off_unless_it_is_asked_for(start_kernel, capfd):
    running = await start_kernel([InstrumentationPlugin])
    assert len(running.kernel.endings.observers) == 1
    await running.client.get("/health")
    await running.stop()
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("form", ["json", "text"])
async def test_requests_through_both_doors_and_who_made_them(start_kernel, capfd, form):
    settings = {"instrumentation": {"access_log": form}}
    running = await start_kernel([InstrumentationPlugin, Actors], settings=settings)
    clerk = Actor(id="clerk-7", email="clerk@shop.example", roles=frozenset({"admin"}))
    client = (await running.client.app("shop")).as_actor(clerk)
    await client.define(entity("book", title="string"))
    answer = await client.get(
        "book?filter[title]=SECRET-QUERY", headers={"X-Trace-ID": TRACE, "Authorization": "Bearer SECRET"}
    )
    await running.client.get("/health?token=SECRET-QUERY")
    await client.request("HEAD", "book/1\nforged")
    await running.stop()
    out = capfd.readouterr().out
    assert out.count("\n") == 5
    lines = out.splitlines()[2:]
    assert "SECRET" not in out
    assert "clerk@shop.example" not in out
    if form == "json":
        first, second, third = map(json.loads, lines)
        assert {**first, "time": "", "duration_ms": 0} == {
            "time": "",
            "trace_id": TRACE,
            "method": "GET",
            "path": "/api/shop/book",
            "status": 200,
            "duration_ms": 0,
            "bytes": len(answer.body),
            "app": "shop",
            "user_id": "clerk-7",
            "peer": "127.0.0.1",
        }
        assert 0 < first["duration_ms"] < 10_000
        assert (second["path"], second["app"], second["user_id"], second["status"]) == ("/health", None, None, 200)
        assert (third["method"], third["status"], third["bytes"]) == ("HEAD", 404, 0)
    else:
        assert "200 GET /api/shop/book " in lines[0]
        assert lines[0].endswith(f"app=shop user=clerk-7 peer=127.0.0.1 trace={TRACE}")
        assert '404 HEAD "/api/shop/book/1\\nforged"' in lines[2]


async def test_a_wrong_setting_stops_the_start(start_kernel):
    with pytest.raises(ConfigError, match=re.escape("plugins.settings.instrumentation.access_log")):
        await start_kernel([InstrumentationPlugin], settings={"instrumentation": {"access_log": "xml"}})


@pytest.mark.parametrize("server", SERVERS)
async def test_a_server_whose_output_nobody_reads_goes_on(tmp_path, database, server):
    config = {"plugins.enabled": ["instrumentation"], "plugins.settings": {"instrumentation": {"access_log": "json"}}}
    with ServerProcess(tmp_path / "server", database.config(), workers=2, server=server, config=config) as running:
        # Nobody reads the pipe: it takes 64 KiB, which these lines fill several times over.
        async def ask():
            async with running.caller() as caller:
                for _ in range(150):
                    (await caller.get("/health")).require(200)

        async with asyncio.timeout(60):
            await asyncio.gather(*(ask() for _ in range(8)))
        output = running._process.stdout
        taken = b""
        os.set_blocking(output.fileno(), False)
        deadline = time.monotonic() + 20
        while taken.count(b"\n") < 1200 and time.monotonic() < deadline:
            taken += output.read() or b""
            await asyncio.sleep(0.02)
        lines = [json.loads(line) for line in taken.splitlines() if line.startswith(b"{")]
        assert len([line for line in lines if line["path"] == "/health" and line["bytes"] == 15]) >= 1200
        os.set_blocking(output.fileno(), True)
        assert running.stop() == 0
