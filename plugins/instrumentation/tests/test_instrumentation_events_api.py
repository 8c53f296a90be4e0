"""Contract §16.1 to §16.3: business events, lists, waterfalls and stats."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from rocket_instrumentation import InstrumentationPlugin
from rocket_kernel.testing import Actors, assert_error, entity

COLUMNS = [
    "id",
    "trace_id",
    "span_id",
    "parent_span_id",
    "event_type",
    "source",
    "component",
    "action",
    "entity",
    "record_id",
    "user_id",
    "duration_ms",
    "status",
    "metadata",
    "created_at",
]
ADMIN_ID = "00000000-0000-4000-8000-000000000001"


@pytest.fixture
async def running(start_kernel):
    return await start_kernel([InstrumentationPlugin, Actors])


@pytest.fixture
async def shop(running):
    client = await running.client.app("shop")
    await client.define(entity("book", title="string!"))
    return client


@pytest.fixture
def flush(running):
    plugin = running.kernel.parts.plugins.find("instrumentation")
    return plugin.events.flush


async def test_a_get_is_a_trace(shop, flush):
    book = await shop.create("book", {"title": "Emma"})
    answer = await shop.get(f"book/{book['id']}")
    await flush()
    trace = (await shop.get(f"_events/trace/{answer.headers['X-Trace-ID']}")).require(200).data
    print(trace)
    assert list(trace) == ["trace_id", "root_span", "spans", "total_duration_ms"]
