"""Contract §16.1 to §16.3: business events, lists, waterfalls and stats."""

from __future__ import annotations

from itertools import pairwise
from uuid import UUID, uuid4

import pytest

from rocket_instrumentation import InstrumentationPlugin, events_stats
from rocket_instrumentation.events_minutes import MINUTE_COLUMNS, Minutes, minute_rows, summed
from rocket_instrumentation.events_row import SPAN_COLUMNS
from rocket_instrumentation.events_trace import waterfall
from rocket_instrumentation.tables import EVENT_ROWS, MINUTE_ROWS
from rocket_kernel import Actor
from rocket_kernel.testing import Actors, assert_error, entity

COLUMNS = list(SPAN_COLUMNS)
CLERK = Actor(id="00000000-0000-4000-8000-000000000007", email=None, roles=frozenset({"clerk"}))
OTHER = "99999999-2222-4333-8444-555555555555"
TRACE = "11111111-2222-4333-8444-555555555555"
NOW = "2026-01-02T03:04:05.678Z"
NO_STATS = {"total_events": 0, "avg_latency_ms": None, "p95_latency_ms": None, "error_rate": 0, "by_source": []}


@pytest.fixture
async def running(start_kernel):
    return await start_kernel([InstrumentationPlugin, Actors], config={"instrumentation.sampling_rate": 0})


@pytest.fixture
async def shop(running):
    """Nothing is noted there but what a test puts in."""
    client = await running.client.app("shop")
    await client.define(entity("book", title="string!"))
    return client


@pytest.fixture
async def app(running, shop):
    return await running.kernel.apps.app("shop")


def row(number, **changes):
    id = f"01900000-0000-7000-8000-{number:012x}"
    return {
        "id": id,
        "trace_id": TRACE,
        "span_id": id,
        "parent_span_id": None,
        "event_type": "system",
        "source": "http",
        "component": "handler",
        "action": "request.start",
        "entity": None,
        "record_id": None,
        "user_id": None,
        "duration_ms": float(number),
        "status": "ok",
        "metadata": {"n": number},
        "created_at": f"2026-01-02T03:04:05.{number:03}Z",
    } | changes


async def put(app, rows, *, sums=True):
    tuples = [tuple(one[name] for name in SPAN_COLUMNS) for one in rows]
    async with app.writing() as (tx, _):
        await EVENT_ROWS.insert_tuples(tx, SPAN_COLUMNS, tuples)
        if sums:
            written = Minutes().with_added(summed(tuples))
            await MINUTE_ROWS.put_tuples(tx, MINUTE_COLUMNS, minute_rows(written))


async def test_a_posted_event_is_stored_before_the_answer(shop):
    answer = await shop.as_actor(CLERK).post(
        "_events",
        {"action": "cart.left", "entity": "book", "record_id": "7", "metadata": {"why": ["price", 1.5, None]}},
        headers={"X-Trace-ID": TRACE},
    )
    stored = answer.require(201).data
    assert list(stored) == ["status", *(name for name in COLUMNS if name != "status")]
    assert UUID(stored["id"])
    expected = {
        "status": "ok",
        "id": stored["id"],
        "trace_id": TRACE,
        "span_id": stored["span_id"],
        "parent_span_id": None,
        "event_type": "business",
        "source": "app",
        "component": "engine",
        "action": "cart.left",
        "entity": "book",
        "record_id": "7",
        "user_id": CLERK.id,
        "duration_ms": None,
        "metadata": {"why": ["price", 1.5, None]},
        "created_at": NOW,
    }
    assert stored == expected
    (listed,) = (await shop.get("_events")).data
    assert list(listed) == COLUMNS
    assert listed == expected


async def test_an_event_needs_its_action_alone(shop):
    stored = (await shop.post("_events", {"action": "ping", "else": 1})).require(201).data
    assert (stored["entity"], stored["record_id"], stored["metadata"]) == ("", "", {})


WRONG = [
    ({}, 422, "VALIDATION_FAILED", "action is required"),
    ({"action": ""}, 422, "VALIDATION_FAILED", "action is required"),
    ({"action": None}, 422, "VALIDATION_FAILED", "action is required"),
    ({"action": 5}, 422, "VALIDATION_FAILED", "action must be a string"),
    ({"action": "a" * 256}, 422, "VALIDATION_FAILED", "action must be at most 255 characters"),
    ({"action": "a", "entity": []}, 422, "VALIDATION_FAILED", "entity must be a string"),
    ({"action": "a", "metadata": [1]}, 422, "VALIDATION_FAILED", "metadata must be an object"),
    ({"action": "a\x00"}, 400, "INVALID_PAYLOAD", "Invalid JSON body"),
    ({"action": "a", "metadata": {"a": ["\x00"]}}, 400, "INVALID_PAYLOAD", "Invalid JSON body"),
]


async def test_wrong_events_are_refused(shop):
    for body, status, code, message in WRONG:
        assert_error(await shop.post("_events", body), status, code, message)
    assert (await shop.get("_events")).meta["total"] == 0


async def test_reading_is_for_administrators(shop):
    for path in ("_events", "_events/stats", f"_events/trace/{TRACE}"):
        assert_error(await shop.as_actor(CLERK).get(path), 403, "FORBIDDEN", "Admin access required")


async def test_a_list_has_pages_and_both_keys(shop, app):
    await put(app, [row(number) for number in range(1, 8)])
    answer = (await shop.get("_events?per_page=3&page=2")).require(200)
    assert [one["metadata"]["n"] for one in answer.data] == [4, 3, 2]
    assert answer.json["meta"] == {"page": 2, "per_page": 3, "total": 7, "total_pages": 3}
    assert answer.json["pagination"] == {"page": 2, "per_page": 3, "total": 7}
    assert list(answer.json) == ["data", "meta", "pagination"]
    assert (await shop.get("_events?per_page=1000")).meta["per_page"] == 100
    assert (await shop.get("_events")).meta["per_page"] == 50
    assert (await shop.get("_events?page=9")).data == []
    ascending = (await shop.get("_events?sort=created_at&per_page=2")).data
    assert [one["metadata"]["n"] for one in ascending] == [1, 2]
    assert_error(await shop.get("_events?sort=action"), 400, "INVALID_PAYLOAD", "Unknown sort field: action")


FILTERS = [
    ("source=sql", [3, 2]),
    ("component=statement", [2]),
    ("action=sql.select", [3]),
    ("entity=book", [1]),
    ("status=error", [4]),
    (f"trace_id={TRACE.upper()}", [4, 3, 2, 1]),
    (f"trace_id={OTHER}", []),
    (f"user_id={CLERK.id}", [1]),
    ("event_type=system", [4, 3, 2, 1]),
    ("event_type=business", [0]),
    ("event_type=business&action=ping", [0]),
    ("event_type=business&action=pong", []),
    ("event_type=business&from=2026-01-02T03:04:06Z", []),
    ("from=2026-01-02T03:04:05.003Z&to=2026-01-02T03:04:05.004Z", [4, 3]),
    ("to=2026-01-02T03:04:05.001Z", [1]),
    ("from=2026-01-02T04:04:05.004%2B01:00&to=2026-01-02T03:04:05.004", [4]),
    ("from=2026-01-03", []),
    ("source=&action=", [0, 4, 3, 2, 1]),
]


async def test_lists_are_filtered(shop, app):
    await put(
        app,
        [
            row(1, entity="book", user_id=CLERK.id),
            row(2, source="sql", component="statement"),
            row(3, source="sql", action="sql.select"),
            row(4, status="error"),
        ],
    )
    posted = await shop.post("_events", {"action": "ping", "metadata": {"n": 0}})
    assert posted.status == 201
    for query, expected in FILTERS:
        answer = (await shop.get(f"_events?{query}")).require(200)
        assert ([one["metadata"]["n"] for one in answer.data], answer.meta["total"]) == (expected, len(expected)), query


MALFORMED = [
    ("trace_id=nonsense", "Invalid filter value for trace_id: nonsense"),
    ("user_id=7", "Invalid filter value for user_id: 7"),
    ("trace_id=" + TRACE.replace("-", ""), "Invalid filter value for trace_id: " + TRACE.replace("-", "")),
    ("from=yesterday", "Invalid filter value for from: yesterday"),
    ("to=2026-13-01", "Invalid filter value for to: 2026-13-01"),
]


async def test_malformed_filters_are_400(shop):
    for query, message in MALFORMED:
        assert_error(await shop.get(f"_events?{query}"), 400, "INVALID_PAYLOAD", message)
        if not query.startswith(("trace", "user")):
            assert_error(await shop.get(f"_events/stats?{query}"), 400, "INVALID_PAYLOAD", message)


async def test_the_end_of_time_is_a_time(shop):
    assert (await shop.get("_events?to=9999-12-31T23:59:59.999Z")).require(200).data == []
    assert (await shop.get("_events/stats?to=9999-12-31T23:59:59.999Z")).require(200).data == NO_STATS


async def test_a_trace_is_a_waterfall(shop, app):
    ids = [row(number)["id"] for number in range(5)]
    await put(
        app,
        [
            row(0, duration_ms=40.5),
            row(2, parent_span_id=ids[0], action="later"),
            row(1, parent_span_id=ids[0], action="earlier"),
            row(3, parent_span_id=ids[1], action="inner", metadata=None),
        ],
    )
    found = (await shop.get(f"_events/trace/{TRACE.upper()}")).require(200).data
    assert list(found) == ["trace_id", "root_span", "spans", "total_duration_ms"]
    assert found["trace_id"] == TRACE
    assert [one["action"] for one in found["spans"]] == ["request.start", "earlier", "later", "inner"]
    root = found["root_span"]
    assert list(root) == [*COLUMNS, "children"]
    assert [one["action"] for one in root["children"]] == ["earlier", "later"]
    (inner,) = root["children"][0]["children"]
    assert (inner["action"], inner["children"], inner["metadata"]) == ("inner", [], {})
    assert found["total_duration_ms"] == 40.5


async def test_of_several_roots_the_first_has_the_others_and_lost_spans_below_it(shop, app):
    await put(app, [row(0), row(1, parent_span_id=str(uuid4())), row(2, duration_ms=100.0)])
    found = (await shop.get(f"_events/trace/{TRACE}")).data
    assert [one["metadata"]["n"] for one in found["root_span"]["children"]] == [1, 2]
    assert found["total_duration_ms"] == 102


def test_a_span_that_is_its_own_parent_ends():
    only = row(1) | {"parent_span_id": row(1)["id"]}
    found = waterfall(TRACE, [row(0), only])
    assert [one["span_id"] for one in found["root_span"]["children"]] == [only["span_id"]]


async def test_an_unknown_trace_is_404(shop):
    for id in (OTHER, "nonsense", TRACE.replace("-", ""), "1"):
        assert_error(await shop.get(f"_events/trace/{id}"), 404, "NOT_FOUND", f"Trace not found: {id}")


async def test_stats_of_nothing(shop):
    assert (await shop.get("_events/stats")).require(200).data == NO_STATS


def spans_of_stats():
    """A hundred spans of 0.1 to 10 ms over three minutes, every fourth of them sql, every tenth an error."""
    return [
        row(
            number,
            source="sql" if number % 4 == 0 else "http",
            entity="book" if number % 2 else None,
            status="error" if number % 10 == 0 else "ok",
            duration_ms=number / 10,
            created_at=f"2026-01-02T03:{4 + number // 40:02}:{number % 40:02}.000Z",
        )
        for number in range(1, 101)
    ]


EXPECTED = {
    "total_events": 100,
    "avg_latency_ms": 5.05,
    "p95_latency_ms": 9.5,
    "error_rate": 0.1,
    "by_source": [
        {"source": "http", "count": 75, "avg_duration_ms": 5.0, "p95_duration_ms": 9.5, "error_count": 5},
        {"source": "sql", "count": 25, "avg_duration_ms": 5.2, "p95_duration_ms": 9.6, "error_count": 5},
    ],
}


@pytest.mark.parametrize("most_counted", [20_000, 0])
async def test_stats_are_the_same_row_by_row_and_from_sums(shop, app, monkeypatch, most_counted):
    monkeypatch.setattr(events_stats, "MOST_COUNTED", most_counted)
    await put(app, spans_of_stats())
    assert (await shop.get("_events/stats")).require(200).data == EXPECTED
    for name in ("ping", "pong"):
        await shop.post("_events", {"action": name})
    whole = (await shop.get("_events/stats")).data
    assert whole["total_events"] == 102
    assert whole["by_source"][2] == {
        "source": "app",
        "count": 2,
        "avg_duration_ms": None,
        "p95_duration_ms": None,
        "error_count": 0,
    }
    assert (whole["avg_latency_ms"], whole["error_rate"]) == (5.05, 0.1)
    of_books = (await shop.get("_events/stats?entity=book")).data
    assert (of_books["total_events"], of_books["error_rate"]) == (50, 0)


EDGES = ["2026-01-02T03:04:00Z", "2026-01-02T03:04:20Z", "2026-01-02T03:05:00Z", "2026-01-02T03:05:30.5Z"]


async def test_parts_of_minutes_count_exactly(shop, app, monkeypatch):
    await put(app, spans_of_stats())
    ranges = [f"from={start}&to={end}" for start, end in pairwise([*EDGES, "2026-01-02T03:06:10Z"])]
    ranges += [f"from={EDGES[1]}", f"to={EDGES[3]}", f"from={EDGES[1]}&to={EDGES[3]}", f"from={EDGES[0]}&to={EDGES[2]}"]
    exact = [(await shop.get(f"_events/stats?{each}")).require(200).data for each in ranges]
    monkeypatch.setattr(events_stats, "MOST_COUNTED", 0)
    summed_up = [(await shop.get(f"_events/stats?{each}")).require(200).data for each in ranges]
    assert summed_up == exact
    assert len({each["total_events"] for each in exact}) > 4


async def test_paths_are_matched_like_all_fixed_ones(shop):
    assert (await shop.get("_EVENTS/Stats/")).status == 200
    wrong = await shop.delete("_events")
    assert_error(wrong, 405, "METHOD_NOT_ALLOWED", "Method not allowed")
    assert set(wrong.headers["Allow"].replace(" ", "").split(",")) >= {"GET", "HEAD", "POST"}
