"""Traces and spans by themselves."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from contextvars import copy_context
from threading import Barrier, Thread
from time import perf_counter_ns
from uuid import UUID

import pytest

from rocket_kernel import Spans, annotate, current_span, current_trace, span, traceparent, tracing
from rocket_kernel.clock import SystemClock
from rocket_kernel.spans import fingerprint
from rocket_kernel.testing import FakeClock
from rocket_kernel.trace_ids import new_trace_id
from rocket_kernel.tracing import Tracer, note_record, note_statement, tell_sinks

TRACE = "0190c8a0-1111-7222-8333-444455556666"


class Listener:
    def __init__(self, wants=True, fault=None):
        self.wants, self.fault = wants, fault
        self.asked, self.traces = [], []

    def samples(self, app, trace_id):
        self.asked.append((app, trace_id))
        return self.wants

    def finished(self, app, spans):
        if self.fault is not None:
            raise self.fault
        self.traces.append((app, list(spans)))


def begun(*listeners, clock=None, **more):
    return a_tracer(*listeners, clock=clock).begin("shop", TRACE, "http", "handler", "request.start", **more)


def a_tracer(*listeners, clock=None):
    return Tracer(listeners, clock or FakeClock())


def shape(spans):
    return [(one.action, None if one.parent is None else one.parent.action, one.status) for one in spans]


def test_outside_of_a_trace_nothing_is_noted():
    with span("a", "b", "c") as noted:
        assert noted is None
        annotate(secret="nowhere")
        note_record("book", 1)
        note_statement("SELECT 1", perf_counter_ns(), 1)
    assert (current_span(), current_trace(), traceparent()) == (None, None, None)


def test_spans_are_a_tree_in_the_order_in_which_they_began():
    listener = Listener()
    root = begun(listener)
    with root:
        with span("a", "b", "outer", entity="book", record_id="7"):
            with span("a", "b", "inner"):
                annotate(rows=3)
            note_statement("SELECT x FROM y WHERE z = 5", perf_counter_ns(), 2)
        with span("a", "b", "second"):
            pass
        assert current_trace() is root.trace
    tell_sinks(root)
    ((app, spans),) = listener.traces
    assert app is None
    assert shape(spans) == [
        ("request.start", None, "ok"),
        ("outer", "request.start", "ok"),
        ("inner", "outer", "ok"),
        ("sql.select", "outer", "ok"),
        ("second", "request.start", "ok"),
    ]
    assert spans[2].metadata == {"rows": 3}
    assert spans[3].metadata == {"fingerprint": "SELECT x FROM y WHERE z = ?", "rows": 2}
    assert (spans[1].entity, spans[1].record_id) == ("book", "7")
    assert all(one.duration_ms >= 0 for one in spans)
    assert spans[1].parent_span_id == spans[0].span_id
    assert spans[0].parent_span_id is None
    assert listener.asked == [("shop", TRACE)]
    assert current_span() is None


def test_ids_are_unique_uuids_that_grow():
    root = begun(Listener(), clock=SystemClock())
    with root:
        made = [root]
        for _ in range(50):
            with span("a", "b", "c") as one:
                made.append(one)
    ids = [one.span_id for one in made]
    assert ids == sorted(set(ids))
    assert [str(UUID(id)) for id in ids] == ids
    assert {UUID(id).version for id in ids} == {7}
    traces = [new_trace_id(SystemClock().now()) for _ in range(600)]
    assert len(set(traces)) == 600
    assert {UUID(id).version for id in traces} == {7}


def test_an_exception_is_a_status_and_a_code_without_its_text():
    listener = Listener()
    root = begun(listener)
    with root, pytest.raises(ValueError, match="4711"), span("a", "b", "c"):
        raise ValueError("secret 4711")
    tell_sinks(root)
    ((_, (_, failed)),) = listener.traces
    assert (failed.status, failed.metadata) == ("error", {"error": "ValueError"})


def test_nobody_who_wants_it_means_no_trace():
    root = begun(Listener(wants=False))
    assert root is None


def test_only_those_who_want_a_trace_are_told():
    one, other = Listener(wants=False), Listener()
    root = begun(one, other)
    with root:
        pass
    tell_sinks(root)
    assert (len(one.traces), len(other.traces)) == (0, 1)


def test_what_a_listener_raises_is_logged_and_others_are_told(caplog):
    other = Listener()
    root = begun(Listener(fault=RuntimeError("no")), other)
    with root:
        pass
    with caplog.at_level(logging.ERROR):
        tell_sinks(root)
    assert len(other.traces) == 1
    assert TRACE in caplog.text


def test_threads_that_note_at_the_same_time_get_places_of_their_own(monkeypatch):
    """Both have looked for their place before either takes it."""
    listener, both = Listener(), Barrier(2)
    real = tracing.Span

    def made(*args):
        both.wait()
        return real(*args)

    def work(name):
        with span("own", name, "outer"):
            with span("own", name, "inner"):
                pass
            note_statement(name, perf_counter_ns(), 1)

    monkeypatch.setattr(tracing, "Span", made)
    root = begun(listener)
    with root:
        working = [Thread(target=copy_context().run, args=(work, name)) for name in ("one", "two")]
        for each in working:
            each.start()
        for each in working:
            each.join()
    tell_sinks(root)
    ((_, spans),) = listener.traces
    assert [one.place for one in spans] == list(range(7))
    assert len({one.span_id for one in spans}) == 7
    for one in spans[1:]:
        name = one.metadata["fingerprint"] if one.source == "sql" else one.component
        assert one.parent is root or one.parent.component == name


async def test_tasks_have_the_span_in_which_they_began():
    listener = Listener()
    root = begun(listener)

    async def work(name):
        with span("a", "b", name):
            await asyncio.sleep(0)
            with span("a", "b", f"{name}.inner"):
                await asyncio.sleep(0)

    with root:
        await asyncio.gather(work("one"), work("two"))
        assert current_span() is root
    tell_sinks(root)
    ((_, spans),) = listener.traces
    parents = {one.action: one.parent.action for one in spans[1:]}
    assert parents == {
        "one": "request.start",
        "one.inner": "one",
        "two": "request.start",
        "two.inner": "two",
    }


async def test_threads_have_it_too():
    root = begun(Listener())
    with root:
        await asyncio.to_thread(lambda: span("a", "b", "thread").__enter__())
        assert [one.action for one in Spans(root, root.trace.spans)] == ["request.start", "thread"]
        assert current_span() is root


async def test_what_outlives_a_trace_is_no_part_of_it():
    listener = Listener()
    root = begun(listener)
    go = asyncio.Event()

    async def later():
        await go.wait()
        with span("a", "b", "late") as noted:
            note_statement("SELECT 1", perf_counter_ns(), 1)
            return noted, current_span()

    with root:
        task = asyncio.create_task(later())
        await asyncio.sleep(0)
    tell_sinks(root)
    go.set()
    assert await task == (None, None)
    ((_, spans),) = listener.traces
    assert len(spans) == 1


def test_a_trace_inside_another_gives_it_back():
    tracer = a_tracer(Listener())
    outer = tracer.begin("shop", TRACE, "http", "handler", "request.start")
    with outer:
        inner = tracer.begin("shop", TRACE, "job", "runner", "job.run")
        with inner, span("a", "b", "c") as one:
            assert one.parent is inner
        assert current_span() is outer
    assert current_span() is None


def test_a_span_may_end_in_another_context():
    root = begun(Listener())
    with root:
        block = span("a", "b", "c")
        copy_context().run(block.__enter__)
        block.__exit__(None, None, None)
        assert current_span() is root


def test_spans_beyond_the_limit_are_counted(monkeypatch):
    monkeypatch.setattr(tracing, "MAX_SPANS", 3)
    listener = Listener()
    root = begun(listener)
    with root:
        for _ in range(4):
            with span("a", "b", "c"):
                note_statement("SELECT 1", perf_counter_ns(), 1)
    tell_sinks(root)
    ((_, spans),) = listener.traces
    assert len(spans) == 3
    assert spans[0].metadata == {"spans_left_out": 6}


def test_what_a_listener_lets_go_of_is_gone_at_once():
    """Spans are many: to wait for the collector of cycles costs more than to make them."""

    class Watched(dict):
        pass

    class Forgetful(Listener):
        def finished(self, app, spans):
            assert len(spans) == 2

    root = begun(Forgetful())
    with root, span("a", "b", "c") as one:
        one.noted_metadata = Watched()
    gone = weakref.ref(one.noted_metadata)
    tell_sinks(root)
    gc.disable()
    try:
        del root, one
        assert gone() is None
    finally:
        gc.enable()


def test_traceparent_names_the_open_span():
    root = begun(Listener(), parent_span_id="0190c8a0-1111-7222-8333-000000000001")
    with root, span("a", "b", "c") as one:
        version, trace, parent, flags = traceparent().split("-")
    assert (version, trace, flags) == ("00", TRACE.replace("-", ""), "01")
    assert parent == one.span_id.replace("-", "")[16:]
    assert root.parent_span_id == "0190c8a0-1111-7222-8333-000000000001"


@pytest.mark.parametrize(
    ("sql", "shown"),
    [
        ("SELECT a FROM t WHERE b = 'O''Hara' AND c > 12.5", "SELECT a FROM t WHERE b = ? AND c > ?"),
        ("SELECT a FROM t WHERE b = $1 AND c = ?2", "SELECT a FROM t WHERE b = ? AND c = ?"),
        ("INSERT INTO t (a, b) VALUES ($1, $2), ($3, $4)", "INSERT INTO t (a, b) VALUES (…)"),
        (
            'SELECT "first_column", "second_column", "third_column" FROM "t" LIMIT 25 OFFSET 50',
            'SELECT … FROM "t" LIMIT ? OFFSET ?',
        ),
        ('UPDATE "t" SET "a1" = ? RETURNING "a1", "b"', 'UPDATE "t" SET "a1" = ? RETURNING …'),
    ],
)
def test_fingerprints_hold_no_values(sql, shown):
    assert fingerprint(sql) == shown


def test_fingerprints_are_short():
    assert len(fingerprint("SELECT " + " AND ".join(f"column_{name}" for name in "abcdefghijklmnopqrstuvwxyz"))) <= 200
