"""Contract §16.1 to §16.3: business events, lists, waterfalls and stats."""

from __future__ import annotations

import pytest

from rocket_instrumentation import InstrumentationPlugin
from rocket_kernel.testing import Actors, entity


@pytest.fixture
async def running(start_kernel):
    return await start_kernel([InstrumentationPlugin, Actors])


@pytest.fixture
async def shop(running):
    client = await running.client.app("shop")
    await client.define(entity("book", title="string!"))
    return client


async def test_a_get_is_a_trace(shop):
    book = await shop.create("book", {"title": "Emma"})
    answer = await shop.get(f"book/{book['id']}")
    trace = (await shop.get(f"_events/trace/{answer.headers['X-Trace-ID']}")).require(200).data
    assert list(trace) == ["trace_id", "root_span", "spans", "total_duration_ms"]
    assert [row["action"] for row in trace["spans"]] == ["request.start", "record.get", "sql.select"]
    stats = (await shop.get("_events/stats")).require(200).data
    assert stats["total_events"] > 5
