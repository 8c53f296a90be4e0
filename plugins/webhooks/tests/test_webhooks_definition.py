"""Webhooks as a metadata kind: checks in the contract's order, secrets, export and import."""

from __future__ import annotations

from typing import Any

import pytest

from rocket_kernel.errors import ConfigError
from rocket_kernel.testing import assert_error, entity
from rocket_webhooks import WebhooksPlugin
from rocket_webhooks.settings import WebhooksSettings

URL = "https://example.com/hook"
GOOD = {"entity": "item", "url": URL}
SHOWN = [
    "id",
    "entity",
    "hook",
    "url",
    "method",
    "headers",
    "condition",
    "async",
    "retry",
    "order",
    "active",
    "secret",
    "created_at",
    "updated_at",
]

# In the order of the contract: every row would also fail each check below its own.
BAD: list[tuple[dict[str, Any], str]] = [
    ({}, "entity is required"),
    ({"entity": ""}, "entity is required"),
    ({"entity": 7}, "entity is required"),
    ({"entity": "gone", "hook": "on_write"}, "hook must be after_write, before_write, after_delete, or before_delete"),
    ({"entity": "gone", "hook": ""}, "hook must be after_write, before_write, after_delete, or before_delete"),
    ({"entity": "gone", "hook": "before_write"}, "url is required"),
    ({"entity": "gone", "url": None}, "url is required"),
    ({"entity": "gone", "url": "ftp://x/"}, "url must start with http:// or https://"),
    ({"entity": "gone", "url": "example.com"}, "url must start with http:// or https://"),
    ({"entity": "gone", "url": f"{URL}/{'x' * 2048}"}, "url must be at most 2048 characters"),
    ({"entity": "gone", "url": "http://"}, "invalid url"),
    ({"entity": "gone", "url": "http://[::1/"}, "invalid url"),
    ({"entity": "gone", "url": "https://user:pass@example.com/"}, "url must not contain user info"),
    ({"entity": "gone", "url": "https://user@example.com/"}, "url must not contain user info"),
    ({"entity": "gone", "url": URL, "method": "HEAD"}, "method must be POST, PUT, PATCH, GET, or DELETE"),
    ({"entity": "gone", "url": URL, "method": "post"}, "method must be POST, PUT, PATCH, GET, or DELETE"),
    ({"entity": "gone", "url": URL, "hook": "before_write", "async": True}, "entity not found: gone"),
    ({**GOOD, "async": "yes"}, "async must be true or false"),
    (
        {**GOOD, "hook": "before_write", "async": True, "headers": {"Host": "x"}},
        "before_write and before_delete webhooks cannot be async",
    ),
    ({**GOOD, "hook": "before_delete", "async": True}, "before_write and before_delete webhooks cannot be async"),
    ({**GOOD, "headers": []}, "headers must be an object of strings"),
    ({**GOOD, "headers": {"X-A": 1}}, "header 'X-A' must be a string without CR, LF and NUL"),
    ({**GOOD, "headers": {"X-A": "a\r\nX-B: b"}}, "header 'X-A' must be a string without CR, LF and NUL"),
    ({**GOOD, "headers": {"X A": "a"}}, "invalid header name: X A"),
    ({**GOOD, "headers": {"": "a"}}, "invalid header name: "),
    (
        {**GOOD, "headers": {"Host": "{{env.PATH}}"}, "condition": "nonsense"},
        "environment variable 'PATH' is not allowed",
    ),
    ({**GOOD, "headers": {"X": "{{ env.HOME }}"}}, "environment variable 'HOME' is not allowed"),
    ({**GOOD, "headers": {"X": "{{env.}}"}}, "environment variable '' is not allowed"),
    ({**GOOD, "headers": {"X": "{{env.ROCKET_WEBHOOK_A}}{{env.B}}"}}, "environment variable 'B' is not allowed"),
    ({**GOOD, "headers": {"hOsT": "x"}, "condition": "nonsense"}, "header 'hOsT' is reserved"),
    ({**GOOD, "headers": {"Content-Length": "1"}}, "header 'Content-Length' is reserved"),
    ({**GOOD, "headers": {"Transfer-Encoding": "chunked"}}, "header 'Transfer-Encoding' is reserved"),
    ({**GOOD, "headers": {"Connection": "close"}}, "header 'Connection' is reserved"),
    ({**GOOD, "headers": {"Webhook-Anything": "x"}}, "header 'Webhook-Anything' is reserved"),
    ({**GOOD, "condition": 7, "retry": 7}, "condition must be a string"),
    ({**GOOD, "retry": []}, "retry must be an object"),
    ({**GOOD, "retry": {"max_attempts": 0}}, "retry.max_attempts must be an integer from 1 to 20"),
    ({**GOOD, "retry": {"max_attempts": 21}}, "retry.max_attempts must be an integer from 1 to 20"),
    ({**GOOD, "retry": {"max_attempts": "3"}}, "retry.max_attempts must be an integer from 1 to 20"),
    ({**GOOD, "retry": {"max_attempts": True}}, "retry.max_attempts must be an integer from 1 to 20"),
    ({**GOOD, "retry": {"backoff": "none"}, "order": "x"}, "retry.backoff must be exponential or linear"),
    ({**GOOD, "order": "entity"}, "order must be none or record"),
    ({**GOOD, "active": 1}, "active must be true or false"),
]
CONDITIONS = [
    "record.",
    "nonsense",
    "record.weight > 1",
    "related.lines",
    "context.x",
    "old.gone",
    "changes.gone",
    "1 +",
]


async def test_checks_come_in_the_contract_s_order(shop: Any) -> None:
    for body, message in BAD:
        answer = await shop.client.post("_admin/webhooks", body)
        assert_error(answer, 422, "VALIDATION_FAILED", message)
    for condition in CONDITIONS:
        answer = await shop.client.post("_admin/webhooks", {**GOOD, "condition": condition, "retry": 7})
        assert_error(answer, 422, "VALIDATION_FAILED")
        assert answer.error["message"].startswith("invalid expression: "), answer
        assert {"field", "line", "column"} <= set(answer.error["details"][0])
    assert (await shop.client.get("_admin/webhooks")).data == []


async def test_defaults_and_what_is_shown(shop: Any) -> None:
    created = await shop.hook(url=URL, ignored=1)
    assert list(created) == SHOWN
    kept = {name: created[name] for name in SHOWN[1:11]}
    assert kept == {
        "entity": "item",
        "hook": "after_write",
        "url": URL,
        "method": "POST",
        "headers": {},
        "condition": "",
        "async": True,
        "retry": {"max_attempts": 3, "backoff": "exponential"},
        "order": "none",
        "active": True,
    }
    assert (await shop.client.get(f"_admin/webhooks/{created['id']}")).data == created
    before = await shop.hook(url=URL, hook="before_write", retry={"backoff": "linear", "note": "kept"})
    assert (before["async"], before["retry"]) == (False, {"max_attempts": 3, "backoff": "linear", "note": "kept"})
    nulls = await shop.hook(url=URL, hook=None, method=None, headers=None, condition=None, retry=None, active=None)
    assert {name: nulls[name] for name in kept} == kept


async def test_the_secret_is_made_here_and_never_changed_by_a_client(shop: Any) -> None:
    import base64

    created = await shop.hook(url=URL, secret="whsec_mine", id="7", created_at="2000-01-01")
    assert created["secret"].startswith("whsec_")
    assert len(base64.b64decode(created["secret"].removeprefix("whsec_"), validate=True)) == 32
    path = f"_admin/webhooks/{created['id']}"
    changed = (await shop.client.put(path, {"secret": "whsec_mine", "previous_secret": "x", "active": False})).data
    assert changed == {**created, "active": False}
    other = await shop.hook(url=URL)
    assert other["secret"] != created["secret"]


async def test_put_keeps_what_is_not_sent_and_checks_it_all(shop: Any) -> None:
    created = await shop.hook(url=URL, headers={"X-A": "a"}, condition="record.qty > 1", order="record")
    path = f"_admin/webhooks/{created['id']}"
    changed = (await shop.client.put(path, {"method": "PUT"})).require(200).data
    assert changed == {**created, "method": "PUT"}
    refused = await shop.client.put(path, {"hook": "before_write"})
    assert_error(refused, 422, "VALIDATION_FAILED", "before_write and before_delete webhooks cannot be async")
    assert (await shop.client.put(path, {"hook": "before_write", "async": False})).data["hook"] == "before_write"


async def test_unknown_ids(shop: Any) -> None:
    for id in ("00000000-0000-4000-8000-00000000abcd", "7", "x" * 300):
        for method, path in (
            ("GET", f"_admin/webhooks/{id}"),
            ("PUT", f"_admin/webhooks/{id}"),
            ("DELETE", f"_admin/webhooks/{id}"),
            ("POST", f"_admin/webhooks/{id}/test"),
            ("POST", f"_admin/webhooks/{id}/rotate-secret"),
            ("POST", f"_admin/webhooks/{id}/replay"),
        ):
            assert_error(await shop.client.request(method, path, {}), 404, "NOT_FOUND", f"Webhook not found: {id}")


async def test_the_list_is_ordered_and_a_webhook_goes_with_its_entity(shop: Any) -> None:
    await shop.client.define(entity("box", name="string"))
    for name, hook in (("item", "before_write"), ("item", "after_delete"), ("box", "after_write")):
        await shop.hook(entity=name, hook=hook, url=URL)
    listed = (await shop.client.get("_admin/webhooks")).data
    assert [(row["entity"], row["hook"]) for row in listed] == [
        ("box", "after_write"),
        ("item", "after_delete"),
        ("item", "before_write"),
    ]
    (await shop.client.delete("_admin/entities/item")).require(200)
    assert [row["entity"] for row in (await shop.client.get("_admin/webhooks")).data] == ["box"]


async def test_export_holds_no_secret_and_comes_back_the_same(shop: Any) -> None:
    first = await shop.hook(url=URL, headers={"Authorization": "Bearer {{env.ROCKET_WEBHOOK_TOKEN}}"})
    await shop.hook(url=f"{URL}/2", hook="before_delete", condition="record.qty > 1", retry={"max_attempts": 9})
    await shop.hook(url=f"{URL}/3", order="record")
    document = (await shop.client.get("_admin/export")).data
    assert [list(item) for item in document["webhooks"]] == [
        ["entity", "hook", "url", "method", "headers", "condition", "async", "retry", "active"],
        ["entity", "hook", "url", "method", "headers", "condition", "async", "retry", "order", "active"],
        ["entity", "hook", "url", "method", "headers", "condition", "async", "retry", "active"],
    ]
    assert first["secret"] not in str(document)
    again = (await shop.client.post("_admin/import", document)).data
    assert (again["summary"]["webhooks"], "errors" in again) == (0, False)
    other = await shop.running.client.app("other")
    imported = (await other.post("_admin/import", document)).data
    assert (imported["summary"]["webhooks"], "errors" in imported) == (3, False)
    assert (await other.get("_admin/export")).data["webhooks"] == document["webhooks"]
    made = (await other.get("_admin/webhooks")).data
    assert len({row["secret"] for row in made} | {first["secret"]}) == 4


async def test_import_takes_short_forms_and_reports_bad_ones(shop: Any) -> None:
    await shop.hook(url=URL)
    document = {"webhooks": [GOOD, {**GOOD, "url": "x"}, {"hook": "after_delete"}, 7]}
    done = (await shop.client.post("_admin/import", document)).data
    assert done["summary"]["webhooks"] == 0
    assert done["errors"] == [
        "webhook item/after_write: url must start with http:// or https://",
        "webhook /after_delete: entity is required",
        "webhook: object expected",
    ]


async def test_what_was_stored_stays_usable_when_the_world_around_it_changes(
    start_shop: Any, shop: Any, receiver: Any
) -> None:
    """A field its condition names is gone, and the prefix of variables is another one: the app still opens."""
    await shop.hook(condition="record.qty > 1 or record.name == 'bolt'", headers={"X-A": "{{env.ROCKET_WEBHOOK_A}}"})
    definition = entity("item", name="string!", price="decimal:2", secret="string")
    (await shop.client.put("_admin/entities/item", definition)).require(200)
    await shop.running.stop()
    again = await start_shop(settings={"env_prefix": "OTHER_"}, app=None)
    client = again.client.in_app("shop")
    await client.create("item", {"name": "bolt"})
    await client.create("item", {"name": "nut"})
    assert await again.deliver() == 1
    (received,) = receiver.requests
    assert (received.json["record"]["name"], received.headers["x-a"]) == ("bolt", "")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"allow_addresses": ("10.0.0.1/8",)}, "host bits set"),
        ({"allow_addresses": ("localhost",)}, "is no network"),
    ],
)
def test_settings_that_stop_the_start(values: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        WebhooksPlugin(WebhooksSettings(**values))


async def test_an_empty_prefix_allows_no_variable(start_shop: Any) -> None:
    shop = await start_shop(settings={"env_prefix": ""})
    refused = await shop.client.post("_admin/webhooks", {**GOOD, "headers": {"X": "{{env.PATH}}"}})
    assert_error(refused, 422, "VALIDATION_FAILED", "environment variable 'PATH' is not allowed")
