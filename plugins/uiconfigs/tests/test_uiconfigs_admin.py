"""`_admin/ui-configs`: contract §15."""

import pytest

from rocket_kernel import Actor
from rocket_kernel.testing import Actors, Scenario, assert_error, entity, run_scenarios, transcript
from rocket_uiconfigs import UiConfigsPlugin

PATH = "_admin/ui-configs"
NOW, LATER = "2026-01-02T03:04:05.678Z", "2026-01-02T04:04:05.678Z"
NO_ID = "12345678-90ab-4cde-8f01-234567890abc"
STAFF = Actor(id="7", email=None, roles=frozenset({"staff"}))
SCENARIOS = [
    Scenario("book", "POST", PATH, {"entity": "book", "config": {"z": 1, "a": [1.5, None, {"b": True}]}}, status=201,
             contains=['"scope":"default","config":{"z":1,"a":[1.5,null,{"b":true}]}'], keep={"book": "data.id"}),
    Scenario("app", "POST", PATH, {"entity": "_app"}, status=201, contains=['"config":{}']),
    Scenario("mobile", "POST", PATH, {"entity": "book", "scope": "mobile", "config": None}, status=201),
    Scenario("list", "GET", PATH),
    Scenario("one", "GET", f"{PATH}/{{book}}"),
    Scenario("rename", "PUT", f"{PATH}/{{book}}", {"scope": "print"}, contains=['"scope":"print"', '"z":1']),
    Scenario("clash", "PUT", f"{PATH}/{{book}}", {"scope": "mobile"}, status=409, error="CONFLICT"),
    Scenario("delete", "DELETE", f"{PATH}/{{book}}", contains=['"deleted":true']),
]  # fmt: skip


@pytest.fixture
async def client(start_kernel):
    running = await start_kernel([UiConfigsPlugin, Actors])
    client = await running.client.app("shop")
    await client.define(entity("book"), entity("author"))
    return client


async def test_a_config_is_stored_as_given(client, clock):
    config = {"list": {"columns": ["b", "a"], "per_page": 10}, "n": 9007199254740993, "x": 0.1, "": {"ä": "…"}}
    made = await client.create(PATH, {"entity": "book", "config": config, "id": NO_ID, "nonsense": 1})
    assert made == {
        **made,
        "entity": "book",
        "scope": "default",
        "config": config,
        "created_at": NOW,
        "updated_at": NOW,
    }
    assert list(made) == ["id", "entity", "scope", "config", "created_at", "updated_at"]
    assert made["id"] != NO_ID
    clock.advance(hours=1)
    changed = (await client.put(f"{PATH}/{made['id']}", {"config": {"z": 1, "a": 2}})).data
    assert changed == {**made, "config": {"z": 1, "a": 2}, "updated_at": LATER}
    assert list(changed["config"]) == ["z", "a"]
    assert (await client.get(f"{PATH}/{made['id'].upper()}")).data == changed


async def test_the_list_is_ordered_by_entity_and_scope(client):
    for name, scope in (("book", "b"), ("_z", "a"), ("book", "a"), ("author", "default"), ("_App", "a")):
        await client.create(PATH, {"entity": name, "scope": scope})
    listed = [(row["entity"], row["scope"]) for row in (await client.get(PATH)).data]
    assert listed == [("_App", "a"), ("_z", "a"), ("author", "default"), ("book", "a"), ("book", "b")]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "entity is required"),
        ({"entity": None}, "entity is required"),
        ({"entity": ""}, "entity is required"),
        ({"entity": "nothing", "config": []}, "entity not found: nothing"),
        ({"entity": ["book"]}, 'entity not found: ["book"]'),
        ({"entity": 7}, "entity not found: 7"),
        ({"entity": "Book"}, "entity not found: Book"),
        ({"entity": "book", "config": []}, "config must be an object"),
        ({"entity": "book", "config": "{}"}, "config must be an object"),
        ({"entity": "book", "config": False}, "config must be an object"),
        ({"entity": "book", "scope": 7}, "scope must be a string"),
        ({"entity": "book", "scope": "x" * 256}, "scope must be at most 255 characters"),
        ({"entity": "_" * 256}, "entity must be at most 255 characters"),
    ],
)
async def test_what_is_refused(client, body, message):
    assert_error(await client.post(PATH, body), 422, "VALIDATION_FAILED", message)
    assert (await client.get(PATH)).data == []


async def test_the_longest_names_fit_the_index(client):
    await client.create(PATH, {"entity": "_" + "\U0001f600" * 254, "scope": "\U0001f680" * 255})
    refused = await client.post(PATH, {"entity": "book", "config": {"a": "\x00"}})
    assert_error(refused, 400, "INVALID_PAYLOAD", "Invalid JSON body")


async def test_one_config_for_entity_and_scope(client):
    await client.create(PATH, {"entity": "book"})
    mobile = await client.create(PATH, {"entity": "book", "scope": "mobile"})
    twice = await client.post(PATH, {"entity": "book", "scope": ""})
    assert_error(twice, 409, "CONFLICT", "UI config already exists for entity book scope default")
    moved = await client.put(f"{PATH}/{mobile['id']}", {"scope": "default"})
    assert_error(moved, 409, "CONFLICT", "UI config already exists for entity book scope default")
    assert (await client.put(f"{PATH}/{mobile['id']}", {"scope": "mobile"})).data == mobile


@pytest.mark.parametrize("id", [NO_ID, "7", "%00"])
async def test_what_is_not_there(client, id):
    for method in ("GET", "PUT", "DELETE"):
        answer = await client.request(method, f"{PATH}/{id}", *([{}] if method == "PUT" else []))
        assert (answer.status, answer.error["code"]) == (404, "NOT_FOUND")
        assert answer.error["message"].startswith("UI config not found: ")


async def test_with_an_entity_go_its_configs(client):
    for name in ("book", "author", "_app"):
        await client.create(PATH, {"entity": name})
    assert (await client.delete("_admin/entities/book")).status == 200
    assert [row["entity"] for row in (await client.get(PATH)).data] == ["_app", "author"]


async def test_only_admins_reach_them(client):
    staff = client.as_actor(STAFF)
    for method, path in (("GET", PATH), ("POST", PATH), ("PUT", f"{PATH}/{NO_ID}"), ("DELETE", f"{PATH}/{NO_ID}")):
        assert_error(await staff.request(method, path), 403, "FORBIDDEN", "Admin access required")


async def test_scenarios(client):
    await run_scenarios(client, SCENARIOS)


seen: set[str] = set()


async def test_both_databases_answer_alike(client):
    seen.add(await transcript(client, SCENARIOS))
    assert len(seen) == 1
