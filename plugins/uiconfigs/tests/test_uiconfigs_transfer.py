"""UI configs in export documents: the one section whose stored items an import overwrites."""

import pytest

from rocket_kernel.testing import entity
from rocket_uiconfigs import UiConfigsPlugin

DOCUMENT = {
    "entities": [entity("book")],
    "ui_configs": [
        {"entity": "book", "config": {"z": 1, "a": {"y": 1, "x": [2, 1]}}},
        {"entity": "_app", "scope": "default", "config": {"dashboard": {"widgets": []}}},
        {"entity": "book", "scope": "mobile", "config": {}},
    ],
}


@pytest.fixture
async def client(start_kernel):
    return await (await start_kernel([UiConfigsPlugin])).client.app("shop")


async def imported(client, document, mode="apply"):
    return (await client.post(f"_admin/import?mode={mode}", document)).require(200).data


async def test_import_and_again(client):
    assert (await imported(client, DOCUMENT))["summary"]["ui_configs"] == 3
    before = (await client.get("_admin/ui-configs")).data
    again = await imported(client, DOCUMENT)
    assert (again["summary"]["ui_configs"], "errors" in again) == (0, False)
    assert (await client.get("_admin/ui-configs")).data == before
    assert (await imported(client, DOCUMENT, "plan"))["changes"] == []


async def test_the_order_of_members_is_no_difference(client):
    await imported(client, DOCUMENT)
    other = {"ui_configs": [{"config": {"a": {"x": [2, 1], "y": 1}, "z": 1}, "entity": "book", "scope": "default"}]}
    assert (await imported(client, other))["summary"]["ui_configs"] == 0


@pytest.mark.parametrize("config", [{"z": True, "a": {"y": 1, "x": [2, 1]}}, {"z": 1, "a": {"y": 1, "x": [1, 2]}}, {}])
async def test_what_differs_is_overwritten(client, config, clock):
    await imported(client, DOCUMENT)
    stored = (await client.get("_ui/config/book")).data
    clock.advance(minutes=1)
    changed = {"ui_configs": [{"entity": "book", "config": config}]}
    plan = await imported(client, changed, "plan")
    assert plan["changes"] == [{"action": "update", "kind": "ui_config", "key": "book/default"}]
    assert (await client.get("_ui/config/book")).data == stored
    assert (await imported(client, changed))["summary"]["ui_configs"] == 1
    now = (await client.get("_ui/config/book")).data
    assert (now["id"], now["created_at"], now["config"]) == (stored["id"], stored["created_at"], config)
    assert now["updated_at"] > stored["updated_at"]


async def test_faulty_items_are_reported_and_the_rest_goes_on(client):
    items = [{"entity": "nothing"}, {}, {"entity": "_a", "config": 7}, 7, {"entity": "_a"}, {"entity": "_a"}]
    outcome = await imported(client, {"ui_configs": items})
    assert outcome["summary"]["ui_configs"] == 1
    assert outcome["errors"] == [
        "ui_config nothing/default: entity not found: nothing",
        "ui_config /default: entity is required",
        "ui_config _a/default: config must be an object",
        "ui_config: object expected",
        "ui_config _a/default: UI config already exists for entity _a scope default",
    ]


async def test_export_import_export_is_the_same(client):
    await imported(client, DOCUMENT)
    first = (await client.get("_admin/export")).data
    assert first["ui_configs"] == [
        {"entity": "_app", "scope": "default", "config": {"dashboard": {"widgets": []}}},
        {"entity": "book", "scope": "default", "config": {"z": 1, "a": {"y": 1, "x": [2, 1]}}},
        {"entity": "book", "scope": "mobile", "config": {}},
    ]
    other = await client.app("other")
    await imported(other, first)
    second = await other.get("_admin/export")
    assert (
        second.text.replace(second.data["exported_at"], first["exported_at"])
        == (await client.get("_admin/export")).text
    )
