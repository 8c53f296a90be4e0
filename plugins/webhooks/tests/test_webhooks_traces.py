"""What deliveries have to do with the traces of requests."""

from __future__ import annotations

import asyncio

from rocket_kernel import Plugin, hookimpl
from rocket_kernel.testing import entity
from rocket_webhooks import WebhooksPlugin


class Keeper(Plugin):
    name = "keeper"

    def __init__(self, settings=None):
        super().__init__(settings)
        self.traces = []

    def samples(self, app, trace_id):
        return True

    def finished(self, app, spans):
        self.traces.append(spans)

    @hookimpl
    def register_span_sinks(self):
        return [self]

    @hookimpl
    async def on_request(self, request):
        if "x-wake" in request.headers:
            deliveries = request.kernel.parts.plugins.find("webhooks").dispatcher
            deliveries.wake(request.app.name)
            await deliveries.desks[request.app.name].idle()


async def test_the_request_that_gives_cause_to_look_for_deliveries_does_not_do_it(start_kernel):
    running = await start_kernel([WebhooksPlugin, Keeper])
    client = await running.client.app("shop")
    await client.define(entity("book", title="string"))
    keeper = running.kernel.parts.plugins.find("keeper")
    keeper.traces.clear()
    (await client.request("GET", "book", headers={"X-Wake": "1"})).require(200)
    await asyncio.sleep(0)
    (spans,) = [spans for spans in keeper.traces if spans.root.source == "http"]
    assert [one.action for one in spans if one.source != "sql"] == ["request.start", "record.list"]
    assert [one.metadata for one in spans if "_webhook_logs" in str(one.metadata)] == []
