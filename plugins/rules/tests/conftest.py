from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from rocket_kernel.testing import Client, entity, many_to_many, one_to_many, one_to_one
from rocket_rules import RulesPlugin

Rule = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
async def running(start_kernel):
    return await start_kernel([RulesPlugin])


@pytest.fixture
async def shop(running) -> Client:
    """An app with sales, their lines and tags, and customers."""
    client = await running.client.app("shop")
    await client.define(
        entity("customer", name="string", rating="int"),
        entity(
            "sale",
            number="int",
            state="string default=open",
            total="decimal:2",
            net="decimal",
            tax="decimal:2",
            sold="date",
            at="timestamp",
            paid="boolean",
            note="text",
            meta="json",
            customer_id="uuid",
        ),
        entity("line", sale_id="uuid", sku="string", qty="int", price="decimal:2", amount="decimal:2"),
        entity("seal", sale_id="uuid", code="string"),
        entity("tag", name="string"),
    )
    await client.relate(
        one_to_many("sales", "customer", "sale", "customer_id", on_delete="cascade"),
        one_to_many("lines", "sale", "line", "sale_id", on_delete="cascade"),
        one_to_one("seal", "sale", "seal", "sale_id"),
        many_to_many("tags", "sale", "tag"),
    )
    return client


@pytest.fixture
def field_rule(shop) -> Rule:
    """A function: field, operator, value -> the stored rule."""

    async def add(field: str, operator: str, value: Any = None, *, entity: str = "sale", **more: Any) -> dict[str, Any]:
        definition = {"field": field, "operator": operator, "value": value, **more.pop("definition", {})}
        body = {"entity": entity, "hook": "before_write", "type": "field", "definition": definition, **more}
        return await shop.create("_admin/rules", body)

    return add


@pytest.fixture
def expression_rule(shop) -> Rule:
    async def add(expression: str, *, entity: str = "sale", **more: Any) -> dict[str, Any]:
        definition = {"expression": expression, **more.pop("definition", {})}
        body = {"entity": entity, "hook": "before_write", "type": "expression", "definition": definition, **more}
        return await shop.create("_admin/rules", body)

    return add


@pytest.fixture
def computed_rule(shop) -> Rule:
    async def add(field: str, expression: str, *, entity: str = "sale", **more: Any) -> dict[str, Any]:
        definition = {"field": field, "expression": expression}
        body = {"entity": entity, "hook": "before_write", "type": "computed", "definition": definition, **more}
        return await shop.create("_admin/rules", body)

    return add


@pytest.fixture
def findings(shop) -> Callable[..., Awaitable[list[dict[str, Any]]]]:
    """A function: method, path, body -> the details of the refusal, or [] when it was accepted."""

    async def send(method: str, path: str, body: Any = None) -> list[dict[str, Any]]:
        answer = await shop.request(method, path, json=body)
        if answer.status < 300:
            return []
        assert answer.status == 422, answer.text
        assert (answer.error["code"], answer.error["message"]) == ("VALIDATION_FAILED", "Validation failed")
        return answer.error["details"]

    return send
