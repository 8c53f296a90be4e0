"""What a point is, in bodies, definitions, documents and expressions."""

import pytest

from rocket_geo import GeoPlugin
from rocket_kernel.testing import assert_error, entity, query_plan

VIENNA = {"lat": 48.2082, "lng": 16.3738}
PLACE = entity("place", name="string unique", location="point", home={"type": "point", "default": VIENNA})


@pytest.fixture
async def running(start_kernel):
    return await start_kernel([GeoPlugin])


@pytest.fixture
async def client(running):
    client = await running.client.app("shop")
    await client.define(PLACE)
    return client


async def test_written_and_read(client):
    made = await client.create("place", {"location": {"lng": 16, "lat": -0.0}})
    assert (made["location"], made["home"]) == ({"lat": 0.0, "lng": 16.0}, VIENNA)
    got = await client.get(f"place/{made['id']}")
    assert got.data == made
    assert '"location":{"lat":0.0,"lng":16.0}' in got.text
    moved = await client.put(f"place/{made['id']}", {"location": {"lat": 90, "lng": -180}, "home": None})
    assert (moved.data["location"], moved.data["home"]) == ({"lat": 90.0, "lng": 180.0}, None)
    assert (await client.put(f"place/{made['id']}", {"location": ""})).data["location"] is None


NO_POINTS = (
    ['{"lat":91,"lng":0}', '{"lat":-90.0000001,"lng":0}', '{"lat":0,"lng":180.0000001}', '{"lat":"48","lng":16}',
     '{"lat":true,"lng":0}', '{"lat":null,"lng":0}', '{"lat":48}', "{}", '{"lat":1,"lng":2,"alt":3}', "[48,16]", "48",
     '"48.2,16.37"', "true", '{"lat":[1],"lng":2}', '{"lat":' + "9" * 400 + ',"lng":0}']
)  # fmt: skip
JSON = {"Content-Type": "application/json"}


async def test_what_is_no_point(client):
    wrong = {"field": "location", "rule": "type", "message": "location must be a valid point"}
    for text in NO_POINTS:
        refused = await client.post("place", content=f'{{"location":{text}}}'.encode(), headers=JSON)
        assert_error(refused, 422, "VALIDATION_FAILED", "Validation failed", [wrong])


async def test_what_is_no_number(client):
    for number in ("NaN", "Infinity", "1e400", "-1e400"):
        body = f'{{"location":{{"lat":{number},"lng":0}}}}'.encode()
        refused = await client.post("place", content=body, headers=JSON)
        assert refused.status in (400, 422), refused
    assert (await client.get("place")).meta["total"] == 0


async def test_definitions(client):
    bad = entity("bad", place={"type": "point", "default": {"lat": 91, "lng": 0}})
    assert_error(await client.post("_admin/entities", bad), 422, "VALIDATION_FAILED", "invalid default for field place")
    changed = {**PLACE, "fields": [*PLACE["fields"], {"name": "work", "type": "point", "default": VIENNA}]}
    made = await client.create("place", {"name": "before"})
    await client.put("_admin/entities/place", changed)
    for filter in ("home", "work"):
        near = {f"filter[{filter}.near]": "48.2,16.37,5km"}
        assert [row["id"] for row in (await client.get("place", params=near)).data] == [made["id"]], filter


async def test_what_stood_in_the_column_before_is_shown_as_nothing(client):
    await client.define(entity("old", data="json"))
    values = [{"lat": 1, "lng": 2}, {"z": "1", "x": 1, "y": 1}, {"z": 10**400}, [1], 7, {"lat": 1, "lng": 2, "z": 1.5}]
    for value in values:
        await client.create("old", {"data": value})
    (await client.put("_admin/entities/old", entity("old", other="string"))).require(200)
    (await client.put("_admin/entities/old", entity("old", data="point"))).require(200)
    shown = [row["data"] for row in (await client.get("old")).require(200).data]
    point = {"lat": 1.0, "lng": 2.0}
    assert sorted(shown, key=str) == sorted([point, None, None, None, None, point], key=str)
    for filter in ("near]=1,2,30000km", "eq]=1,2", "neq]=1,2"):
        assert (await client.get(f"old?filter[data.{filter}")).require(200).meta["total"] == 0


async def test_documents_there_and_back(client):
    rows = [{"name": "a", "location": VIENNA}, {"name": "b", "location": {"lat": 91, "lng": 0}}, {"name": "c"}]
    document = {"entities": [PLACE], "sample_data": {"place": rows}}
    first = (await client.post("_admin/import", document)).require(200).data
    assert (first["summary"]["records"], first["errors"]) == (2, ["record place: location must be a valid point"])
    again = (await client.post("_admin/import", document)).require(200).data
    assert again["summary"]["records"] == 0, "the rows are known by their values"
    near = {"filter[location.near]": "48.2,16.37,5km"}
    assert [row["name"] for row in (await client.get("place", params=near)).data] == ["a"]
    exported = (await client.get("_admin/export")).data
    other = await client.app("other")
    assert (await other.post("_admin/import", exported)).require(200).data["summary"]["entities"] == 1
    returned = (await other.get("_admin/export")).data
    assert {**returned, "exported_at": ""} == {**exported, "exported_at": ""}
    listed = (await client.get("place")).data
    await other.post("_admin/import", {"entities": [PLACE], "sample_data": {"place": listed}})
    assert (await other.get("place")).data == listed


async def test_unique_places(client):
    await client.define(entity("tree", at="point unique"))
    await client.create("tree", {"at": VIENNA})
    taken = {"field": "at", "rule": "unique", "message": "at already exists"}
    assert_error(await client.post("tree", {"at": VIENNA}), 409, "CONFLICT", None, [taken])
    await client.create("tree", {"at": {"lat": 48.2082, "lng": 16.3739}})


DISTANCES = [
    ("distance_m(record.a, record.b)", 54817.9),
    ("distance_m(record.a, record.a)", 0),
    ("distance_m(record.a, null)", None),
    ("distance_m({lat: 0, lng: 0}, {lat: 0, lng: 180}) > 20015000", True),
]


async def test_distances_in_expressions(client):
    record = {"a": VIENNA, "b": {"lat": 48.1486, "lng": 17.1077}}
    for expression, value in DISTANCES:
        answer = await client.post("_admin/expressions/test", {"expression": expression, "record": record})
        assert answer.data["value"] == (pytest.approx(value, abs=1.0) if type(value) is float else value)


async def test_distances_of_nonsense(client):
    for argument in ("{lat: 91, lng: 0}", "'48.2,16.37'", "7", "{lat: 1}", "{lat: '1', lng: 2}", "[1]", "{lat: true}"):
        refused = await client.post("_admin/expressions/test", {"expression": f"distance_m({argument}, {argument})"})
        assert_error(refused, 422, "VALIDATION_FAILED")
        assert "distance_m" in refused.error["message"]


async def test_an_index_answers_what_is_near(running, client):
    rows = [
        {"name": str(n), "location": {"lat": n * 7919 % 18000 / 100 - 90, "lng": n * 104729 % 36000 / 100 - 180}}
        for n in range(4000)
    ]
    document = {"entities": [PLACE], "sample_data": {"place": rows}}
    assert (await client.post("_admin/import", document)).data["summary"]["records"] == 4000
    for filter in ("near]=48.2,16.37,5km", "near]=-89.99,0,20km", "near]=0,180,1km", "eq]=48.2,16.37"):
        plan = await query_plan(running, "shop", f"place?filter[location.{filter}")
        assert "idx_place_location.z" in plan, plan
    assert "idx_place" not in await query_plan(running, "shop", "place?filter[location.neq]=48.2,16.37")
