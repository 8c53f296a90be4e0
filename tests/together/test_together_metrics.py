"""GET /metrics with every plugin and real tokens."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client.parser import text_string_to_metric_families

from rocket_auth.testing import ADMIN, PLATFORM, bearer, login, signed_in
from rocket_kernel.testing import assert_error, entity

PROXIED = {"X-Forwarded-For": "203.0.113.9"}
WRONG = {
    "none": {},
    "empty": {"Authorization": ""},
    "scheme": {"Authorization": "Basic cGxhdGZvcm06Y2hhbmdlbWU="},
    "nonsense": bearer("nonsense"),
    "unsigned": bearer("eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4Iiwicm9sZXMiOlsicGxhdGZvcm1fYWRtaW4iXX0."),
    "long": bearer("x" * 20_000),
}


@pytest.mark.parametrize("kind", WRONG)
async def test_wrong_tokens_are_refused(open_app, kind):
    running, _ = await open_app()
    refused = await running.client.get("/metrics", headers={**PROXIED, **WRONG[kind]})
    assert refused.status == 401
    assert "rocket_" not in refused.text


async def test_only_administrators_of_the_platform_read_through_a_proxy(open_app):
    running, make = await open_app()
    platform = await signed_in(running.client, **PLATFORM)
    assert "rocket_info" in (await platform.get("/metrics", headers=PROXIED)).require(200).text
    await make("shop")
    token = (await login(running.client.in_app("shop"), **ADMIN)).require(200).data["access_token"]
    refused = await running.client.get("/metrics", headers={**PROXIED, **bearer(token)})
    assert_error(refused, 401, "UNAUTHORIZED", "Invalid or expired token")
    plain = {"email": "viewer@platform.example", "password": "correct horse", "roles": ["viewer"]}
    (await platform.post("/api/_platform/users", plain)).require(201)
    viewer = await signed_in(running.client, plain["email"], plain["password"])
    assert_error(await viewer.get("/metrics", headers=PROXIED), 403, "FORBIDDEN", "Admin access required")
    assert "rocket_info" in (await viewer.get("/metrics")).require(200).text, "a process of this machine"


async def test_every_plugin_shows_its_figures(open_app, receiver):
    running, make = await open_app()
    shop = await make("shop")
    await shop.define(entity("book", title="string"))
    await shop.create("_admin/webhooks", {"entity": "book", "url": f"{receiver.url}/hook"})
    await shop.create("book", {"title": "Emma"})
    await receiver.wait_for(1)
    for _ in range(200):
        text = (await running.client.get("/metrics")).require(200).text
        if 'rocket_webhooks_attempts_total{app="shop",outcome="delivered"} 1.0' in text:
            break
        await asyncio.sleep(0.02)
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert {
        "rocket_http_requests",
        "rocket_http_request_seconds",
        "rocket_pool_connections",
        "rocket_webhooks_attempts",
        "rocket_webhooks_backlog",
        "rocket_workflows_instances",
        "rocket_job_lag_seconds",
        "rocket_instrumentation_spans",
        "process_resident_memory_bytes",
    } <= set(families)
    statuses = {sample.labels["status"] for sample in families["rocket_workflows_instances"].samples}
    assert statuses == {"running", "completed", "failed", "cancelled"}
    assert all(family.documentation for family in families.values())
