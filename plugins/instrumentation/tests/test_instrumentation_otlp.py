"""Export of spans by OTLP, to a collector that decodes what it gets; and to collectors that are none."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from rocket_instrumentation import InstrumentationPlugin, otlp
from rocket_instrumentation.otlp import OtlpSink, require_extra, traces_url
from rocket_instrumentation.sampling import is_sampled
from rocket_kernel import ConfigError, Plugin, SystemClock, hookimpl, span, traced_work, w3c_span_id
from rocket_kernel.testing import entity
from rocket_kernel.testing.processes import free_port
from rocket_kernel.tracing import Tracer, tell_sinks

TRACE = "12345678-90ab-4cde-8f01-234567890abc"
HEX = TRACE.replace("-", "")


def settings(endpoint):
    return {"instrumentation": {"otlp_endpoint": endpoint}}


def plain(value):
    return getattr(value, value.WhichOneof("value"))


def decoded(received):
    """Spans by name, each with its attributes and those of its resource."""
    spans = []
    for request in received:
        assert request.headers["content-type"] == "application/x-protobuf"
        body = gzip.decompress(request.body) if request.headers.get("content-encoding") == "gzip" else request.body
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            of_resource = {each.key: plain(each.value) for each in resource.resource.attributes}
            for scope in resource.scope_spans:
                assert scope.scope.name == "rocket"
                for one in scope.spans:
                    attributes = {each.key: plain(each.value) for each in one.attributes}
                    spans.append((one, attributes, of_resource))
    return spans


async def spans_of(receiver, trace, *, count=1):
    """The spans of one trace, once the collector has them."""
    for _ in range(500):
        found = [each for each in decoded(receiver.requests) if each[0].trace_id.hex() == trace.replace("-", "")]
        if len(found) >= count:
            return found
        await asyncio.sleep(0.02)
    raise AssertionError(f"no spans of {trace} among {len(receiver.requests)} requests")


class Doing(Plugin):
    """Something with parts, as any plugin may have."""

    name = "doing"

    @hookimpl
    async def on_request(self, request):
        with span("doing", "outer", "outer.do", entity="book", record_id="7") as outer:
            if outer is not None:
                outer.metadata.update(
                    note="a\ud800b", number=3, share=0.5, flag=True, big=2**70, parts=[1, {"a": None}]
                )
            with span("doing", "inner", "inner.do"):
                await asyncio.sleep(0.002)


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(OtlpSink.__init__, "__defaults__", (otlp.MOST_WAITING, 0.02))


async def test_a_request_arrives_as_a_tree_of_spans(receiver, start_kernel):
    running = await start_kernel([InstrumentationPlugin, Doing], settings=settings(receiver.url), clock=SystemClock())
    client = await running.client.app("shop")
    await client.define(entity("book", title="string!"))
    before = time.time_ns()
    (await client.get("book", headers={"X-Trace-ID": TRACE})).require(200)
    after = time.time_ns()
    found = await spans_of(receiver, TRACE, count=3)
    assert {request.path for request in receiver.requests} == {"/v1/traces"}
    by_name = {one.name: (one, attributes) for one, attributes, _ in found}
    root, of_root = by_name["GET /api/:app/:entity"]
    outer, of_outer = by_name["outer.do"]
    inner, _ = by_name["inner.do"]
    assert (root.parent_span_id, outer.parent_span_id, inner.parent_span_id) == (b"", root.span_id, outer.span_id)
    ids = {one.span_id for one, *_ in found}
    assert len(ids) == len(found)
    assert all(one.parent_span_id in ids for one, *_ in found if one is not root and one.parent_span_id)
    assert root.kind == 2  # server
    assert of_root["http.request.method"] == "GET"
    assert of_root["http.route"] == "/api/:app/:entity"
    assert of_root["http.response.status_code"] == 200
    assert of_root["url.path"] == "/api/shop/book"
    assert of_root["rocket.app"] == "shop"
    assert of_outer["rocket.entity"] == "book"
    assert of_outer["rocket.record_id"] == "7"
    assert (of_outer["rocket.number"], of_outer["rocket.share"], of_outer["rocket.flag"]) == (3, 0.5, True)
    assert of_outer["rocket.big"] == str(2**70)
    assert of_outer["rocket.note"] == "a?b"
    assert json.loads(of_outer["rocket.parts"]) == [1, {"a": None}]
    for one, *_ in found:
        assert before - 2_000_000 <= one.start_time_unix_nano <= one.end_time_unix_nano <= after + 2_000_000
    assert inner.end_time_unix_nano - inner.start_time_unix_nano >= 2_000_000
    assert root.start_time_unix_nano <= outer.start_time_unix_nano <= inner.start_time_unix_nano
    assert {each["service.name"] for *_, each in found} == {"rocket"}
    assert {each["service.version"] for *_, each in found} == {InstrumentationPlugin.version}


async def test_statements_are_exported_without_values(receiver, start_kernel):
    running = await start_kernel([InstrumentationPlugin], settings=settings(receiver.url))
    client = await running.client.app("shop")
    await client.define(entity("book", title="string!"))
    await client.post("book", {"title": "CANARY"}, headers={"X-Trace-ID": TRACE})
    found = await spans_of(receiver, TRACE, count=2)
    statements = [attributes["db.query.text"] for one, attributes, _ in found if one.name == "sql.INSERT".lower()]
    assert any("INSERT INTO" in text for text in statements)
    assert not any(b"CANARY" in request.body for request in receiver.requests)


async def test_ids_are_those_of_the_events(receiver, start_kernel):
    running = await start_kernel([InstrumentationPlugin], settings=settings(receiver.url))
    client = await running.client.app("shop")
    await client.get("nothing", headers={"X-Trace-ID": TRACE})
    found = await spans_of(receiver, TRACE)
    for _ in range(200):
        shown = await client.get(f"_events/trace/{TRACE}")
        if shown.status == 200:
            break
        await asyncio.sleep(0.02)
    rows = shown.require(200).data["spans"]
    assert {one.span_id.hex() for one, *_ in found} == {w3c_span_id(row["span_id"]) for row in rows}
    (root,) = [one for one, *_ in found if one.parent_span_id == b""]
    assert root.status.code == 2  # error, as in the events: 404


async def test_the_environment_may_name_the_service(receiver, start_kernel, monkeypatch):
    monkeypatch.setenv("OTEL_SERVICE_NAME", "bookshop")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=open%20sesame")
    running = await start_kernel([InstrumentationPlugin], settings=settings(receiver.url))
    await running.client.get("/health", headers={"X-Trace-ID": TRACE})
    ((_, _, of_resource),) = await spans_of(receiver, TRACE)
    assert (of_resource["service.name"], of_resource["deployment.environment"]) == ("bookshop", "test")
    assert {request.headers["api-key"] for request in receiver.requests} == {"open sesame"}


async def test_traces_that_are_not_sampled_are_not_exported(receiver, start_kernel):
    config = {"instrumentation.sampling_rate": 0.0}
    running = await start_kernel([InstrumentationPlugin], config=config, settings=settings(receiver.url))
    await running.client.get("/health")
    await running.stop()
    assert receiver.requests == []


async def test_switched_off_it_exports_nothing(receiver, start_kernel):
    config = {"instrumentation.enabled": False}
    running = await start_kernel([InstrumentationPlugin], config=config, settings=settings(receiver.url))
    await running.client.get("/health")
    await running.stop()
    assert receiver.requests == []


async def test_what_is_left_is_sent_at_the_end(receiver, start_kernel, monkeypatch):
    monkeypatch.setattr(OtlpSink.__init__, "__defaults__", (otlp.MOST_WAITING, 60.0))
    running = await start_kernel([InstrumentationPlugin], settings=settings(receiver.url))
    await running.client.get("/health", headers={"X-Trace-ID": TRACE})
    await running.stop()
    assert len(await spans_of(receiver, TRACE)) == 1


async def test_a_collector_that_is_not_there_harms_nobody(start_kernel, caplog, monkeypatch):
    monkeypatch.setattr(otlp, "TIMEOUT_S", 0.2)
    monkeypatch.setattr(otlp, "PATIENCE_S", 1.0)
    running = await start_kernel(
        [InstrumentationPlugin], settings=settings(f"http://127.0.0.1:{free_port()}"), clock=SystemClock()
    )
    sink = running.kernel.parts.plugins.find("instrumentation").outlets.otlp
    for _ in range(300):
        (await running.client.get("/health")).require(200)
        if sink.failed:
            break
        await asyncio.sleep(0.01)
    text = (await running.client.get("/metrics")).text
    assert re.search(r'rocket_otlp_spans_total{outcome="failed"} [1-9]', text)
    assert 'rocket_otlp_spans_total{outcome="exported"} 0.0' in text
    told = [record.message for record in caplog.records if record.name == "rocket_instrumentation.otlp"]
    assert told == ["the collector takes no spans; they are dropped"]


async def test_a_collector_that_refuses_and_comes_back(receiver, start_kernel, caplog):
    receiver.answer(status=400)
    running = await start_kernel([InstrumentationPlugin], settings=settings(receiver.url))
    sink = running.kernel.parts.plugins.find("instrumentation").outlets.otlp
    for _ in range(500):
        await running.client.get("/health")
        if sink.failed and sink.exported:
            break
        await asyncio.sleep(0.01)
    assert (sink.failed > 0, sink.exported > 0) == (True, True)
    assert "spans are exported again" in [record.message for record in caplog.records]


# -- Bounds --


class Exporter:
    """Takes what it gets, when `open` lets it."""

    def __init__(self):
        self.open = threading.Event()
        self.taken = []

    def export(self, traces):
        self.open.wait()
        self.taken.extend(traces)
        return True

    def shutdown(self):
        pass


class StandingClock:
    def now(self):
        return datetime(2026, 1, 1, tzinfo=UTC)


def traces_into(sink, number, *, spans=5):
    tracer = Tracer((sink,), StandingClock())
    for _ in range(number):
        root = tracer.begin(None, TRACE, "http", "handler", "request.start")
        with root:
            for _ in range(spans - 1):
                with span("x", "y", "z"):
                    pass
        tell_sinks(root)


async def test_a_full_queue_drops_whole_traces_and_counts_their_spans():
    exporter = Exporter()
    sink = OtlpSink(lambda: exporter, most_waiting=100, pause_s=0.01)
    sink.start(lambda _: True)
    began = time.perf_counter()
    traces_into(sink, 1000)
    assert time.perf_counter() - began < 5
    assert sink.dropped >= 4000
    exporter.open.set()
    await sink.stop()
    assert sink.exported + sink.dropped == 5000
    assert {len(spans) for _, spans in exporter.taken} == {5}
    assert not sink.samples(None, TRACE), "it wants nothing any more"


async def test_the_end_does_not_wait_for_a_collector_for_ever(monkeypatch):
    monkeypatch.setattr(otlp, "PATIENCE_S", 0.05)
    exporter = Exporter()
    sink = OtlpSink(lambda: exporter, pause_s=0.01)
    sink.start(lambda _: True)
    traces_into(sink, 3)
    async with asyncio.timeout(5):
        await sink.stop()
    exporter.open.set()


async def test_a_trace_that_opentelemetry_does_not_allow_is_left_out(receiver, start_kernel):
    running = await start_kernel([InstrumentationPlugin], settings=settings(receiver.url))
    await running.client.get("/health", headers={"X-Trace-ID": "00000000-0000-0000-0000-000000000000"})
    await running.client.get("/health", headers={"X-Trace-ID": TRACE})
    await spans_of(receiver, TRACE)
    assert {one.trace_id.hex() for one, *_ in decoded(receiver.requests)} == {HEX}


async def test_work_in_the_background_is_a_part_of_the_trace_that_caused_it(receiver, start_kernel):
    running = await start_kernel([InstrumentationPlugin], settings=settings(receiver.url))
    await running.client.app("shop")
    app = await running.kernel.apps.app("shop")
    parent = "11111111-2222-4333-8444-555555555555"
    with traced_work(app, "webhook", "dispatcher", "webhook.dispatch", trace_id=TRACE, parent_span_id=parent):
        pass
    ((one, attributes, _),) = await spans_of(receiver, TRACE)
    assert one.parent_span_id.hex() == w3c_span_id(parent)
    assert (one.name, one.kind, attributes["rocket.app"]) == ("webhook.dispatch", 3, "shop")


# -- Settings --


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://localhost:4318", "http://localhost:4318/v1/traces"),
        ("https://collector.example/", "https://collector.example/v1/traces"),
        ("http://collector/otlp/v1/traces", "http://collector/otlp/v1/traces"),
        ("http://[::1]:4318", "http://[::1]:4318/v1/traces"),
    ],
)
def test_where_spans_go(endpoint, url):
    assert traces_url(endpoint) == url


@pytest.mark.parametrize(
    "endpoint", ["localhost:4318", "ftp://x", "http://", "http://x:99999", "http://[", "grpc://x:4317"]
)
async def test_an_address_that_is_none_stops_the_start(start_kernel, endpoint):
    with pytest.raises(ConfigError, match=re.escape("wrong value for plugins.settings.instrumentation.otlp_endpoint")):
        await start_kernel([InstrumentationPlugin], settings=settings(endpoint))


async def test_without_the_extra_the_start_says_what_to_install(start_kernel, monkeypatch):
    monkeypatch.setattr(otlp, "_NEEDED", ("opentelemetry.nonsense",))
    with pytest.raises(ConfigError) as refused:
        await start_kernel([InstrumentationPlugin], settings=settings("http://localhost:4318"))
    assert str(refused.value) == (
        "plugins.settings.instrumentation.otlp_endpoint is set, but the packages for it are not installed: "
        "pip install 'rocket-instrumentation[otlp]'"
    )
    monkeypatch.setattr(otlp, "_NEEDED", ("no_such_package_.sdk",))
    with pytest.raises(ConfigError, match="not installed"):
        require_extra()


def test_without_an_endpoint_opentelemetry_is_not_even_imported():
    code = (
        "import sys; from rocket_instrumentation import InstrumentationPlugin as P; P()\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert shown.strip() == "[]"


async def test_a_wrong_variable_of_opentelemetry_stops_the_start(receiver, start_kernel, monkeypatch):
    def broken():
        raise ValueError("no such certificate")

    plugin = InstrumentationPlugin
    monkeypatch.setattr("rocket_instrumentation.outlets.opentelemetry_exporter", lambda *_: broken())
    with pytest.raises(Exception, match="spans cannot be exported: no such certificate"):
        await start_kernel([plugin], settings=settings(receiver.url))


def test_the_share_of_sampled_traces():
    ids = [f"00000000-0000-4000-8000-0000{number * 429497:08x}" for number in range(10_000)]
    assert sum(is_sampled(id, 0.25) for id in ids) == pytest.approx(2500, abs=5)
    assert all(is_sampled(id, 1.0) for id in ids)
    assert not any(is_sampled(id, 0.0) for id in ids)
