"""How the databases find events, and how long that takes with a million of them."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta

import pytest

from rocket_instrumentation import InstrumentationPlugin
from rocket_instrumentation.events_minutes import MINUTE_COLUMNS, Minutes, minute_rows, summed
from rocket_instrumentation.events_row import SPAN_COLUMNS
from rocket_instrumentation.tables import EVENT_ROWS, MINUTE_ROWS
from rocket_kernel import Within
from rocket_kernel.store.table_rows import TableRows

DAY = datetime(2026, 1, 1, tzinfo=UTC)
SHAPES = (
    ("http", "handler", "request.start", None),
    ("engine", "handler", "record.get", "book"),
    ("auth", "permissions", "permission.check", "book"),
    ("sql", "statement", "sql.select", None),
)


def trace_id(number):
    return f"0190{number:08x}-0000-7000-8000-000000000000"[:8] + f"-{number % 65536:04x}-7000-8000-{number:012x}"


def spans(traces, *, seed=1):
    """Four spans for each trace, evenly over a day; every fiftieth request fails."""
    chance = random.Random(seed)
    for number in range(traces):
        at = DAY + timedelta(milliseconds=86_400_000 * number // traces)
        text = at.isoformat(timespec="milliseconds")[:23] + "Z"
        trace, parent = trace_id(number), None
        for part, (source, component, action, entity) in enumerate(SHAPES):
            id = f"0190{number:08x}"[:8] + f"-{number % 65536:04x}-7{part:03x}-9000-{number:012x}"
            duration = round(chance.lognormvariate(-1, 1) / (part + 1), 3)
            status = "error" if number % 50 == 0 and part < 2 else "ok"
            yield (
                id, trace, id, parent, "system", source, component, action, entity, None, None, duration, status,
                {"rows": 1} if source == "sql" else None, text,
            )  # fmt: skip
            parent = parent or id


async def fill(app, traces, *, at_once=20_000):
    batch, sums = [], Minutes()

    async def write():
        async with app.writing() as (tx, _):
            await EVENT_ROWS.insert_tuples(tx, SPAN_COLUMNS, batch)
            written = sums.with_added(summed(batch))
            await MINUTE_ROWS.put_tuples(tx, MINUTE_COLUMNS, minute_rows(written))
        sums.keep(written)
        batch.clear()

    for row in spans(traces):
        batch.append(row)
        if len(batch) == at_once:
            await write()
    if batch:
        await write()
    async with app.store.write() as tx:
        await tx.execute("ANALYZE")


@pytest.fixture
async def shop(start_kernel):
    running = await start_kernel([InstrumentationPlugin], config={"instrumentation.sampling_rate": 0})
    client = await running.client.app("shop")
    return client, await running.kernel.apps.app("shop")


class Explaining:
    """A session that notes the plans of what it reads."""

    def __init__(self, session):
        self.session, self.dialect, self.plans = session, session.dialect, []

    async def fetch(self, sql, params=()):
        # Each database has its own word for it.
        explain = "EXPLAIN QUERY PLAN " if self.dialect.placeholder(1).startswith("?") else "EXPLAIN "
        plan = await self.session.fetch(explain + sql, params)
        self.plans.append("\n".join(str(row[-1]) for row in plan))
        return await self.session.fetch(sql, params)


HOUR = Within("2026-01-01T05:00:00.000Z", "2026-01-01T05:20:00.000Z")
NEWEST = ("-created_at", "-id")
READS = {
    "trace": (EVENT_ROWS, {"trace_id": trace_id(7)}, {"order_by": ("id",), "limit": 100}, "key._events sqlite_autoindex__events"),
    "newest": (EVENT_ROWS, {}, {"order_by": NEWEST, "limit": 50}, "idx__events_created_at"),
    "newest of an action": (
        EVENT_ROWS, {"action": "record.get"}, {"order_by": NEWEST, "limit": 50}, "idx__events_created_at",
    ),
    "a time": (EVENT_ROWS, {"created_at": HOUR}, {"order_by": NEWEST, "limit": 50}, "idx__events_created_at"),
    "business": (EVENT_ROWS, {"kept_at": HOUR}, {}, "idx__events_kept_at"),
    "sums": (MINUTE_ROWS, {"minute": HOUR}, {}, "key._event_minutes sqlite_autoindex__event_minutes"),
}  # fmt: skip


async def plans_of(app):
    async with app.reading() as (session, _):
        found = {}
        for name, (rows, where, more, _index) in READS.items():
            explaining = Explaining(session)
            await TableRows.select(rows, explaining, where, **more)
            found[name] = explaining.plans[0]
    return found


def require_indexes(plans):
    for name, plan in plans.items():
        wanted = READS[name][3].split()
        assert any(index in plan for index in wanted), f"{name}:\n{plan}"
        assert "Seq Scan" not in plan, f"{name}:\n{plan}"


async def test_reads_go_by_indexes(shop):
    _, app = shop
    await fill(app, 5000)
    require_indexes(await plans_of(app))


@pytest.mark.torture
async def test_a_million_events_answer_at_once(shop):
    client, app = shop
    await fill(app, 250_000)
    plans = await plans_of(app)
    print(f"\n{app.store.dialect.__class__.__name__}")  # noqa: T201  # the figures are what it is for
    for name, plan in plans.items():
        print(f"-- {name}\n{plan}")  # noqa: T201  # the figures are what it is for
    asks = {
        "waterfall": (f"_events/trace/{trace_id(123_456)}", 0.05),
        "stats of 24 h": ("_events/stats?from=2026-01-01T00:00:30Z&to=2026-01-02T00:00:30Z", 0.5),
        "stats of everything": ("_events/stats", 0.5),
        "stats of an entity": ("_events/stats?entity=book", 0.5),
        "stats of 20 minutes": ("_events/stats?from=2026-01-01T05:00:00Z&to=2026-01-01T05:20:00Z", 0.5),
        "list": ("_events", 1.0),
        "list of an action": ("_events?action=permission.check", 1.0),
        "list of errors of an entity": ("_events?status=error&entity=book", 1.0),
        "list of what there is none of": ("_events?action=nothing", 1.0),
        "list of an hour": ("_events?from=2026-01-01T05:00:00Z&to=2026-01-01T06:00:00Z", 0.5),
        "page 100": ("_events?page=100&per_page=100", 1.0),
    }
    for name, (path, most_s) in asks.items():
        times = []
        for _ in range(7):
            began = time.perf_counter()
            (await client.get(path)).require(200)
            times.append(time.perf_counter() - began)
        times.sort()
        print(f"{name:<32} {times[3] * 1000:8.1f} ms, at best {times[0] * 1000:.1f}")  # noqa: T201  # the figures are what it is for
        assert times[3] < most_s, name
    total = (await client.get("_events/stats")).data
    assert total["total_events"] == 1_000_000
    require_indexes(plans)
